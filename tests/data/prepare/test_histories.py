from hypothesis import assume, given, settings

from dien.data.prepare.events import Events
from dien.data.prepare.histories import behaviours_of
from dien.errors import DataError
from tests.data.logs import logs


@settings(max_examples=100)
@given(logs(labelled=True))
def test_each_click_carries_what_was_shown_and_not_clicked_since_the_click_before(log):
    try:
        events = Events.of(log)
    except DataError:
        assume(False)
        raise
    behaviours = behaviours_of(events)
    rows = [
        (int(u), int(t), int(i), bool(c))
        for u, t, i, c in zip(events.user, events.time, events.item, events.clicked, strict=True)
    ]
    clicks = [row for row in rows if row[3]]
    assert behaviours.item.tolist() == [item for _, _, item, _ in clicks]
    if behaviours.unclicked is None:
        assert len(clicks) == len(rows)
        return
    start, end, item = (getattr(behaviours.unclicked, name) for name in ("start", "end", "item"))
    for k, (user, time, *_) in enumerate(clicks):
        before = [t for u, t, _, _ in clicks if u == user and t < time]
        since = max(before, default=-1)
        expected = [i for u, t, i, c in rows if u == user and since < t <= time and not c]
        assert item[start[k] : end[k]].tolist() == expected


def test_a_log_of_clicks_has_no_unclicked_impressions():
    from tests.data.logs import random_log

    assert behaviours_of(Events.of(random_log(users=5, items=5, events=50))).unclicked is None
