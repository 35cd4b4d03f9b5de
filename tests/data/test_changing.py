"""Features that change over time: the value that held, from a table in memory to the batches of a folder."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from dien.data.batches import Batches
from dien.data.changing import Changing, entry_at, merged
from dien.data.dataset import Dataset
from dien.data.features import Categorical, Multi, Numeric
from dien.data.inspection.counts import count_split
from dien.data.log import Log
from dien.data.prepare import impressions, paper
from dien.data.prepare.append import append
from dien.data.prepare.splits import ByTime
from dien.data.ragged import to_offsets
from dien.data.tables import SPLITS
from dien.data.writer import write
from dien.errors import DataError
from tests.data.logs import make_log

CHANGES = st.lists(st.tuples(st.integers(1, 5), st.integers(-2, 12)), unique=True, max_size=20)
"""Rows from 1 and times, none twice."""


def lines(changes: list[tuple[int, int]], rows: int = 6) -> tuple[np.ndarray, np.ndarray]:
    ordered = sorted(changes)
    lengths = [1, *(sum(row == k for row, _ in ordered) for k in range(1, rows))]
    return np.array([0, *(time for _, time in ordered)]), to_offsets(np.array(lengths))


@given(CHANGES, st.lists(st.tuples(st.integers(0, 5), st.integers(-4, 14)), max_size=20))
def test_the_entry_at_a_time_is_the_newest_of_its_row_that_is_not_later(changes, asked) -> None:
    since, offsets = lines(changes)
    rows = np.array([row for row, _ in asked], np.int32)
    found = entry_at(since, offsets, rows, np.array([time for _, time in asked], np.int64))
    latest = entry_at(since, offsets, rows, None)
    numbered = {change: k + 1 for k, change in enumerate(sorted(changes))}
    for (row, time), entry, last in zip(asked, found, latest, strict=True):
        own = sorted(at for of, at in changes if of == row)
        held = [at for at in own if at <= time]
        assert entry == (numbered[row, held[-1]] if held else 0)
        assert last == (numbered[row, own[-1]] if own else 0)


@given(CHANGES, CHANGES)
def test_of_two_tables_each_row_has_the_entries_of_both_and_of_one_second_the_earlier_tables(
    before, after
) -> None:
    (since, rows), later = lines(before), lines(after)
    source, (joined, offsets) = merged((since, rows), later)
    found = {}
    for row in range(1, 6):
        for k in range(offsets[row], offsets[row + 1]):
            found[row, int(joined[k])] = bool(source[k] < len(since))
    assert found == dict.fromkeys(after, False) | dict.fromkeys(before, True)
    assert source[0] == 0
    assert list(offsets[:2]) == [0, 1]


# From a log to batches. Items "a" to "d", users "u" to "x", and impressions with real labels.

EVENTS = st.lists(
    st.tuples(
        st.sampled_from("uvwx"), st.sampled_from("abcd"), st.integers(1, 30), st.sampled_from([0, 1, 1])
    ),
    min_size=12,
    max_size=40,
)
STATES = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 34)), unique=True, max_size=16)
VALUES = {
    "price": st.sampled_from([None, float("nan"), 1.0, 2.0, 5.0]),
    "shelf": st.sampled_from([None, "top", "low"]),
    "tags": st.sampled_from([None, [], ["x"], ["x", "y"]]),
    "level": st.sampled_from([None, "gold", "blue"]),
}
KINDS = {
    "price": Numeric(side="item", edges=(1.5, 3.0)),
    "shelf": Categorical(side="item"),
    "tags": Multi(side="item"),
    "level": Categorical(side="user"),
}
TYPES = {"price": pl.Float64, "shelf": pl.String, "tags": pl.List(pl.String), "level": pl.String}


def with_changes(log: Log, states: dict[str, list[tuple[str, int, Any]]]) -> Log:
    """A log whose items and users change: states are (id, second, value)."""
    changes = {}
    for name, rows in states.items():
        side = "user" if name == "level" else "item"
        table = log.users if side == "user" else log.items
        number = {one: k for k, one in enumerate(table[side], 1)}
        known = sorted((number[one], second, k) for k, (one, second, _) in enumerate(rows) if one in number)
        changes[name] = pl.DataFrame(
            {
                side: pl.Series([row for row, _, _ in known], dtype=pl.Int32),
                "time": pl.Series([second for _, second, _ in known], dtype=pl.Int64),
                name: pl.Series([rows[k][2] for _, _, k in known], dtype=TYPES[name]),
            }
        )
    return replace(log, changes=changes, features={name: KINDS[name] for name in states})


@st.composite
def changing_logs(draw: st.DrawFn) -> tuple[Log, dict[str, list[tuple[str, int, Any]]]]:
    log = make_log(draw(EVENTS), "label")
    states = {}
    for name, values in VALUES.items():
        keys = draw(STATES)
        ids = dict(zip("abcd", "uvwx", strict=True)) if name == "level" else {one: one for one in "abcd"}
        states[name] = [(ids[one], second, draw(values)) for one, second in keys]
    return with_changes(log, states), states


def held(states: list[tuple[str, int, Any]], one: str, time: int) -> Any:
    """The value that one had at a time, by a loop."""
    known = [(second, value) for of, second, value in states if of == one and second <= time]
    value = max(known, key=lambda state: state[0])[1] if known else None
    return None if value in ([], None) or value != value else value


def shown_values(data: Any, name: str, column: Any) -> list[Any]:
    """What a column of a batch stands for: raw values, and the interval of a price."""
    if name == "price":
        return column.tolist()
    words = data.vocabularies[name].values.to_list()
    if name == "tags":
        ends = column.offsets.tolist()
        flat = [words[k] for k in column.values.tolist()]
        return [flat[a:b] or None for a, b in itertools.pairwise(ends)]
    return [words[k] for k in column.tolist()]


def as_read(data: Any, name: str, value: Any) -> Any:
    """What a model may see of a raw value: what no training row has is unknown."""
    if name == "price":
        return 0 if value is None else 1 + sum(value >= edge for edge in KINDS["price"].edges)
    words = data.vocabularies[name].values.to_list()
    if name == "tags":
        return None if value is None else [word if word in words else None for word in value]
    return value if value in words else None


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=25)
@given(changing_logs(), st.integers(0, 5))
def test_batches_hold_what_held_at_each_impression_and_each_behaviour(tmp_path_factory, drawn, seed) -> None:
    log, states = drawn
    try:
        prepared = impressions(log, ByTime(0.6, 0.8), warmup=0)
    except DataError:  # too few clicks
        reject()
    assume(np.count_nonzero(prepared.popularity) > 1)  # for negatives of the auxiliary loss
    folder = tmp_path_factory.mktemp("changing") / "data"
    write(prepared, folder)
    data = Dataset.open(folder)
    data.check()
    names = [feature.name for feature in data.schema.features if feature.changes]
    assert set(names) == set(VALUES) - set(prepared.dropped)
    items, users = data.item_ids.values.to_list(), data.user_ids.values.to_list()
    for split in SPLITS:
        rows = data.splits[split]
        batches = Batches(data, split, batch_size=4, max_history=3, auxiliary=True, seed=seed)
        for k in range(len(batches)):
            batch = batches.batch(0, k)
            of = (
                np.searchsorted(rows.offsets, batch.rows.numpy(), "right") - 1
            )  # impression of each candidate
            chosen = of[np.flatnonzero(np.diff(batch.history_of.numpy(), prepend=-1))]
            begin = data.behaviours.offsets[rows.user[chosen]]
            places = [
                place
                for first, end in zip(begin, rows.end[chosen], strict=True)
                for place in range(max(first, end - 3), end)
            ]
            for name in names:
                if name == "level":
                    found = shown_values(data, name, batch.user[name])
                    wanted = [held(states[name], users[rows.user[i]], rows.time[i]) for i in chosen]
                    assert found == [as_read(data, name, value) for value in wanted]
                    continue
                found = shown_values(data, name, batch.target[name])
                shown = zip(batch.rows.tolist(), of, strict=True)
                wanted = [held(states[name], items[rows.item[row]], rows.time[i]) for row, i in shown]
                assert found == [as_read(data, name, value) for value in wanted]
                found = shown_values(data, name, batch.history[name])
                clicked, when = data.behaviours.item, data.behaviours.time
                wanted = [held(states[name], items[clicked[p]], when[p]) for p in places]
                assert found == [as_read(data, name, value) for value in wanted]
                assert len(shown_values(data, name, batch.negatives[name])) == len(places)
    for split in SPLITS:  # what inspect counts are the same values
        for counts in count_split(data, split).features:
            if counts.feature.name == "shelf" and counts.place == "target":
                rows = data.splits[split]
                times = np.repeat(rows.time, np.diff(rows.offsets))
                shown = [held(states["shelf"], items[i], t) for i, t in zip(rows.item, times, strict=True)]
                words = data.vocabularies["shelf"].values.to_list()
                for index, word in enumerate(words[1:], 1):
                    assert counts.counts[index] == shown.count(word)


def small_log() -> Log:
    rows = [("u", "a", 1), ("u", "b", 2), ("u", "a", 3), ("u", "b", 5), ("v", "b", 4), ("v", "a", 6)]
    return make_log([*rows, ("u", "a", 7), ("v", "b", 8)])


SHELVES = {"shelf": [("a", 1, "top"), ("b", 2, "low"), ("a", 6, "low"), ("b", 8, "top")]}


def test_what_changes_after_an_impression_changes_nothing_of_it(tmp_path: Path) -> None:
    def before(second: int, states: dict[str, Any], name: str) -> list[Any]:
        write(impressions(with_changes(small_log(), states), ByTime(7, 8), negatives=1), tmp_path / name)
        data = Dataset.open(tmp_path / name)
        words = data.vocabularies["shelf"].values.to_list()
        found = []
        for split in SPLITS:
            batches = Batches(data, split, batch_size=1, max_history=9, negatives="redrawn")
            for k in range(len(batches)):
                batch, rows = batches.batch(0, k), data.splits[split]
                time = int(rows.time[np.searchsorted(rows.offsets, int(batch.rows[0]), "right") - 1])
                if time < second:
                    values = batch.target["shelf"].tolist() + batch.history["shelf"].tolist()
                    found.append((time, batch.target["item"].tolist(), [words[k] for k in values]))
        return found

    states = SHELVES["shelf"]
    now = before(6, SHELVES, "now")
    assert [time for time, _, _ in now] == [2, 3, 5]
    for k, (one, second, _) in enumerate(states):
        if second >= 6:
            other = [*states[:k], (one, second, "gone"), *states[k + 1 :]]
            assert before(6, {"shelf": other}, f"changed-{k}") == now
            assert before(6, {"shelf": states[:k] + states[k + 1 :]}, f"missing-{k}") == now
    assert before(6, {"shelf": [("a", 1, "low"), *states[1:]]}, "earlier") != now


def test_it_is_counted_what_has_no_value_yet_and_what_falls_into_the_second_of_a_change() -> None:
    late = {"shelf": [("a", 3, "top"), ("b", 4, "low"), ("b", 5, None)]}
    prepared = impressions(with_changes(small_log(), late), ByTime(7, 8), negatives=1)
    without = "whose item has no shelf at that time (kept, unknown)"
    assert {name: n for name, n in prepared.excluded.items() if "shelf" in name} == {
        f"candidates {without}": 4,
        f"behaviours {without}": 4,
        "events in the second of a change of shelf (the new value counts)": 3,
    }
    # A row that says again what held before is no change, as where the first value holds before its time.
    again = {"shelf": [("a", 0, "top"), *late["shelf"], ("b", 6, None)]}
    same = impressions(with_changes(small_log(), again), ByTime(7, 8), negatives=1)
    of_b = {"shelf": late["shelf"][1:]}
    only_b = impressions(with_changes(small_log(), of_b), ByTime(7, 8), negatives=1)
    name = "events in the second of a change of shelf (the new value counts)"
    assert same.excluded[name] == only_b.excluded[name] < 3


def test_an_appended_day_adds_what_changed_after_the_dataset_and_nothing_before(tmp_path: Path) -> None:
    rule = ByTime(7, 8)
    write(impressions(with_changes(small_log(), SHELVES), rule, negatives=1), tmp_path / "data")
    data = Dataset.open(tmp_path / "data")

    def next_day(rows: list[tuple[Any, ...]], states: dict[str, Any]) -> Log:
        log = with_changes(make_log(rows), states)
        number = {
            side: {one: k for k, one in enumerate(table[side], 1)}
            for side, table in (("item", log.items), ("user", log.users))
        }
        coded = (pl.col(s).replace_strict(number[s], return_dtype=pl.Int32) for s in ("item", "user"))
        return replace(log, events=log.events.with_columns(*coded))

    states = {"shelf": [("a", 2, "wrong"), ("a", 20, "new"), ("c", 3, "low"), ("b", 8, "wrong")]}
    grown = append(data, next_day([("u", "a", 20), ("v", "c", 21), ("u", "b", 22)], states), ByTime(21, 22))
    shelf = grown.items["shelf"]
    assert isinstance(shelf, Changing)
    words = grown.vocabularies["shelf"].values.to_list()
    ids = grown.item_ids.values.to_list()
    found = [
        (ids[row], int(shelf.since[k]), words[shelf.values[k]])
        for row in range(1, len(shelf))
        for k in range(shelf.rows[row], shelf.rows[row + 1])
    ]
    assert sorted(found) == sorted([*SHELVES["shelf"], ("a", 20, "new"), ("c", 3, "low")])
    assert grown.excluded["values of shelf not later than the dataset, of items that it has"] == 2
    assert "candidates whose item has no shelf at that time (kept, unknown)" not in grown.excluded

    # A table alone: a known item changes, and an unknown value is unknown.
    alone = replace(
        next_day([("u", "b", 1)], {"shelf": [("b", 30, "low"), ("b", 31, "never seen")]}),
        events=pl.DataFrame(schema={"user": pl.Int32, "item": pl.Int32, "time": pl.Int64}),
    )
    grown = append(data, alone, rule)
    shelf = grown.items["shelf"]
    row = np.array([grown.item_ids.values.to_list().index("b")])
    for second, value in ((29, "top"), (30, "low"), (31, None)):
        assert grown.vocabularies["shelf"].values[int(shelf.at(row, np.array([second]))[0])] == value


@pytest.mark.parametrize("file", ["shelf.rows.npy", "shelf.since.npy"])
def test_a_folder_whose_changes_are_out_of_order_is_refused(file: str, tmp_path: Path) -> None:
    write(impressions(with_changes(small_log(), SHELVES), ByTime(7, 8), negatives=1), tmp_path / "data")
    path = tmp_path / "data/items" / file
    column = np.load(path)
    np.save(path, column[::-1].copy())
    with pytest.raises(DataError, match=f"items/{file}"):
        Dataset.open(tmp_path / "data").check()


def test_the_recipe_of_the_paper_refuses_what_changes_over_time() -> None:
    with pytest.raises(DataError, match=r"feature shelf: changes over time.*dien prepare table"):
        paper(with_changes(small_log(), SHELVES))


def test_negatives_are_not_drawn_by_a_feature_that_changes() -> None:
    with pytest.raises(DataError, match=r"feature of items that does not change: item$"):
        impressions(with_changes(small_log(), SHELVES), ByTime(7, 8), negatives_by="shelf")


@pytest.mark.parametrize(
    "shelves",
    [
        pl.DataFrame({"item": [2, 1], "time": [1, 1], "shelf": ["top", "low"]}),
        pl.DataFrame({"item": [1, 1], "time": [1, 1], "shelf": ["top", "low"]}),
        pl.DataFrame({"item": [0, 1], "time": [1, 1], "shelf": ["top", "low"]}),
        pl.DataFrame({"item": [1, 3], "time": [1, 1], "shelf": ["top", "low"]}),
    ],
)
def test_changes_that_are_not_in_order_or_of_no_item_are_refused(shelves: pl.DataFrame) -> None:
    log = replace(small_log(), changes={"shelf": shelves.cast({"item": pl.Int32})})
    with pytest.raises(DataError, match=r"feature shelf: its changes are not in order.*from 1 to 2"):
        impressions(log, ByTime(7, 8), negatives=1)
