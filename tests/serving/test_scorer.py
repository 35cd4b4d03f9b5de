"""Scorer: raw ids in, probabilities out."""

import json
import pickle
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dien.data.batch import Batch
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.models import Model, Prediction
from dien.run import Run
from dien.serving import Scorer, score_file, score_split
from dien.threads import _libraries
from dien.training import evaluate


@pytest.fixture(scope="module")
def scorer(small_run: Run) -> Scorer:
    return Scorer.load(small_run.path)


def test_a_candidate_scores_alike_alone_among_two_hundred_and_as_a_row_of_the_test_split(
    scorer: Scorer, small_data: Dataset
) -> None:
    split, behaviours = small_data.splits["test"], small_data.behaviours
    config = scorer.run.config.model
    batches = Batches(
        small_data,
        "test",
        batch_size=64,
        max_history=config.max_history,
        match_history=config.matched_history,
    )
    with torch.inference_mode():
        logits = torch.cat([scorer.model(batches.batch(0, i)).logits for i in range(len(batches))])
    assert scorer.calibration is not None
    expected = torch.sigmoid(scorer.calibration.clicks(logits.double())).numpy()

    items, users = small_data.item_ids, small_data.user_ids
    rng = np.random.default_rng(0)
    others = [str(i) for i in rng.integers(0, 40, 200)]
    for impression in range(0, len(split), max(1, len(split) // 25)):
        user_row, end = int(split.user[impression]), int(split.end[impression])
        past = slice(int(behaviours.offsets[user_row]), end)
        history = items.decode(behaviours.item[past]).to_list()
        when = {"times": behaviours.time[past].tolist(), "time": int(split.time[impression])}
        user = users.decode(np.array([user_row]))[0]
        context = {
            name: small_data.vocabularies[name].decode(column[impression : impression + 1])[0]
            for name, column in split.context.items()
        }
        rows = slice(int(split.offsets[impression]), int(split.offsets[impression + 1]))
        candidates = items.decode(split.item[rows]).to_list()
        for candidate, score in zip(candidates, expected[rows], strict=True):
            alone = scorer.score(user, history, [candidate], context, **when)
            shown = [*others[:117], candidate, *others[117:]]
            among = scorer.score(user, history, shown, context, **when)
            np.testing.assert_allclose([alone[0], among[117]], score, atol=1e-6)


def test_ids_nobody_has_seen_are_legal_and_score_as_unknown(scorer: Scorer) -> None:
    scores = scorer.score("nobody", ["no item", "3"], ["no item either", "never", "1"])
    assert np.isfinite(scores).all()
    assert scores[0] == pytest.approx(scores[1], abs=1e-7)
    assert scorer.score(None, ["no item", "3"], ["never"])[0] == pytest.approx(scores[1], abs=1e-6)


def test_an_empty_history_and_no_candidates_are_legal(scorer: Scorer) -> None:
    assert np.isfinite(scorer.score("u1", [], ["1", "2"])).all()
    assert scorer.score("u1", ["1"], []).shape == (0,)


def test_only_the_newest_behaviours_are_read(scorer: Scorer) -> None:
    kept = scorer.run.config.model.longest_history
    assert kept == scorer.run.config.model.match_history == 1000
    history = [str(i % 40) for i in range(1200)]
    np.testing.assert_array_equal(
        scorer.score("u1", history, ["1", "2"]), scorer.score("u1", history[-kept:], ["1", "2"])
    )


def test_a_behaviour_older_than_those_the_gru_reads_counts_as_a_match(scorer: Scorer) -> None:
    newest = ["1", "2", "3"] * scorer.run.config.model.max_history
    (without,), (with_it,) = (scorer.score("u1", [first, *newest], ["7"]) for first in ("9", "7"))
    assert without != with_it


def test_an_unknown_item_matches_itself_and_no_other(scorer: Scorer) -> None:
    history = ["new", "1", "other new", "2"]
    new, older, never = scorer.score("u1", history, ["other new", "new", "not there"])
    assert len({new, older, never}) == 3
    assert scorer.score("u1", ["never", "1", "x", "2"], ["not there"])[0] == pytest.approx(never, abs=1e-7)
    assert scorer.score("u1", ["8.0", "1"], ["8.00"])[0] != scorer.score("u1", ["new", "1"], ["8.00"])[0]


def test_integer_ids_stand_for_their_digits(scorer: Scorer) -> None:
    np.testing.assert_array_equal(scorer.score("u1", [1, 2], [3]), scorer.score("u1", ["1", "2"], ["3"]))


def test_context_the_run_does_not_have_is_refused_by_name(scorer: Scorer) -> None:
    with pytest.raises(ValueError, match=r"no feature device .* expected hour"):
        scorer.score("u1", ["1"], ["2"], {"device": "phone"})


def test_more_candidates_than_fit_at_once_score_as_in_parts(scorer: Scorer) -> None:
    candidates = [str(i % 40) for i in range(5000)]
    scores = scorer.score("u1", ["1", "2", "3"], candidates)
    np.testing.assert_allclose(scores[:40], scorer.score("u1", ["1", "2", "3"], candidates[:40]), atol=1e-6)
    np.testing.assert_allclose(scores[4960:], scores[:40], atol=1e-6)


def test_matches_without_an_age_are_warned_of_once_by_the_name_of_the_field_that_is_missing(
    small_run: Run,
) -> None:
    times = {"times": [1_500_000, 1_600_000], "time": 1_700_000}
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "there is no times and no time: .* give times and time"),
        ({"time": 1_700_000}, "there is no times: .* give times"),
        ({"times": [1_500_000, 1_600_000]}, "there is no time: .* give time"),
        ({"times": [1_500_000, None], "time": 1_700_000}, "a time of theirs is null: .* give every time"),
    ]
    for given, said in cases:
        scorer = Scorer(small_run)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scorer.score("u1", ["1", "2"], ["2"], **times)
            scorer.score("u1", ["new", "old"], ["newer"], **given)  # no match
        with pytest.warns(
            UserWarning, match=rf"1 of 2 candidates match .* {said}.*scorer says so once"
        ) as one:
            scorer.score("u1", ["new", "2"], ["2", "newer"], **given)
        assert one[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scorer.score("u1", ["1", "2"], ["2"], **given)


def test_long_histories_are_scored_with_fewer_candidates_at_once_and_score_alike(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ("u1", [str(i % 40) for i in range(30)], [str(i) for i in range(40)])
    expected, seen = scorer.score(*request), []
    monkeypatch.setattr("dien.data.batch.STEPS_AT_ONCE", 7 * scorer.run.config.model.max_history)
    handle = scorer.model.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    np.testing.assert_allclose(scorer.score(*request), expected, atol=1e-6)
    handle.remove()
    assert seen == [7, 7, 7, 7, 7, 5]


BEHAVIOURS = ("action", "dwell", "labels")
CONTEXT = ("hour", "zone", "position", "age_of_page", "wanted")


def test_raw_values_of_every_kind_score_as_the_rows_that_were_prepared_from_them(
    rich_scorer: Scorer, rich_data: Dataset, rich_requests: list[dict[str, Any]]
) -> None:
    config = rich_scorer.run.config.model
    batches = Batches(
        rich_data,
        "test",
        batch_size=10**6,
        max_history=config.max_history,
        match_history=config.matched_history,
    )
    with torch.inference_mode():
        logits = rich_scorer.model(batches.batch(0, 0)).logits.double()
    assert rich_scorer.calibration is not None
    expected = torch.sigmoid(rich_scorer.calibration.clicks(logits)).numpy()
    scored = np.concatenate([rich_scorer.score(**request) for request in rich_requests])
    np.testing.assert_allclose(scored, expected, atol=1e-6)


@pytest.mark.parametrize("name", [*CONTEXT, *BEHAVIOURS, "times", "time"])
def test_each_value_reaches_the_score_and_none_is_as_if_it_were_not_given(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], name: str
) -> None:
    side = "context" if name in CONTEXT else "behaviours" if name in BEHAVIOURS else None
    differ = 0
    for request in rich_requests[:25]:
        steps = len(request["history"])
        if side is None:
            without = {key: value for key, value in request.items() if key != name}
            nulls = request | {name: None if name == "time" else [None] * steps}
        else:
            without = request | {side: {k: v for k, v in request[side].items() if k != name}}
            nulls = request | {side: request[side] | {name: None if side == "context" else [None] * steps}}
        score = rich_scorer.score(**without)
        np.testing.assert_array_equal(rich_scorer.score(**nulls), score)
        differ += not np.array_equal(rich_scorer.score(**request), score)
    assert differ > 10


def test_a_value_that_does_not_fit_its_field_is_refused_by_name(rich_scorer: Scorer) -> None:
    history = ["i1", "i2"]
    for given, message in (
        ({"context": {"hour": 1.5}}, "hour: 1.5, expected strings, integers or booleans"),
        ({"context": {"hour": ["1"]}}, "hour: .*expected strings"),
        ({"context": {"position": "1"}}, "position: '1', expected finite numbers"),
        ({"context": {"position": float("inf")}}, "position: inf, expected finite numbers"),
        ({"context": {"wanted": "tag1"}}, "wanted: 'tag1', expected a list of strings"),
        ({"context": {"action": "action1"}}, "context: no feature action in this run; expected hour"),
        (
            {"behaviours": {"hour": ["1", "2"]}},
            "behaviours: no feature hour .* expected action, dwell, labels",
        ),
        ({"behaviours": {"action": ["action1"]}}, "action: .*expected 2 values, one for each"),
        ({"behaviours": {"action": "ab"}}, "action: 'ab', expected a list of strings"),
        ({"behaviours": {"dwell": [1, True]}}, "dwell: True, expected a list of finite numbers"),
        ({"behaviours": {"labels": ["a", ["b"]]}}, "labels: 'a', expected a list of lists of strings"),
        ({"times": [1], "time": 2}, "times: .*expected 2 values"),
        ({"times": [1, 1.5], "time": 2}, "times: 1.5, expected a list of integers, seconds"),
        ({"time": "now"}, "time: 'now', expected integers, seconds"),
    ):
        with pytest.raises(ValueError, match=message):
            rich_scorer.score("u1", history, ["i3"], **given)


def test_a_score_that_is_no_number_is_refused_by_everything_that_gives_one(
    small_run: Run, small_data: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(small_run.path, tmp_path / "run")
    file = tmp_path / "run/model.safetensors"
    save_file({name: torch.full_like(tensor, 3e38) for name, tensor in load_file(file).items()}, file)
    scorer = Scorer.load(tmp_path / "run")
    with pytest.raises(RunError, match=r"run: the model gives a score that is no number \(NaN\)"):
        scorer.score("u1", ["1", "2"], ["3", "4"])
    (tmp_path / "r.jsonl").write_text('{"user": "u1", "history": ["1"], "candidates": ["3"]}')
    with pytest.raises(RunError, match="no number"):
        score_file(scorer, tmp_path / "r.jsonl", tmp_path / "s.jsonl")
    assert not (tmp_path / "s.jsonl").exists()
    with pytest.raises(RunError, match="run: a score is not a finite number: its weights are too large"):
        evaluate(tmp_path / "run", small_data)


def test_a_base_rate_moves_the_odds_by_the_share_of_non_clicks_that_the_rows_hold(small_run: Run) -> None:
    request: dict[str, Any] = {"user": "u1", "history": ["3", "4"], "candidates": ["5", "7", "x", "9"]}
    scorer = Scorer(small_run)
    assert scorer.calibration is not None
    plain, rate, base = scorer.score(**request), scorer.calibration.click_rate, 0.02
    kept = base / (1 - base) * (1 - rate) / rate
    moved = Scorer.load(small_run.path, base_rate=base).score(**request)
    np.testing.assert_allclose(moved, plain / (plain + (1 - plain) / kept), rtol=1e-9)
    assert (np.argsort(moved) == np.argsort(plain)).all()
    np.testing.assert_allclose(Scorer(small_run, base_rate=rate).score(**request), plain, rtol=1e-9)


def test_a_base_rate_for_a_run_without_a_calibration_is_refused(small_run: Run, tmp_path: Path) -> None:
    run = shutil.copytree(small_run.path, tmp_path / "run")
    save_file(load_file(run / "model.safetensors"), run / "model.safetensors")
    Scorer.load(run)
    with pytest.raises(RunError, match=r"has no calibration.*train again with training.calibration=platt"):
        Scorer.load(run, base_rate=0.1)
    with pytest.raises(ValueError, match=r"base_rate is 1\.5, expected a share"):
        Scorer(small_run, base_rate=1.5)


@pytest.fixture
def threads(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> Iterator[set[int]]:
    """How many threads calls of the model had, where torch has three."""
    if _libraries() is None:
        pytest.skip("torch runs on an OpenMP library that is not found")
    found: set[int] = set()
    kind = type(scorer.model)
    forward = kind.forward

    def watched(model: Model, batch: Batch) -> Prediction:
        found.add(torch.get_num_threads())
        return forward(model, batch)

    monkeypatch.setattr(kind, "forward", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield found
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("history", "candidates", "expected"),
    [
        (1000, 200, 1),  # of which the model takes 12 steps
        (0, 4000, 1),
        (0, 4200, 3),  # 32 steps each
        (1000, 2900, 1),
        (1000, 3000, 3),
    ],
)
def test_a_request_has_one_thread_unless_its_candidates_take_many_steps_of_the_model(
    history: int, candidates: int, expected: int, scorer: Scorer, threads: set[int]
) -> None:
    scorer.score("u1", [str(i % 40) for i in range(history)], [str(i % 40) for i in range(candidates)])
    assert threads == {expected}


def test_a_file_and_a_split_have_all_threads_however_small(
    scorer: Scorer, threads: set[int], tmp_path: Path
) -> None:
    request = {"user": "u1", "history": ["1"], "candidates": ["2"], "hour": "3"}
    (tmp_path / "requests.jsonl").write_text(json.dumps(request) + "\n")
    score_file(scorer, tmp_path / "requests.jsonl", tmp_path / "scores.jsonl")
    assert threads == {3}
    threads.clear()
    score_split(scorer.run, tmp_path / "split.jsonl")
    assert threads == {3}


def test_a_scorer_that_is_pickled_opens_its_run_again_and_no_other_in_its_place(
    small_run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(small_run.path, folder)
    scorer = Scorer.load(folder, small_run.info.data, base_rate=0.01)
    pickled = pickle.dumps(scorer)
    assert len(pickled) < 10_000  # a path, no weights
    again = pickle.loads(pickled)
    request = {"user": "u1", "history": ["1", "2"], "candidates": ["3", "4"]}
    np.testing.assert_array_equal(again.score(**request), scorer.score(**request))
    assert (again.base_rate, again.device) == (0.01, scorer.device)
    folder.rename(tmp_path / "old")
    shutil.copytree(small_run.path, folder)
    with pytest.raises(RunError, match="run: was replaced since it was opened; run again"):
        pickle.loads(pickled)
