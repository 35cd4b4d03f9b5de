import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien import DataError, Dataset, prepare
from dien.data.batches import Batches
from dien.data.inspection import inspect_data
from dien.data.inspection.counts import _occurrences
from dien.data.readers import streams
from dien.data.sources.table import TableSpec, own_histories, read
from dien.data.tables import SPLITS, no_leak

START = 1_700_000_000
SCHEMA: dict[str, Any] = {
    "interactions": {
        "user": "uid",
        "label": "label",
        "split": "split",
        "history": {"item": "hist", "separator": "|", "features": {"category": "cates", "dwell": "dwells"}},
    },
    "features": {
        "item": {"category": {"from": "interactions", "column": "cate", "rare_share": 0}},
        "behaviour": {"dwell": {"kind": "numeric"}},
        "context": {"device": {"rare_share": 0}},
    },
    "ids": {"item": {"rare_share": 0}, "user": {"rare_share": 0}},
}
TIMED: dict[str, Any] = {
    **SCHEMA,
    "interactions": {
        **SCHEMA["interactions"],
        "time": "at",
        "history": {**SCHEMA["interactions"]["history"], "time": "ats"},
    },
    "features": {
        **SCHEMA["features"],
        "behaviour": {"dwell": {"kind": "numeric"}, "time_since": {"edges": [5, 50]}},
    },
}

histories = st.lists(st.integers(1, 6), max_size=4)
ROWS = st.lists(
    st.tuples(
        st.integers(1, 3), st.integers(1, 6), st.booleans(), histories, st.sampled_from(["phone", "desk"])
    ),
    min_size=4,
    max_size=14,
).filter(lambda rows: any(row[2] for row in rows) and any(row[3] for row in rows))


def written(rows: Sequence[Any], splits: Sequence[str]) -> list[dict[str, Any]]:
    """Write rows as a log has them; the category of item i is i % 3, the dwell of its behaviour i / 2."""
    return [
        {
            "uid": user,
            "item": item,
            "label": int(clicked),
            "split": splits[number % len(splits)],
            "cate": f"c{item % 3}",
            "device": device,
            "hist": "|".join(map(str, history)),
            "cates": "|".join(f"c{one % 3}" for one in history),
            "dwells": "|".join(str(one / 2) for one in history),
            "at": START + 100 * number,
            "ats": "|".join(
                str(START + 100 * number - len(history) + place) for place in range(len(history))
            ),
        }
        for number, (user, item, clicked, history, device) in enumerate(rows)
    ]


def save(rows: list[dict[str, Any]], path: Path) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def candidates(data: Dataset) -> list[tuple[Any, ...]]:
    """List user, item, label, history and category of each item of every candidate, as batches hold them."""
    found = []
    items, users = data.vocabularies["item"].values.to_list(), data.vocabularies["user"].values.to_list()
    cates = data.vocabularies["category"].values.to_list()
    for name in SPLITS:
        for batch in Batches(data, name, batch_size=3, max_history=3, auxiliary=True).epoch(0):
            offsets = batch.offsets.tolist()
            assert batch.label is not None
            for row, history in enumerate(batch.history_of.tolist()):
                steps = slice(offsets[history], offsets[history + 1])
                found.append(
                    (
                        name,
                        users[batch.user["user"][history]],
                        items[batch.target["item"][row]],
                        cates[batch.target["category"][row]],
                        int(batch.label[row]),
                        [items[i] for i in batch.history["item"][steps]],
                        [cates[i] for i in batch.history["category"][steps]],
                        len(batch.history["dwell"][steps]),
                    )
                )
    return sorted(found, key=str)


