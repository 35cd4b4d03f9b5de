"""Sets of behaviours whose removal changes the order of two candidates, against all sets there are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from dien import Request, Scorer
from dien.explain import flips
from dien.explain.flips import TIED, find_flip
from dien.explain.influence import logits_without
from dien.serving import CheckedRequest
from tests.explain.scorers import scorer_of
from tests.explain.test_explaining import without

T = 8
CLEAR = 1e-4
"""Pairs whose order is closer than this without some set are rounding's to order, and not looked at."""
SETS = [places for size in range(T + 1) for places in combinations(range(T), size)]


@dataclass
class Tried:
    """Every pair of the items as candidates, by the size of the smallest set that changes their order."""

    scorer: Scorer
    request: Request
    logits: np.ndarray  # [sets, items]
    pairs: dict[int | None, list[tuple[int, int]]]

    def asked(self, pair: tuple[int, int]) -> CheckedRequest:
        checked = self.scorer.check(self.request)
        return replace(checked, candidates=[checked.candidates[k] for k in pair])

    def turned(self, pair: tuple[int, int]) -> np.ndarray:
        leads = self.logits[:, pair[0]] - self.logits[:, pair[1]]
        return leads * leads[0] < 0


@pytest.fixture(params=["dien", "din", "sum-pooling"])
def tried(request: pytest.FixtureRequest, rich_scorer: Scorer, rich_requests: list[dict[str, Any]]) -> Tried:
    """The first history whose pairs of items have smallest sets of one, of two, of more, and none at all."""
    scorer = scorer_of(rich_scorer, request.param, max_history=T)
    for one in rich_requests:
        if len(one["history"]) >= T:
            found = tried_of(scorer, Request(**one))
            if {1, 2, None} < set(found.pairs):
                return found
    raise AssertionError("no history has them")


def tried_of(scorer: Scorer, request: Request) -> Tried:
    """Try every set of the newest behaviours of a request for every pair of items."""
    short = without(request, list(range(len(request.history) - T)))
    asked = structs.replace(short, candidates=scorer.catalogue.item_ids.values[1:].to_list())
    found = Tried(scorer, asked, logits_without(scorer, asked, SETS), {})
    for pair in combinations(range(len(asked.candidates)), 2):
        leads = found.logits[:, pair[0]] - found.logits[:, pair[1]]
        if np.abs(leads).min() > CLEAR:
            turned = np.flatnonzero(found.turned(pair))
            size = len(SETS[turned[0]]) if len(turned) else None
            found.pairs.setdefault(size, []).append(pair)
    return found


@pytest.mark.parametrize("size", [1, 2])
def test_the_smallest_set_of_one_or_two_is_found_and_is_the_one_that_changes_the_order_most(
    tried: Tried, size: int
) -> None:
    for pair in tried.pairs[size][:5]:
        found = find_flip(tried.scorer, tried.asked(pair))
        assert found is not None
        assert found.exact
        of_size = [k for k, places in enumerate(SETS) if len(places) == size]
        leads = tried.logits[:, pair[0]] - tried.logits[:, pair[1]]
        best = min(of_size, key=lambda k: leads[k] * np.sign(leads[0]))
        assert tuple(found.removed) == SETS[best]


@pytest.mark.parametrize("most_pairs", [flips.MOST_PAIRS, 0])
def test_a_larger_set_changes_the_order_and_nothing_of_it_is_left_out_without_need(
    tried: Tried, most_pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flips, "MOST_PAIRS", most_pairs)
    larger = [pair for size in tried.pairs if (size or 0) > 2 for pair in tried.pairs[size][:5]]
    assert larger
    number = 0
    for pair in larger:
        found = find_flip(tried.scorer, tried.asked(pair))
        if found is None:
            continue
        number += 1
        removed, turned = tuple(found.removed), tried.turned(pair)
        assert turned[SETS.index(removed)]
        for place in removed:
            assert not turned[SETS.index(tuple(k for k in removed if k != place))]
        smaller = [k for k, places in enumerate(SETS) if len(places) < len(removed)]
        assert not found.exact or not turned[smaller].any()
        assert found.exact == (len(removed) == 3 and most_pairs > 0)
    assert number


def test_without_trying_pairs_a_set_is_found_and_said_to_be_exact_only_if_it_is_one_of_two(
    tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flips, "MOST_PAIRS", 0)
    for pair in tried.pairs[2][:5]:
        found = find_flip(tried.scorer, tried.asked(pair))
        if found is not None:
            assert tried.turned(pair)[SETS.index(tuple(found.removed))]
            assert found.exact == (len(found.removed) == 2)


def test_where_no_set_changes_the_order_none_is_found(tried: Tried) -> None:
    for pair in tried.pairs[None][:5]:
        assert find_flip(tried.scorer, tried.asked(pair)) is None


def test_what_is_said_of_the_scores_without_the_set_is_what_scoring_says(tried: Tried) -> None:
    pair = tried.pairs[1][0]
    found = find_flip(tried.scorer, tried.asked(pair))
    assert found is not None
    after = tried.scorer.score_many([without(tried.request, found.removed)])[0]
    np.testing.assert_allclose(found.after, after[list(pair)], rtol=1e-4)


def test_candidates_in_the_other_order_have_the_same_flip(tried: Tried) -> None:
    pair = tried.pairs[1][0]
    found, other = (find_flip(tried.scorer, tried.asked(one)) for one in (pair, pair[::-1]))
    assert found is not None
    assert other is not None
    assert found.removed == other.removed


def test_candidates_that_are_tied_from_the_start_have_no_order_to_change(tried: Tried) -> None:
    for item in range(25):
        assert find_flip(tried.scorer, tried.asked((item, item))) is None


@given(
    needed=st.lists(st.sets(st.integers(0, 99), min_size=1, max_size=4), min_size=1, max_size=3),
    spoiling=st.sets(st.integers(0, 99), max_size=3),
)
def test_what_can_be_put_back_is_found_in_few_questions(needed: list[set[int]], spoiling: set[int]) -> None:
    def turns(places: Sequence[int]) -> bool:
        some = any(one <= set(places) for one in needed)
        return some and (len(places) > 50 or not spoiling <= set(places) or not spoiling)

    search, asked = object.__new__(flips._Search), []
    search._rounding = TIED

    def leads(sets: Sequence[Sequence[int]]) -> np.ndarray:
        asked.append(len(sets))
        return np.array([-1.0 if turns(one) else 1.0 for one in sets])

    search.leads = leads  # type: ignore[method-assign]
    found = search.pruned(list(range(100)))
    assert turns(found)
    assert len(found) == 1 or not any(turns([k for k in found if k != place]) for place in found)
    if len(needed) == 1 and not spoiling:
        assert set(found) == needed[0]
        assert len(asked) < 40


def test_an_empty_history_has_nothing_to_leave_out(rich_scorer: Scorer) -> None:
    request = rich_scorer.check(Request(user=None, history=[], candidates=["i1", "i2"]))
    assert find_flip(rich_scorer, request) is None
