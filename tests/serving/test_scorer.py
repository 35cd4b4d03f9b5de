"""Scorer: raw ids in, probabilities out."""

import numpy as np
import pytest
import torch

from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.run import Run
from dien.serving import Scorer


@pytest.fixture(scope="module")
def scorer(small_run: Run) -> Scorer:
    return Scorer.load(small_run.path)


def test_a_candidate_scores_alike_alone_among_two_hundred_and_as_a_row_of_the_test_split(
    scorer: Scorer, small_data: Dataset
) -> None:
    split, behaviours = small_data.splits["test"], small_data.behaviours
    batches = Batches(small_data, "test", batch_size=64, max_history=scorer.run.config.model.max_history)
    with torch.inference_mode():
        logits = torch.cat([scorer.model(batches.batch(0, i)).logits for i in range(len(batches))])
    expected = torch.sigmoid(logits.double()).numpy()

    items, users = small_data.item_ids, small_data.user_ids
    rng = np.random.default_rng(0)
    others = [str(i) for i in rng.integers(0, 40, 200)]
    for impression in range(0, len(split), max(1, len(split) // 25)):
        user_row, end = int(split.user[impression]), int(split.end[impression])
        history = items.decode(behaviours.item[behaviours.offsets[user_row] : end]).to_list()
        user = users.decode(np.array([user_row]))[0]
        context = {
            name: small_data.vocabularies[name].decode(column[impression : impression + 1])[0]
            for name, column in split.context.items()
        }
        rows = slice(int(split.offsets[impression]), int(split.offsets[impression + 1]))
        candidates = items.decode(split.item[rows]).to_list()
        for candidate, score in zip(candidates, expected[rows], strict=True):
            alone = scorer.score(user, history, [candidate], context)
            among = scorer.score(user, history, [*others[:117], candidate, *others[117:]], context)
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
    kept = scorer.run.config.model.max_history
    history = [str(i % 40) for i in range(3 * kept)]
    np.testing.assert_array_equal(
        scorer.score("u1", history, ["1", "2"]), scorer.score("u1", history[-kept:], ["1", "2"])
    )


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