@settings(max_examples=20, deadline=None)
@given(ROWS, st.booleans())
def test_each_row_has_the_history_that_stands_in_it_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], timed: bool
) -> None:
    folder = tmp_path_factory.mktemp("own")
    path = save(written(rows, ["train"]), folder / "log.jsonl")
    data = prepare(path, folder / "data", schema=TIMED if timed else SCHEMA, split="column", warmup=0)
    data.check()
    assert (data.info.format, data.info.recipe.history, data.info.auxiliary_negatives) == (
        4,
        "row",
        "sampled",
    )
    if not timed:  # the number of its row, or of the first of several that are one impression
        (span,) = filter(None, data.info.time.values())
        assert 1 <= span[0] <= span[1] <= len(rows)
    want = []
    for user, item, clicked, history, _ in rows:
        words = ("train", str(user), str(item), f"c{item % 3}", int(clicked))
        newest = history[-3:]
        want.append((*words, [str(one) for one in newest], [f"c{one % 3}" for one in newest], len(newest)))
    known = data.vocabularies["item"].values.to_list()
    assert set(known[1:]) == {item for row in want for item in (row[2], *row[5])} | {
        str(one) for _, _, _, history, _ in rows for one in history
    }
    assert candidates(data) == sorted(want, key=str)
    assert no_leak(data)
    split = data.splits["train"]
    assert split.start is not None
    seen = inspect_data(data)
    assert seen.splits["train"].history.mean == pytest.approx(
        np.diff([split.start, split.end], axis=0).mean()
    )
    entries = np.zeros(len(data.behaviours.item), np.int64)
    for start, end in zip(split.start, split.end, strict=True):
        entries[start:end] += 1
    assert (entries > 0).all()  # a history that rows share stands once
    found = [_occurrences(data.behaviours, split, slice(row, row + 1))[0] for row in range(len(entries))]
    assert found == entries.tolist()


def test_rows_that_follow_each_other_with_one_history_share_it(tmp_path: Path) -> None:
    rows = [
        (1, 2, True, [3, 4], "desk"),
        (1, 5, False, [3, 4], "desk"),
        (1, 6, True, [3], "desk"),
        (2, 6, True, [3], "desk"),
    ]
    data = prepare(
        save(written(rows, ["train"]), tmp_path / "a.jsonl"), tmp_path / "a", schema=SCHEMA, split="column"
    )
    assert (len(data.behaviours.item), len(data.splits["train"])) == (4, 3)
    assert data.info.excluded["rows with the history of the row before (kept, one impression)"] == 1
    apart = [
        {**row, "split": split}
        for row, split in zip(written(rows, ["train"]), ("train", "test") * 2, strict=True)
    ]
    data = prepare(save(apart, tmp_path / "b.jsonl"), tmp_path / "b", schema=SCHEMA, split="column")
    assert (len(data.splits["train"]), len(data.splits["test"])) == (2, 2)


@settings(max_examples=10, deadline=None)
@given(ROWS, st.booleans(), st.integers(1, 4))
def test_histories_are_the_same_in_chunks_of_any_size_and_what_rows_share_is_kept_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], timed: bool, chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("chunks")
    spec = TableSpec.of(TIMED if timed else SCHEMA, "test")
    # each row three times, at one time
    thrice = [row for row in written(rows, ["train", "test"]) for _ in range(3)]
    pl.DataFrame(thrice).write_csv(folder / "log.csv")
    whole = read([folder / "log.csv"], None, None, spec)
    kept: list[int] = []

    class Counted(own_histories.Columns):
        def add(self, name: str, part: pl.Series) -> None:
            kept.extend(part.to_list() if name == "item" else [])
            super().add(name, part)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_ROWS", chunk)
        patch.setattr(own_histories, "Columns", Counted)
        found = read([folder / "log.csv"], None, None, spec)
    assert whole.behaviours is not None
    assert found.behaviours is not None
    for part in ("behaviours", "events"):  # in chunks items are numbered in another order
        one, other = (
            getattr(log, part).with_columns(log.items["item"].gather(getattr(log, part)["item"] - 1))
            for log in (found, whole)
        )
        assert one.to_dicts() == other.to_dicts()
    assert found.excluded == whole.excluded
    assert kept == found.behaviours["item"].to_list()
    assert found.excluded[own_histories.SAME] >= 2 * len(rows)


