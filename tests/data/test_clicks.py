"""Clicks that repeat, and steps that are targets, against loops over every click and every step."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data import ragged
from dien.data.clicks import repeated_clicks, steps_as_targets, training_targets
from dien.data.dataset import Dataset
from dien.data.inspection import STEPS
from dien.data.log import HISTORY, Log
from dien.data.prepare import impressions, paper
from dien.data.prepare.prepared import Prepared
from dien.data.prepare.splits import ByTime
from dien.data.tables import SPLITS
from dien.data.writer import write
from dien.errors import DataError
from dien.models import DIENConfig
from tests.data.datasets import random_prepared
from tests.data.logs import logs, make_log

pytestmark = pytest.mark.filterwarnings("ignore:.*(is empty|every label|is left out|alone tells)")
"""The logs are small, so that splits are empty and features unknown."""


def clicks_of(data: Prepared | Dataset, name: str) -> list[tuple[int, int]]:
    """Impression and item of every click of a split."""
    split = data.splits[name]
    rows = ((i, c) for i in range(len(split)) for c in range(split.offsets[i], split.offsets[i + 1]))
    return [(i, int(split.item[c])) for i, c in rows if split.label[c]]


def begin_of(data: Prepared | Dataset, name: str, i: int) -> int:
    split = data.splits[name]
    return int(data.behaviours.offsets[split.user[i]] if split.start is None else split.start[i])


def repeats_by_loop(data: Prepared | Dataset, name: str) -> int:
    item, end = data.behaviours.item, data.splits[name].end
    return sum(i in item[begin_of(data, name, of) : end[of]] for of, i in clicks_of(data, name))


def is_target(data: Prepared | Dataset, place: int) -> bool:
    """A behaviour is a target if a training click has its user, its item and its second."""
    behaviours, split = data.behaviours, data.splits["train"]
    clicked = {(int(split.user[i]), item, int(split.time[i])) for i, item in clicks_of(data, "train")}
    user = int(behaviours.offsets.searchsorted(place, "right")) - 1
    return (user, int(behaviours.item[place]), int(behaviours.time[place])) in clicked


def steps_by_loop(data: Prepared | Dataset, max_history: int) -> float | None:
    split = data.splits["train"]
    steps = {
        k
        for i in range(len(split))
        for k in range(max(begin_of(data, "train", i), split.end[i] - max_history), split.end[i])
    }
    hits = [is_target(data, k) for k in steps]
    return sum(hits) / len(hits) if hits else None


def stored(prepared: Prepared, folder: str | Path) -> Dataset:
    write(prepared, Path(folder) / "DATA")
    return Dataset.open(Path(folder) / "DATA")


def with_own_log(log: Log) -> Log:
    """The same log, whose histories hold every second of its clicks, and every fifth event of others."""
    events = log.events.with_row_index("n")
    own = events.filter((pl.col("n") % 5 == 0) | ((pl.col("label") == 1) & (pl.col("n") % 2 == 0)))
    return replace(log, behaviours=own.select("user", "item", "time"))


RECIPES = {
    "temporal": lambda log: impressions(log, ByTime(8, 10), warmup=1, negatives=2),
    "few rows": lambda log: impressions(log, ByTime(8, 10), warmup=0, negatives=1, max_train_rows=8),
    "all targets": lambda log: paper(log, targets="all"),
    "last targets": paper,
}
LABELLED = {
    "clicked": lambda log: impressions(log, ByTime(8, 10), warmup=0),
    "all": lambda log: impressions(log, ByTime(8, 10), history="all"),
    "own log": lambda log: impressions(with_own_log(log), ByTime(8, 10), warmup=0, history="behaviours"),
}


@settings(max_examples=30)
@given(st.data(), st.sampled_from([*RECIPES, *LABELLED]), st.integers(1, 6), st.integers(1, 9))
def test_shares_are_those_of_loops_over_clicks_and_steps_for_every_recipe(given_data, recipe, steps, chunk):
    log = given_data.draw(logs(labelled=recipe in LABELLED, context=True))
    try:
        prepared = {**RECIPES, **LABELLED}[recipe](log)
    except DataError:  # a log without a training row
        return
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        data = stored(prepared, folder)
        patch.setattr(ragged, "CHUNK", chunk)
        for name in SPLITS:
            assert repeated_clicks(data, name) == repeats_by_loop(prepared, name)
        assert steps_as_targets(data, steps) == steps_by_loop(prepared, steps)
        marked = training_targets(data)
        assert [k for k, yes in enumerate(marked) if yes] == [
            k for k in range(len(marked)) if is_target(prepared, k)
        ]


def test_only_steps_that_some_click_of_train_is_of_are_targets(tmp_path):
    log = make_log([("u", item, time) for time, item in enumerate("abcdef")] + [("v", "a", 9), ("v", "b", 9)])
    every = stored(impressions(log, ByTime(100, 200), warmup=0, negatives=1), tmp_path / "every")
    assert steps_as_targets(every, STEPS) == 1
    later = stored(impressions(log, ByTime(100, 200), warmup=3, negatives=1), tmp_path / "later")
    assert steps_as_targets(later, STEPS) == 2 / 5  # d and e of a to e
    assert steps_as_targets(later, 2) == 2 / 4  # a is never among the newest two
    last = stored(impressions(log, ByTime(100, 200), warmup=5, negatives=1), tmp_path / "last")
    assert steps_as_targets(last, STEPS) == 0


def test_a_click_that_a_named_impression_has_later_than_its_start_is_a_target_all_the_same(tmp_path):
    rows = [("u", "a", 1, 1, 1), ("u", "b", 4, 1, 1), ("u", "c", 9, 0, 2), ("u", "d", 9, 1, 2)]
    log = make_log([row[:4] for row in rows], "label")
    named = pl.Series("impression", [row[4] for row in rows])
    log = replace(log, events=log.events.with_columns(named))
    data = stored(impressions(log, ByTime(100, 200), warmup=0), tmp_path)
    assert data.splits["train"].time.tolist() == [1, 9]
    assert steps_as_targets(data, STEPS) == 1  # b was clicked 3 seconds after its impression began


def test_rows_with_their_own_histories_have_repeats_and_no_share_of_targets(tmp_path):
    events = make_log([("u", "a", 5, 1), ("u", "b", 5, 0), ("u", "c", 7, 1)], "label")
    behaviours = pl.DataFrame(
        {"user": ["u"] * 3, "item": ["a", "b", "b"], "time": [1, 2, 1], HISTORY: [0, 0, 1]}
    )
    log = replace(
        events,
        events=events.events.with_columns(pl.Series(HISTORY, [0, 0, 1])),
        behaviours=behaviours,
    )
    data = stored(impressions(log, ByTime(100, 200), history="row"), tmp_path)
    assert repeated_clicks(data, "train") == repeats_by_loop(data, "train") == 1  # a, and not c
    assert steps_as_targets(data, STEPS) is training_targets(data) is None


def test_without_a_step_there_is_no_share_and_no_history_below_one_step(tmp_path):
    log = make_log([(user, item, 1) for user, item in ("ua", "vb", "wc")])
    data = stored(impressions(log, ByTime(100, 200), warmup=0, negatives=1), tmp_path)
    assert steps_as_targets(data, STEPS) is None
    with pytest.raises(ValueError, match="max_history is 0, expected at least 1"):
        steps_as_targets(data, 0)


@pytest.mark.parametrize("seed", range(3))
def test_repeats_are_those_of_a_loop_where_users_and_histories_are_empty(seed, tmp_path):
    prepared = random_prepared(seed)
    data = stored(prepared, tmp_path)
    for name in SPLITS:
        assert repeated_clicks(data, name) == repeats_by_loop(prepared, name)


def test_inspection_reads_as_many_steps_as_training_does():
    assert DIENConfig().max_history == STEPS
