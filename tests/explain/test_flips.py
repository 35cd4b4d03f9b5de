"""Sets of behaviours whose removal changes the order of two candidates."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from dien import Request, Scorer
from dien.explain.flips import find_flip
from dien.explain.influence import logits_without
from tests.explain.scorers import scorer_of
from tests.explain.test_explaining import without


@pytest.mark.parametrize("name", ["dien", "din", "sum-pooling"])
@pytest.mark.parametrize("number", range(4))
def test_what_is_found_changes_the_order_by_scoring_and_no_smaller_set_does(
    name: str, number: int, rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    scorer = scorer_of(rich_scorer, name)
    longest = sorted(
        (Request(**one) for one in rich_requests if len(one["candidates"]) > 1),
        key=lambda one: -len(one.history),
    )
    request = longest[number]
    checked = scorer.check(request)
    before = logits_without(scorer, checked, [()])[0]
    found = find_flip(scorer, checked)
    T = len(checked.history)
    if found is None:
        singles = logits_without(scorer, checked, [[k] for k in range(T)])
        assert not ((singles[:, 0] > singles[:, 1]) != (before[0] > before[1])).any()
        return
    assert found.removed == sorted(set(found.removed))
    after = scorer.score_many([without(request, found.removed)])[0]
    np.testing.assert_allclose(found.after, after[:2], rtol=1e-4)
    assert (found.after[0] > found.after[1]) != (before[0] > before[1])
    if found.exact:
        for size in range(1, len(found.removed)):
            smaller = list(combinations(range(T), size))
            logits = logits_without(scorer, checked, smaller)
            assert not ((logits[:, 0] > logits[:, 1]) != (before[0] > before[1])).any()


def test_an_empty_history_has_nothing_to_leave_out(rich_scorer: Scorer) -> None:
    request = rich_scorer.check(Request(user=None, history=[], candidates=["i1", "i2"]))
    assert find_flip(rich_scorer, request) is None
