"""Requests of users whose history is looked up."""

import copy
from dataclasses import replace

import pytest
from msgspec import structs

from dien import DataError, Dataset, Scorer
from dien.data.times import ORDER, FromTime, Times
from dien.explain import best_items, expect_known, user_request


def test_a_history_is_what_the_user_did_before_the_time(rich_scorer: Scorer, rich_data: Dataset) -> None:
    behaviours = rich_data.behaviours
    row = int((behaviours.offsets[1:] - behaviours.offsets[:-1]).argmax())
    begin, end = int(behaviours.offsets[row]), int(behaviours.offsets[row + 1])
    user = rich_data.user_ids.values[row]
    whole = user_request(rich_scorer, rich_data, user)
    assert whole.history == rich_data.item_ids.decode(behaviours.item[begin:end]).to_list()
    assert whole.times == behaviours.time[begin:end].tolist()
    middle = int(behaviours.time[begin + (end - begin) // 2])
    part = user_request(rich_scorer, rich_data, user, time=middle)
    assert part.time == middle
    assert part.times == [time for time in whole.times or () if time < middle]
    assert len(part.history) == len(part.times)
    assert set(part.behaviours or {}) == {"action", "dwell", "labels"}


def test_the_context_that_behaviours_do_not_tell_is_named(rich_scorer: Scorer, rich_data: Dataset) -> None:
    with pytest.warns(UserWarning, match=r"the context .*\(hour, zone, position, age_of_page, wanted\)"):
        assert user_request(rich_scorer, rich_data, "u1").context is None
    scorer = copy.copy(rich_scorer)
    scorer.fields = copy.copy(rich_scorer.fields)
    scorer.fields.from_time = {"hour": FromTime(what="hour", zone="UTC")}
    with pytest.warns(UserWarning, match=r"the context .*\(zone, position, age_of_page, wanted\)"):
        user_request(scorer, rich_data, "u1")


def test_the_best_items_are_those_of_the_highest_scores(rich_scorer: Scorer, rich_data: Dataset) -> None:
    request = user_request(rich_scorer, rich_data, "u1")
    ids = rich_data.item_ids.values[1:].to_list()
    scores = rich_scorer.score(
        request.user, request.history, ids, None, request.behaviours, request.times, request.time
    )
    best = best_items(rich_scorer, request, 3)
    assert best == [one for _, one in sorted(zip(-scores, ids, strict=True), key=lambda pair: pair[0])[:3]]


def test_who_and_what_is_not_known_is_named(rich_scorer: Scorer, rich_data: Dataset) -> None:
    with pytest.raises(DataError, match=r"no user 'nobody' \(users/ids\.parquet\)"):
        user_request(rich_scorer, rich_data, "nobody")
    with pytest.raises(DataError, match="user 'u1' has no behaviours before 0; name another user"):
        user_request(rich_scorer, rich_data, "u1", time=0)
    with pytest.raises(DataError, match=r"no item 'nothing' \(items/ids\.parquet\)"):
        expect_known(rich_scorer, ["i1", "nothing"])


def test_a_time_is_refused_where_the_log_has_an_order_alone(rich_scorer: Scorer, rich_data: Dataset) -> None:
    info = structs.replace(rich_data.info, times=Times(form=ORDER))
    ordered = replace(rich_data, info=info)
    assert user_request(rich_scorer, ordered, "u1").time is None
    with pytest.raises(DataError, match=rf"{rich_data.path}: its log has an order and no times.*\(--time\)"):
        user_request(rich_scorer, ordered, "u1", time=5)
