import math
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"
sys.path.insert(0, str(QUALITY))

import boosting  # noqa: E402
import boosting_trees  # noqa: E402
from boosting_inputs import ACTIVE, GROUPS, inputs_of  # noqa: E402
from boosting_trees import Trained  # noqa: E402

sys.path.remove(str(QUALITY))

from dien.data.batches import Batches  # noqa: E402
from dien.data.changing import values_at  # noqa: E402
from dien.data.dataset import Dataset  # noqa: E402
from dien.data.matches import NO_TIME  # noqa: E402
from dien.data.popularity import DAY  # noqa: E402
from dien.data.tables import SPLITS  # noqa: E402
from dien.data.times import Times  # noqa: E402
from dien.training.comparison import FailedRun  # noqa: E402
from tests.data.test_popularity import varied  # noqa: E402
from tests.reports.comparisons import comparison, run  # noqa: E402

LONGEST = 5


@pytest.fixture(scope="module")
def datasets(tmp_path_factory) -> list[Dataset]:
    """Rows at the second of a behaviour, unknown values; a category that changes; then own histories, too."""
    path = tmp_path_factory.mktemp("boosting")
    return [varied(path / str(kind), kind) for kind in range(3)]


def value_of(data: Dataset, name: str, item: int, time: int) -> int:
    if name == "item":
        return item
    return int(values_at({name: data.items[name]}, np.array([item]), np.array([time]))[name][0])


def by_hand(data: Dataset, name: str, timed: bool) -> list[dict[str, float]]:
    """Activity of every row of a split, by loops; where there are no times, popularity in its place."""
    behaviours, split, train = data.behaviours, data.splits[name], data.splits["train"]
    time = behaviours.time.tolist()
    user = np.repeat(np.arange(len(behaviours.offsets) - 1), np.diff(behaviours.offsets)).tolist()

    def history(of, i):
        first = behaviours.offsets[of.user[i]] if of.start is None else of.start[i]
        return range(int(first), int(of.end[i]))

    counted = sorted({k for i in range(len(train)) for k in history(train, i)})
    if data.info.own_histories:  # the first of those that are alike
        counted = {(user[k], int(behaviours.item[k])): k for k in reversed(counted)}.values()
    events = [
        (user[k], {one: value_of(data, one, int(behaviours.item[k]), time[k]) for one in SINGLE})
        for k in counted
    ]
    rows = []
    for i in range(len(split)):
        now = int(split.time[i])
        own = [time[k] for k in history(split, i) if time[k] < now]
        for item in split.item[split.offsets[i] : split.offsets[i + 1]].tolist():
            if timed:
                rows.append({f"user.{days}d": sum(t >= now - days * DAY for t in own) for days in ACTIVE})
                continue
            row = {}
            for one in SINGLE:
                wanted = value_of(data, one, item, now)
                others = sum(u != split.user[i] and values[one] == wanted for u, values in events)
                row[f"{one}.popularity"] = others if wanted else math.nan
            rows.append(row)
    return rows


