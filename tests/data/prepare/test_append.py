from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from dien.data.dataset import Dataset
from dien.data.features import Categorical, Numeric
from dien.data.log import Log
from dien.data.prepare import impressions
from dien.data.prepare.append import append
from dien.data.prepare.prepared import Prepared
from dien.data.prepare.splits import ByTime
from dien.data.tables import SPLITS, no_leak
from dien.data.writer import write
from dien.errors import DataError
from tests.data.logs import random_log, rows_of

CUT = 250


def whole_log(labelled: bool) -> Log:
    log = random_log(users=40, items=400, events=1200, labelled=labelled)
    items = log.items.with_columns(
        price=pl.int_range(pl.len()).cast(pl.Float64),
        tags=pl.col("item").str.split("").list.gather([1, 2], null_on_oob=True),
    )
    events = log.events.with_columns(
        device=pl.col("time").mod(7).cast(pl.String), dwell=pl.col("time").mul(0.5)
    )
    return replace(
        log,
        items=items,
        events=events,
        features={"dwell": Numeric(side="behaviour"), "time_since": Numeric(edges=(5.0,))},
    )


def with_rows(log: Log, events: pl.DataFrame) -> Log:
    """A part of a log as the source of tables gives it: ids as rows of tables that hold those seen."""
    tables = {}
    for side, table in (("user", log.users), ("item", log.items)):
        seen = events.select(pl.col(side).unique(maintain_order=True))
        tables[side] = seen.join(table, on=side, how="left", maintain_order="left")
        rows = tables[side].select(side, pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("row"))
        events = (
            events.join(rows, on=side, how="left", maintain_order="left").drop(side).rename({"row": side})
        )
    return replace(log, events=events, users=tables["user"], items=tables["item"])


def grown(log: Log, folder, history: str = "clicked") -> tuple[Dataset, Prepared]:
    """The first part of a log prepared and written, and the second appended to it."""
    first, second = (
        with_rows(log, log.events.filter(part)) for part in (pl.col("time") < CUT, pl.col("time") >= CUT)
    )
    write(impressions(first, ByTime(0.6, 0.8), history=history), folder)
    data = Dataset.open(folder)
    return data, append(data, second, ByTime(0.4, 0.7))


@pytest.mark.parametrize(("labelled", "history"), [(True, "clicked"), (False, "clicked"), (True, "all")])
def test_appending_gives_the_rows_of_the_whole_log_prepared_at_once(labelled, history, tmp_path):
    log = whole_log(labelled)
    _data, both = grown(log, tmp_path / "data", history)
    assert no_leak(both)
    at_once = impressions(with_rows(log, log.events), ByTime(10**9, 2 * 10**9), history=history)

    def positives(prepared):
        rows = [row for name in SPLITS for row in rows_of(prepared, name)]
        return sorted(
            (
                r["user"],
                r["time"],
                r["history"],
                [i for i, y in zip(r["items"], r["labels"], strict=True) if y or labelled],
            )
            for r in rows
        )

    assert positives(both) == positives(at_once)
    for name in ("valid", "test"):
        assert both.splits[name].time.min() >= CUT
    write(both, tmp_path / "data", overwrite=True)
    Dataset.open(tmp_path / "data").check()


def test_what_both_logs_have_once_is_told_unknown_where_it_has_no_index_from_before(tmp_path):
    log = whole_log(True)
    log = replace(log, features={**log.features, "item": Categorical(rare_share=1)})
    data, both = grown(log, tmp_path / "data")
    assert set(data.vocabularies["item"].values) < set(both.vocabularies["item"].values)
    new = log.events.filter((pl.col("time") >= CUT) & (pl.col("time") < both.recipe.valid_from))
    once = new.group_by("item").len().filter(pl.col("len") == 1)["item"]
    without = [item for item in once if item not in set(data.vocabularies["item"].values)]
    assert 0 < len(without) < len(once)
    assert both.excluded["values of item that training has once (unknown, by rare_share)"] == len(without)
    assert not set(without) & set(both.vocabularies["item"].values)