def test_a_page_and_its_history_may_stand_in_one_row_as_in_mind(tmp_path: Path) -> None:
    log = pl.DataFrame(
        {
            "user": ["U1", "U2", "U1"],
            "time": ["2019-11-11 09:05:58", "2019-11-11 10:05:58", "2019-11-12 09:05:58"],
            "history": ["N1 N2", None, "N1 N2 N3"],
            "page": ["N3-1 N4-0", "N1-1", "N5-0 N6-1 N7-0"],
        }
    )
    log.write_csv(tmp_path / "log.tsv", separator="\t")
    schema = {
        "interactions": {
            "item": {"column": "page", "separator": " ", "clicked": "-1"},
            "time": "time",
            "history": {"item": "history", "separator": " "},
        }
    }
    data = prepare(tmp_path / "log.tsv", tmp_path / "data", schema=schema, split="last", warmup=0)
    split = data.splits["train"]
    names = data.item_ids.values.to_list()
    assert split.start is not None
    read_ = [
        ([names[i] for i in data.behaviours.item[start:end]], [names[i] for i in split.item[begin:stop]])
        for start, end, begin, stop in zip(
            split.start, split.end, split.offsets[:-1], split.offsets[1:], strict=True
        )
    ]
    assert read_ == [(["N1", "N2"], ["N3", "N4"]), (["N1", "N2", "N3"], ["N5", "N6", "N7"]), ([], ["N1"])]


def test_lists_filled_up_to_one_length_have_as_many_values_as_their_row_says(tmp_path: Path) -> None:
    log = pl.DataFrame({"user": [1, 2], "item": [7, 8], "hist": [[5, 6, 0], [9, 0, 0]], "n": [2, 1]})
    log.write_parquet(tmp_path / "log.parquet")
    spec = TableSpec.of({"interactions": {"history": {"item": "hist", "length": "n"}}}, "test")
    made = read([tmp_path / "log.parquet"], None, None, spec)
    assert made.behaviours is not None
    assert [made.items["item"][i - 1] for i in made.behaviours["item"]] == ["5", "6", "9"]


def test_what_fills_histories_up_is_no_item(tmp_path: Path) -> None:
    log = pl.DataFrame(
        {
            "user": [1, 2],
            "item": [7, 8],
            "hist": [[5, 0, 6], [0, 0, 9]],
            "c": [["a", "b", "c"], ["d", "e", "f"]],
        }
    )
    log = log.with_columns(
        h1=pl.col("hist").list.get(0), h2=pl.col("hist").list.get(1), h3=pl.Series([6.0, 9.0])
    )
    log.write_parquet(tmp_path / "log.parquet")
    features = {"behaviour": {"c": {}}}
    for history, more in (
        ({"item": "hist", "padding": 0, "features": {"c": "c"}}, features),
        ({"item": ["h1", "h2", "h3"], "padding": "0"}, {}),
    ):
        spec = TableSpec.of({"interactions": {"history": history}, "features": more}, "test")
        made = read([tmp_path / "log.parquet"], None, None, spec)
        assert made.behaviours is not None
        assert [made.items["item"][i - 1] for i in made.behaviours["item"]] == ["5", "6", "9"]
        assert made.behaviours["user"].to_list() == [1, 1, 2]
        if more:
            assert made.behaviours["c"].cast(pl.String).to_list() == ["a", "c", "f"]


def test_marks_of_a_missing_item_in_a_history_are_left_out_with_their_features_and_counted(
    tmp_path: Path,
) -> None:
    (tmp_path / "log.csv").write_text("user,item,hist,c\n1,7,5|NULL|6,a|b|c\n2,8,\\N|9,d|e\n3,8,5|NA,f|g\n")
    history = {"item": "hist", "separator": "|", "features": {"c": "c"}}
    for nulls, found in (
        ({}, ["5", "6", "9", "5", "NA"]),
        ({"nulls": ["NULL", "\\N", "NA"]}, ["5", "6", "9", "5"]),
    ):
        spec = TableSpec.of(
            {"interactions": {"history": history, **nulls}, "features": {"behaviour": {"c": {}}}}, "test"
        )
        made = read([tmp_path / "log.csv"], None, None, spec)
        assert made.behaviours is not None
        assert [made.items["item"][i - 1] for i in made.behaviours["item"]] == found
        assert made.behaviours["c"].cast(pl.String).to_list() == ["a", "c", "e", "f", "g"][: len(found)]
        assert made.excluded["entries of histories that mark a missing item (left out)"] == 7 - len(found)