@settings(max_examples=12)
@given(which=st.integers(0, 2), timed=st.booleans())
def test_activity_and_popularity_without_times_are_those_of_counting(datasets, which, timed):
    data = datasets[which]
    info = structs.replace(data.info, times=Times(form="s" if timed else "order"))
    data = replace(data, info=info)
    found = inputs_of(data, LONGEST)
    places = {name: place for place, name in enumerate(found.names)}
    groups = {"activity"} if timed else COUNTED
    counted = {name for name, group in zip(found.names, found.groups, strict=True) if group in groups}
    for split in SPLITS:
        expected = by_hand(data, split, timed)
        assert len(found.values[split]) == len(expected)
        for values, row in zip(found.values[split], expected, strict=True):
            assert row.keys() == counted
            np.testing.assert_array_equal(
                [values[places[name]] for name in row], np.float32(list(row.values()))
            )
    said = " ".join(found.notes)
    assert ("tags has several values of an item" in said) is not timed
    assert ("behaviours have no times" in said) is not timed
    assert ("rows carry their own histories" in said) is (which == 2)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_popularity_is_that_of_the_models_batches_and_nan_of_unknown_values(datasets, which):
    data = datasets[which]
    found = inputs_of(data, LONGEST)
    of = {group for group, name in zip(found.groups, found.names, strict=True) if name.startswith("tags.")}
    assert "popularity" in of
    lacking = np.zeros(3, bool)
    for split in SPLITS:
        batches = Batches(data, split, batch_size=7, max_history=1, popularity=True)
        numbers = np.concatenate([batch.popularity.numpy() for batch in batches.epoch(0)])
        rows = [k for k, group in enumerate(found.groups) if group in ("popularity", "recency")]
        values = found.values[split][:, rows]
        unknown = np.isnan(values)
        np.testing.assert_array_equal(values[~unknown], numbers[~unknown])
        assert not np.nan_to_num(numbers[unknown]).any()
        lacking |= unknown[:, :3].any(0)
    assert not lacking[0]
    assert lacking[1:].any()


COUNTED = "popularity", "recency", "activity"
SINGLE = "item", "category"


def test_matches_are_those_of_the_models_batches_in_the_order_of_the_rows(datasets):
    data = datasets[0]
    found = inputs_of(data, LONGEST)
    matched = [place for place, group in enumerate(found.groups) if group not in COUNTED]
    for split in SPLITS:
        batches = Batches(data, split, batch_size=7, max_history=1, match_history=LONGEST)
        expected = [batch.matches.numpy() for batch in batches.epoch(0)]
        np.testing.assert_array_equal(
            found.values[split][:, matched], np.concatenate([*expected, np.empty((0, len(matched)))])
        )
    assert dict.fromkeys(found.groups) == dict.fromkeys(GROUPS)


def test_behaviours_without_a_time_are_left_out_of_the_counts_and_said(datasets):
    data = datasets[0]
    without = int((data.behaviours.time == NO_TIME).sum())
    assert without > 0
    assert f"{without} behaviours have no time" in " ".join(inputs_of(data, LONGEST).notes)


def score_by_popularity(inputs, names, splits, seed):
    """Stand in for LightGBM, which the project's environment need not have."""
    place = list(names).index("item.popularity") if "item.popularity" in names else 0
    return Trained(
        rounds=seed + 1,
        scores={name: np.nan_to_num(inputs[name][:, place]).astype(np.float32) for name in ("valid", "test")},
        gain=np.arange(len(names), dtype=np.float64),
    )


@pytest.fixture
def command(monkeypatch, capsys):
    """Run boosting.py; gives what it prints."""
    calls = []

    def train(*given):
        calls.append(given[-1])
        return score_by_popularity(*given)

    monkeypatch.setattr(boosting_trees, "train", train)

    def run_it(*arguments):
        calls.clear()
        monkeypatch.setattr(sys, "argv", ["boosting.py", *map(str, arguments)])
        boosting.main()
        return capsys.readouterr().out, list(calls)

    return run_it


def cells(printed: str, name: str) -> list[str]:
    (line,) = (line for line in printed.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.split("|")[1:-1]]


def auc_of_popularity(data: Dataset) -> float:
    found, label = inputs_of(data, 1000), data.splits["test"].label
    score = found.values["test"][:, found.names.index("item.popularity")]
    pairs = score[label == 1][:, None] - score[label == 0]
    return float(((pairs > 0) + (pairs == 0) / 2).mean())