def test_appending_changes_no_index_and_no_feature_of_known_rows(tmp_path):
    log = whole_log(True)
    data, both = grown(log, tmp_path / "data")
    n_items, n_users = len(data.popularity), len(data.behaviours.offsets) - 1
    assert both.item_ids.values[:n_items].equals(data.item_ids.values)
    assert both.user_ids.values[:n_users].equals(data.user_ids.values)
    assert len(both.item_ids) > n_items
    for name, vocabulary in data.vocabularies.items():
        assert both.vocabularies[name].values[: len(vocabulary)].equals(vocabulary.values)
        assert (both.vocabularies[name].counts[: len(vocabulary)] >= vocabulary.counts).all()
    for feature in data.schema.features:
        after = next(f for f in both.schema.features if f.name == feature.name)
        assert replace(after, size=feature.size) == feature
    rows = np.arange(n_items)
    for name in ("item", "category", "price"):
        assert np.array_equal(both.items[name][rows], data.items[name], equal_nan=name == "price")
    assert np.array_equal(both.items["tags"][rows].values, data.items["tags"].values)
    # what is new has its own features
    new = both.item_ids.values[n_items]
    price = log.items.filter(pl.col("item") == new)["price"][0]
    encoder = next(f.encoder for f in both.schema.features if f.name == "price")
    assert both.items["price"][n_items] == encoder.encode(pl.Series([price]))[0]


def test_the_behaviours_of_a_user_are_the_earlier_ones_then_the_appended_ones(tmp_path):
    log = whole_log(True)
    _, both = grown(log, tmp_path / "data")
    ids = both.user_ids.values.to_list()
    clicks = log.events.filter(pl.col("label") == 1)
    encoder = next(f.encoder for f in both.schema.features if f.name == "dwell")
    for user in range(1, len(ids)):
        mine = slice(both.behaviours.offsets[user], both.behaviours.offsets[user + 1])
        expected = clicks.filter(pl.col("user") == ids[user]).sort("time", maintain_order=True)
        assert both.item_ids.decode(both.behaviours.item[mine]).to_list() == expected["item"].to_list()
        assert both.behaviours.time[mine].tolist() == expected["time"].to_list()
        assert np.array_equal(both.behaviours.features["dwell"][mine], encoder.encode(expected["dwell"]))
    unclicked = both.behaviours.unclicked
    for k in range(len(both.behaviours.item)):
        user = int(np.searchsorted(both.behaviours.offsets, k, side="right")) - 1
        shown = unclicked.item[unclicked.start[k] : unclicked.end[k]]
        mine = log.events.filter(
            (pl.col("user") == ids[user])
            & (pl.col("time") <= both.behaviours.time[k])
            & (pl.col("label") == 0)
        )
        assert set(both.item_ids.decode(shown)) <= set(mine["item"])


def test_interactions_that_are_not_later_are_left_out_and_a_log_appended_twice_is_refused(tmp_path):
    log = whole_log(True)
    data, both = grown(log, tmp_path / "data")
    again = with_rows(log, log.events)
    assert append(data, again, ByTime(0.4, 0.7)).excluded["interactions not later than the dataset"] == sum(
        t < CUT for t in log.events["time"]
    )
    write(both, tmp_path / "data", overwrite=True)
    with pytest.raises(DataError, match="was this log added before"):
        append(Dataset.open(tmp_path / "data"), again, ByTime(0.4, 0.7))


def test_appending_with_another_schema_or_other_labels_is_refused(tmp_path):
    log = whole_log(True)
    data, _ = grown(log, tmp_path / "data")
    later = with_rows(log, log.events.filter(pl.col("time") >= CUT))
    with pytest.raises(DataError, match="feature price of the earlier log: expected a numeric column"):
        append(data, replace(later, items=later.items.drop("price")), ByTime())
    with pytest.raises(DataError, match="prepared with labels, the new log comes without"):
        append(data, replace(later, events=later.events.drop("label")), ByTime())


def test_behaviours_that_come_without_an_interaction_are_refused_for_what_they_are(tmp_path):
    log = whole_log(True)
    data, _ = grown(log, tmp_path / "data")
    later = with_rows(log, log.events.filter(pl.col("time") >= CUT))
    alone = replace(
        later, events=later.events.clear(), behaviours=later.events.select("user", "item", "time")
    )
    with pytest.raises(DataError, match="behaviours come without any interaction; add them together"):
        append(data, alone, ByTime())
