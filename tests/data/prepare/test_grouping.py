"""Impressions against a plain grouping, event by event."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from dien.data.prepare.events import Events
from dien.data.prepare.grouping import group
from dien.data.vocabulary import Ids

_NO_IDS = Ids(pl.Series([None, "1", "2", "3"], dtype=pl.String))


@st.composite
def events_of_some_users(draw: st.DrawFn) -> Events:
    """Draw events in order of user and time, whose moments, names and contexts often repeat."""
    keys = draw(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=25))
    keys.sort()

    def column(values: st.SearchStrategy[object]) -> list[object]:
        return draw(st.lists(values, min_size=len(keys), max_size=len(keys)))

    user, time = (np.array(key) for key in zip(*keys, strict=True))
    own = draw(st.booleans())  # histories in rows
    history = np.sort(10 * user + column(st.integers(0, 5))) if own else None
    behaviour = np.array(column(st.booleans()), bool)
    texts = pl.Series(column(st.sampled_from([None, "a", "b"])), dtype=pl.Categorical)
    numbers = pl.Series(column(st.sampled_from([None, 0.0, -0.0, 1.5])), dtype=pl.Float32)
    named = {"text": texts, "number": numbers}
    return Events(
        user=user.astype(np.int32),
        item=user.astype(np.int32),
        time=time,
        clicked=behaviour,
        behaviour=behaviour,
        labelled=True,
        impression=np.array(column(st.integers(-2, 2))) if draw(st.booleans()) else None,
        split=None,
        weight=None,
        conversion=None,
        features=pl.DataFrame(named),
        context=tuple(draw(st.sets(st.sampled_from(sorted(named))))),
        lists=(),
        user_ids=_NO_IDS,
        item_ids=_NO_IDS,
        shown=~behaviour if own or draw(st.booleans()) else None,
        history=history,
    )


@given(events_of_some_users())
def test_an_impression_is_of_one_user_moment_or_name_and_context(events: Events) -> None:
    groups: dict[tuple[object, ...], list[int]] = {}
    for e in range(len(events)):
        if events.shown is not None and not events.shown[e]:
            continue
        of = events.time[e] if events.history is None else events.history[e]
        if events.impression is not None:
            of = (events.impression[e], None if events.history is None else events.history[e])
        context = (events.features[name][e] for name in sorted(events.context))
        groups.setdefault((events.user[e], of, *context), []).append(e)
    found = group(events)
    assert found.event.tolist() == [members[0] for members in groups.values()]
    assert found.lengths.tolist() == [len(members) for members in groups.values()]
    assert found.candidate.tolist() == [e for members in groups.values() for e in members]
    for place, first in enumerate(found.event):
        earlier = (events.user == events.user[first]) & (events.time < events.time[first])
        if events.history is None:
            assert found.past[place] == (earlier & events.behaviour).sum()