def test_nothing_after_the_last_separator_is_no_item(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,hist,c\n1,7,5|6|,a|b|\n2,8,9,e\n3,8,5|4|,f|g|\n")
    history = {"item": "hist", "separator": "|", "features": {"c": "c"}}
    spec = TableSpec.of({"interactions": {"history": history}, "features": {"behaviour": {"c": {}}}}, "test")
    made = read([tmp_path / "log.csv"], None, None, spec)
    assert made.behaviours is not None
    assert [made.items["item"][i - 1] for i in made.behaviours["item"]] == ["5", "6", "9", "5", "4"]
    assert made.behaviours["c"].cast(pl.String).to_list() == ["a", "b", "e", "f", "g"]
    assert made.excluded["entries of histories that mark a missing item (left out)"] == 2


def test_a_log_whose_histories_are_all_empty_is_refused(tmp_path: Path) -> None:
    path = save([{"user": 1, "item": 2, "hist": ""}], tmp_path / "log.jsonl")
    spec = TableSpec.of({"interactions": {"history": {"item": "hist", "separator": "|"}}}, "test")
    with pytest.raises(DataError, match=r"log\.jsonl: column 'hist': every history is empty"):
        read([path], None, None, spec)


def test_what_is_not_earlier_than_its_row_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = written([(1, 2, True, [3, 4, 5], "desk")], ["train"])
    rows[0]["ats"] = f"{START - 1}|{START}|{START + 1}"
    made = read([save(rows, tmp_path / "log.jsonl")], None, None, TableSpec.of(TIMED, "test"))
    assert made.behaviours is not None
    assert made.behaviours["time"].to_list() == [START - 1]
    assert made.excluded["behaviours of histories that are not earlier than their row (left out)"] == 2


def test_times_that_came_twice_are_counted_in_rows_and_in_histories(tmp_path: Path) -> None:
    twice, later = "2023-10-29 02:30:00", "2023-10-29 03:30:00"
    rows = written([(1, 2, True, [3], "desk"), (2, 2, True, [3, 4], "desk")], ["train"])
    rows[0] |= {"at": later, "ats": twice}
    rows[1] |= {"at": twice, "ats": "2023-10-28 02:30:00|2023-10-29 01:30:00"}
    interactions = {**TIMED["interactions"], "time_zone": "Europe/Berlin"}
    spec = TableSpec.of({**TIMED, "interactions": interactions}, "test")
    excluded = read([save(rows, tmp_path / "log.jsonl")], None, None, spec).excluded
    assert excluded["times that came twice as the clocks were put back (kept, the first is taken)"] == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"hist": "3||4"}, r"line 2: column 'hist': found nothing; expected an id"),
        (
            {"cates": "c1"},
            r"line 2: column 'cates': found \['c1'\]; expected a list of 2 values, one for each of 'hist'",
        ),
        ({"dwells": "1|long"}, r"line 2: column 'dwells': found 'long'; expected a number"),
        (
            {"ats": f"{START - 1}|{START - 2}"},
            r"line 2: column 'ats': found .*; expected times that do not fall",
        ),
        ({"ats": "yesterday|today"}, r"line 2: column 'ats': found 'yesterday'"),
    ],
)
def test_an_error_in_a_history_names_its_line_and_column(
    wrong: dict[str, Any], says: str, tmp_path: Path
) -> None:
    rows = written([(1, 2, True, [3, 4], "desk")] * 2, ["train"])
    rows[1] |= {"ats": f"{START - 2}|{START - 1}"} | wrong
    with pytest.raises(DataError, match=says):
        read([save(rows, tmp_path / "log.jsonl")], None, None, TableSpec.of(TIMED, "test"))