def test_it_is_paired_with_the_models_of_a_comparison_and_says_where_it_is_ahead(
    small_data, small_run, tmp_path, command
):
    places = {"data": str(small_data.path.resolve()), "run": str(small_run.path)}
    runs = [run("din", 0, 0.2, **places), run("din", 1, 0.1, **places), run("dien", 0, 0.99, **places)]
    failed = FailedRun("dien", places["data"], 1, "runs/x", "no")
    structs.replace(comparison(["din", "dien"], [*runs, failed]), data=[places["data"]]).save(tmp_path)
    printed, seeds = command(
        small_data.path, "--against", tmp_path, "--without", "popularity,length", "--out", tmp_path / "out"
    )
    assert seeds == [0, 0, 1, 1]
    auc = auc_of_popularity(small_data)
    assert cells(printed, "boosting")[1] == f"{auc:.4f} ± 0.0000"
    assert cells(printed, "din")[1:3] == [
        "0.1500 ± 0.0707",
        f"{auc - 0.15:+.4f} ({auc - 0.15 - 0.6353:+.4f} to {auc - 0.15 + 0.6353:+.4f}; p = "
        f"{cells(printed, 'din')[2].split('p = ')[1]}",
    ]
    assert cells(printed, "dien")[2] == f"{auc - 0.99:+.4f}"
    assert f"Boosting is ahead of din ({auc - 0.15:+.4f}, p = " in printed
    assert f"Boosting is not ahead of dien ({auc - 0.99:+.4f}, no test: a single replicate)" in printed
    assert f"dien on {places['data']}, seed 1, is failed: not in the table" in printed
    assert len(cells(printed, "boosting without length, popularity")) == 7
    assert (tmp_path / "out" / "table.md").read_text() == printed.removesuffix("\n")


def test_what_is_done_is_not_done_again_and_other_rows_are_refused(small_data, tmp_path, command):
    data = tmp_path / "data"
    shutil.copytree(small_data.path, data)
    first, seeds = command(data, "--seeds", 2, "--out", tmp_path / "out")
    assert seeds == [0, 1]
    again, seeds = command(data, "--seeds", 3, "--without", "counts", "--out", tmp_path / "out")
    assert seeds == [0, 1, 2, 2]
    assert cells(again, "boosting")[1] == cells(first, "boosting")[1]
    assert re.search(r"3 replicates; 2 trees", again)
    (data / "dataset.json").write_text((data / "dataset.json").read_text() + "\n")
    with pytest.raises(SystemExit, match=r"made from other rows than .* choose another --out"):
        command(data, "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--without", "popularity,ids"], "no group ids; expected some of length, counts"),
        (["--without", ",".join(GROUPS)], "no input would be left"),
        (["--seeds", "0"], "--seeds 0: expected 1 or more"),
        (["DATA"], "named twice"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(small_data, tmp_path, command, capsys, arguments, said):
    given = [str(small_data.path) if one == "DATA" else one for one in arguments]
    with pytest.raises(SystemExit):
        command("--out", tmp_path / "out", small_data.path, *given)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_comparison_on_other_data_is_refused(small_data, tmp_path, command):
    comparison(["din"], [run("din", 0, 0.5)]).save(tmp_path)
    with pytest.raises(SystemExit, match="is not on it; expected some of its dataset folders: /data/beauty"):
        command(small_data.path, "--against", tmp_path, "--out", tmp_path / "out")


def test_lightgbm_learns_a_rule_and_the_same_seed_gives_the_same_scores(small_data):
    pytest.importorskip("lightgbm")
    random, splits, inputs = np.random.default_rng(0), {}, {}
    for name in SPLITS:
        inputs[name] = random.normal(size=(2000, 3)).astype(np.float32)
        inputs[name][::7, 2] = np.nan
        label = (inputs[name][:, 1] + random.normal(size=2000) > 0).astype(np.int8)
        splits[name] = replace(small_data.splits[name], label=label)
    first, again, other = (boosting_trees.train(inputs, "abc", splits, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.scores["test"], again.scores["test"])
    assert (first.scores["test"] != other.scores["test"]).any()
    assert ((first.scores["test"] > 0) == (inputs["test"][:, 1] > 0)).mean() > 0.85
    assert first.gain.argmax() == 1