HISTORY = {"history": {"item": "hist"}}


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"interactions": {"history": 5}}, r"interactions.history: expected a column of lists"),
        (
            {"interactions": {"history": {"itm": "a"}}},
            r"interactions.history.itm: unknown key; did you mean item\?",
        ),
        (
            {"interactions": HISTORY, "features": {"behaviour": {"a": {}}}},
            r"features.behaviour.a: name the column",
        ),
        (
            {"interactions": HISTORY, "features": {"behaviour": {"time_since": {}}}},
            "time_since: needs the time",
        ),
        (
            {"interactions": {"history": {"item": "h", "features": {"a": "b"}}}},
            "history.features.a: is no feature",
        ),
        ({"interactions": HISTORY, "behaviours": {"user": "u"}}, "both say what histories hold"),
    ],
)
def test_a_schema_whose_keys_do_not_go_with_a_history_is_refused(schema: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        TableSpec.of(schema, "test")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (
            {"interactions": {"history": {"item": "h", "time": "t"}}},
            "history.time: rows have no time to compare",
        ),
        (
            {"interactions": HISTORY, "features": {"context": {"h": {"from_time": "hour"}}}},
            "features.context.h: needs times",
        ),
    ],
)
def test_what_needs_the_time_of_rows_is_refused_where_they_have_none(
    schema: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=says):
        read([save([{"h": "1", "t": "2"}], tmp_path / "log.jsonl")], None, None, TableSpec.of(schema, "test"))


def test_nothing_is_added_to_a_dataset_whose_rows_have_their_histories(tmp_path: Path) -> None:
    rows = [(user, item, item % 2 == 0, [3, 4], "desk") for user in (1, 2) for item in range(1, 5)]
    path = save(written(rows, ["train", "valid"]), tmp_path / "log.jsonl")
    prepare(path, tmp_path / "data", schema=SCHEMA, split="column")
    with pytest.raises(
        DataError, match="each of its rows has a history of its own, to which no later log adds"
    ):
        prepare(path, tmp_path / "data", schema=SCHEMA, split="column", append=True)
    with pytest.raises(TypeError, match=r"history and interactions\.history of the schema both say"):
        prepare(path, tmp_path / "other", schema=SCHEMA, history="all")


@pytest.mark.parametrize("value", [-1, 10**6])
def test_a_start_outside_its_user_or_after_its_end_is_refused(value: int, tmp_path: Path) -> None:
    rows = [(user, item, item % 2 == 0, [item, 4], "desk") for user in (1, 2) for item in range(1, 5)]
    data = prepare(
        save(written(rows, ["train"]), tmp_path / "a.jsonl"), tmp_path / "data", schema=SCHEMA, split="column"
    )
    start = np.load(tmp_path / "data" / "train" / "start.npy")
    for place in (0, len(start) - 1):
        damaged = start.copy()
        damaged[place] = value
        np.save(data.path / "train" / "start.npy", damaged)
        with pytest.raises(
            DataError, match=r"train/start\.npy: row \d+: -?\d+ is out of range or out of order"
        ):
            Dataset.open(data.path).check()
    (data.path / "train" / "start.npy").unlink()
    with pytest.raises(DataError, match=r"train/start\.npy"):
        Dataset.open(data.path)


def test_what_an_earlier_version_or_an_evaluation_would_read_otherwise_is_refused(tmp_path: Path) -> None:
    rows = [(user, item, item % 2 == 0, [item, 4, 5], "desk") for user in (1, 2) for item in range(1, 5)]
    path = save(written(rows, ["train"]), tmp_path / "log.jsonl")
    data = prepare(path, tmp_path / "data", schema=TIMED, split="column", warmup=0)
    file, split = data.path / "behaviours" / "time.npy", data.splits["train"]
    time = np.load(file)
    assert split.start is not None
    time[split.start[2] : split.end[2]] -= 10**5  # earlier than the history before it, as it may be
    np.save(file, time)
    Dataset.open(data.path).check()
    late = time.copy()
    late[int(split.start[2]) + 1] = START + 10**6  # after its row, and not the newest of its history
    np.save(file, late)
    with pytest.raises(DataError, match=rf"behaviours/time\.npy: row {split.start[2] + 2}: .* out of order"):
        Dataset.open(data.path).check()
    info = json.loads((data.path / "dataset.json").read_text())
    for change in ({"format": 3}, {"recipe": {**info["recipe"], "history": "clicked"}}):
        (data.path / "dataset.json").write_text(json.dumps({**info, **change}))
        with pytest.raises(DataError, match=r"dataset\.json: .*expected 'row' in format 4, and in no other"):
            Dataset.open(data.path)
