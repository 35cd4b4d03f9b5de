from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.features import Numeric
from dien.data.log import Log
from dien.data.readers import streams
from dien.data.sources import table
from dien.data.sources.recbole import Fields, read
from dien.errors import DataError

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
ROWS = "u1\ti1\t5\t10\nu1\ti2\t3\t20\nu2\ti1\t4\t30\n"
ITEM = "item_id:token\tname:token_seq\tprice:float\tvec:float_seq\n"
FILES = {
    "toy.inter": INTER + ROWS,
    "toy.item": ITEM + "i1\tRed  Shoe\t9.5\t1 2\n",
    "toy.user": "user_id:token\tage:token\nu1\t24\nu2\t\n",
}


def lay(folder: Path, files: Mapping[str, str | bytes | None] = FILES) -> Path:
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        elif content is not None:
            (folder / name).write_bytes(content.encode())
    return folder


def columns(log: Log) -> dict[str, list[Any]]:
    """The features of events, and who did what when, with raw ids."""
    ids = {side: getattr(log, f"{side}s")[side].to_list() for side in ("user", "item")}
    named = log.events.with_columns(
        pl.Series(side, [ids[side][row - 1] for row in log.events[side]]) for side in ids
    )
    return named.cast({pl.Categorical: pl.String}).to_dict(as_series=False)


@pytest.mark.parametrize("share", [None, 0.0, 0.7])
def test_ids_and_tokens_have_the_rare_share_that_was_asked_for(tmp_path: Path, share: float | None) -> None:
    log = read(lay(tmp_path), Fields(**({} if share is None else {"rare_share": share})))
    found = {name: getattr(one, "rare_share", None) for name, one in log.features.items()}
    expected = 0.1 if share is None else share
    assert found == {
        "item": expected,
        "user": expected,
        "name": expected,
        "age": expected,
        "price": None,
        "rating": None,
    }


def test_the_type_in_the_header_says_what_kind_of_feature_a_column_is(tmp_path: Path) -> None:
    log = read(lay(tmp_path), Fields(threshold=("rating", 4)))
    assert columns(log) == {
        "user": ["u1", "u1", "u2"],
        "item": ["i1", "i2", "i1"],
        "time": [10, 20, 30],
        "label": [1, 0, 1],
    }
    assert log.items.rows() == [("i1", ["Red", "Shoe"], 9.5), ("i2", None, None)]
    assert log.users.rows() == [("u1", "24"), ("u2", None)]
    assert [source.name for source in log.sources] == ["toy.inter", "toy.item", "toy.user"]
    assert log.excluded == {
        "columns of type float_seq (vec)": 1,
        "items without a row in the items table (kept)": 1,
    }


# No tab and no line end; quotes are text like any other.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=4
)
WORD = TEXT.filter(lambda word: " " not in word)
NUMBER = st.floats(-1e6, 1e6, width=32)
CELL = {
    "token": st.one_of(st.just(""), TEXT),
    "token_seq": st.lists(WORD, max_size=3).map(" ".join),
    "float": st.one_of(st.just(""), NUMBER.map(repr)),
}


def meant(kind: str, cell: str) -> Any:
    """What a cell says, read in plain Python."""
    if kind == "token_seq":
        return [word for word in cell.split(" ") if word] or None
    if cell == "":
        return None
    return float(cell) if kind == "float" else cell


@st.composite
def atomic(draw: st.DrawFn, first: dict[str, st.SearchStrategy[str]], names: str, least: int) -> Any:
    """Header, rows of cells, and types of an atomic file that begins with some columns."""
    types = {name: draw(st.sampled_from(sorted(CELL))) for name in draw(st.lists(st.sampled_from(names)))}
    cells = [*first.values(), *(CELL[kind] for kind in types.values())]
    rows = draw(st.lists(st.tuples(*cells), min_size=least, max_size=12))
    return [*first, *(f"{name}:{kind}" for name, kind in types.items())], rows, types


def written(header: list[str], rows: list[tuple[str, ...]], line_end: str) -> bytes:
    return line_end.join("\t".join(row) for row in [header, *rows]).encode() + line_end.encode()


@settings(max_examples=60)
@given(
    atomic(
        {
            "user_id:token": st.sampled_from(["u", '"v"', "w x"]),
            "item_id:token": st.sampled_from(["1", "02", 'a"']),
            "timestamp:float": st.integers(0, 10**9).map(str),
        },
        "abcd",
        1,
    ),
    atomic({"item_id:token": TEXT}, "efgh", 0),
    st.sampled_from(["\n", "\r\n"]),
)
def test_users_items_times_and_features_are_read_as_the_files_have_them(
    inter: Any, item: Any, line_end: str
) -> None:
    header, rows, types = inter
    of_items, item_rows, item_types = item
    item_rows = list({row[0]: row for row in item_rows}.values())
    with TemporaryDirectory() as folder:
        files = {"toy.inter": written(header, rows, line_end)}
        files["toy.item"] = b"\xef\xbb\xbf" + written(of_items, item_rows, line_end)
        log = read(lay(Path(folder), files), Fields(behaviour=tuple(types)[:1]))
    kept = list({(row[0], row[1], int(row[2])): row for row in reversed(rows)}.values())[::-1]
    kept.sort(key=rows.index)
    assert columns(log) == {
        "user": [row[0] for row in kept],
        "item": [row[1] for row in kept],
        "time": [int(row[2]) for row in kept],
        **{
            name: [meant(kind, row[place]) for row in kept]
            for place, (name, kind) in enumerate(types.items(), 3)
        },
    }
    sides = {name: log.features[name].side for name in types}
    assert sides == {name: "context" if place else "behaviour" for place, name in enumerate(types)}
    known = {row[0]: row[1:] for row in item_rows}
    assert log.items["item"].to_list() == list(dict.fromkeys([*(row[1] for row in rows), *known]))
    for place, (name, kind) in enumerate(item_types.items()):
        assert log.items[name].to_list() == [
            meant(kind, known[i][place]) if i in known else None for i in log.items["item"]
        ]


def test_reading_by_a_schema_gives_the_same_log_as_reading_by_the_types_of_the_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path)
    spec = {
        "interactions": {
            "user": "user_id", "item": "item_id", "time": "timestamp", "label": "rating", "threshold": 4
        },
        "items": {"item": "item_id"},
        "features": {"item": {"name": {"kind": "multi", "separator": " "}, "price": {"kind": "numeric"}}},
    }  # fmt: skip
    paths = [tmp_path / "toy.inter"], [tmp_path / "toy.item"]
    monkeypatch.setattr(streams, "CHUNK_ROWS", 1)
    log = table.read(*paths, None, table.TableSpec.of(spec, "schema"))
    ours = read(tmp_path, Fields(threshold=("rating", 4)))
    assert columns(log) == columns(ours)
    assert log.items.equals(ours.items)
    assert log.features == {name: rule for name, rule in ours.features.items() if name != "age"}


def test_a_rating_that_makes_no_label_is_known_of_past_behaviours_alone(tmp_path: Path) -> None:
    log = read(lay(tmp_path))
    assert "label" not in log.events.columns
    assert log.features["rating"] == Numeric(side="behaviour")
    assert "rating" not in read(tmp_path, Fields(drop=("rating",))).events.columns


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        (Fields(), [1, 0, 1]),
        (Fields(label="again"), [0, 1, 1]),
        (Fields(threshold=("rating", 3.5)), [1, 0, 1]),
        (Fields(threshold=("rating", 3)), [1, 1, 1]),
        (Fields(drop=("label",)), None),
    ],
)
def test_labels_come_from_a_column_or_from_a_threshold(
    fields: Fields, labels: list[int] | None, tmp_path: Path
) -> None:
    rows = [
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\tlabel:float\tagain:token",
        "u1\ti1\t5\t10\t1.0\t0",
        "u1\ti2\t3\t20\t0.0\t1",
        "u2\ti1\t4\t30\t1\t1",
    ]
    if fields.label == "again":
        rows[0] = rows[0].replace("label", "other")  # no feature can have this name
    log = read(lay(tmp_path, {"toy.inter": "\n".join(rows)}), fields)
    found = log.events["label"].to_list() if "label" in log.events.columns else None
    assert found == labels
    assert set(log.events.columns) - {"user", "item", "time", "label", "rating"} == (
        {"other"} if fields.label == "again" else {"again"}
    )


def test_the_data_set_is_the_one_named_after_its_folder_or_the_only_one(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    lay(folder, {"shop.inter": INTER + ROWS, "shop.train.inter": "", "shop.kg": "x", "toy.user": "x"})
    assert [source.name for source in read(folder).sources] == ["shop.inter"]


INTER_OF = "user_id:token\titem_id:token\ttimestamp:float\t{}\nu1\ti1\t10\t{}\n"


@pytest.mark.parametrize(
    ("files", "fields", "words"),
    [
        ({"toy.inter": None}, {}, ["holds no file NAME.inter"]),
        ({"toy.train.inter": "x"}, {}, ["toy.inter, toy.train.inter", "one data set"]),
        ({"toy.inter": ""}, {}, ["toy.inter", "empty"]),
        ({"toy.inter": INTER}, {}, ["toy.inter", "no interaction"]),
        (
            {"toy.inter": INTER.replace("rating:float", "rating") + ROWS},
            {},
            ["line 1: found 'rating'", "token_seq"],
        ),
        ({"toy.inter": INTER.replace(":float", ":int") + ROWS}, {}, ["line 1: found 'rating:int'"]),
        ({"toy.inter": INTER.replace("\t", ",") + ROWS}, {}, ["line 1: found", "tabs between"]),
        ({"toy.inter": INTER.replace("rating", "user_id") + ROWS}, {}, ["two columns are named 'user_id'"]),
        ({"toy.inter": INTER + ROWS + "u3\ti1\t4\n"}, {}, ["toy.inter: line 5: 3 fields, expected 4"]),
        ({"toy.inter": (INTER + ROWS + "u\xe9\ti1\t4\t40\n").encode("latin-1")}, {}, ["line 5: not UTF-8"]),
        ({"toy.inter": INTER + ROWS + "\n\ti1\t4\t40\n"}, {}, ["line 6: column 'user_id'", "expected an id"]),
        ({"toy.inter": INTER + ROWS + "u3\ti1\t4\tnow\n"}, {}, ["line 5: column 'timestamp'", "'now'"]),
        (
            {"toy.inter": INTER + ROWS + "u3\ti1\tgood\t9\n"},
            {},
            ["line 5: column 'rating'", "'good'", "a number"],
        ),
        (
            {"toy.inter": INTER + ROWS + "u3\ti1\t\t9\n"},
            {"threshold": ("rating", 4)},
            ["line 5: column 'rating'"],
        ),
        ({}, {"threshold": ("rating", 6)}, ["no label is 1 (6 or more)", "'rating'"]),
        ({}, {"label": "rating"}, ["toy.inter: line 2: column 'rating': found '5'", "0 or 1"]),
        ({}, {"user": "uid"}, ["toy.inter: line 1: no column 'uid'", "--user"]),
        ({}, {"item": "iid"}, ["no column 'iid'", "--item"]),
        ({}, {"time": "when"}, ["no column 'when'", "user_id, item_id, rating, timestamp", "--time"]),
        ({}, {"label": "click"}, ["no column 'click'", "--label"]),
        ({}, {"threshold": ("stars", 4)}, ["no column 'stars'", "--threshold"]),
        ({}, {"behaviour": ("dwell",)}, ["no column 'dwell'", "--behaviour"]),
        ({}, {"drop": ("dwell",)}, ["no column 'dwell' to leave out", "rating", "price", "--drop"]),
        ({}, {"behaviour": ("timestamp",)}, ["'timestamp' is the user, item, time or label already"]),
        ({}, {"drop": ("timestamp",)}, ["'timestamp' is to be used and left out", "--drop"]),
        ({}, {"user": "rating"}, ["'rating' is of type float, expected token of the user", "--user"]),
        (
            {"toy.inter": INTER_OF.format("l:token_seq", 1)},
            {"label": "l"},
            ["'l' is of type token_seq", "--label"],
        ),
        ({"toy.inter": INTER_OF.format("a/b:token", 1)}, {}, ["'a/b'", "a file's name", "--drop"]),
        ({"toy.inter": INTER_OF.format("Time:token", 1)}, {}, ["'Time'", "this name is kept", "--drop"]),
        ({"toy.inter": INTER_OF.format("Age:token", 1)}, {}, ["'Age'", "toy.user has this name, too"]),
        ({"toy.user": "uid:token\nu1\n"}, {}, ["toy.user: line 1: no column 'user_id'", "--user"]),
        (
            {"toy.item": ITEM + "i1\t\t\t\ni2\t\t\t\ni1\t\t\t\n"},
            {},
            ["toy.item: line 4", "'i1' has a row already"],
        ),
        ({"toy.item": ITEM + "i1\t\tdear\t\n"}, {}, ["toy.item: line 2: column 'price'", "'dear'"]),
    ],
)
def test_errors_name_the_file_the_line_and_the_column(
    files: dict[str, str | bytes | None], fields: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    lay(tmp_path, {**FILES, **files})
    with pytest.raises(DataError) as raised:
        read(tmp_path, Fields(**fields))
    for word in [str(tmp_path), *words]:
        assert word in str(raised.value)
    assert ";" in str(raised.value)  # how to mend it


def test_a_path_that_is_no_folder_is_refused_by_name(tmp_path: Path) -> None:
    lay(tmp_path)
    for path in (tmp_path / "shop", tmp_path / "toy.inter"):
        with pytest.raises(DataError, match=r"no folder; give the one that holds NAME\.inter"):
            read(path)


def test_a_list_of_items_in_each_row_is_its_history_and_no_feature_of_the_context(tmp_path: Path) -> None:
    rows = [
        "user_id:token\titem_id:token\titem_id_list:token_seq\titem_length:float\trating:float\trating_list:float_seq"
        "\tdwell:float\ttimestamp:float\ttimestamp_list:float_seq\tplace:token",
        "u1\ti3\ti1 i2\t2\t5\t3 4\t1\t30\t10 20\ttop",
        "u2\ti4\ti9\t1\t5\t2\t1\t40\t40\ttop",
    ]
    folder = lay(tmp_path, {"toy.inter": "\n".join(rows)})
    log = read(folder, Fields(behaviour=("dwell",)))
    assert log.behaviours is not None
    items = log.items["item"].to_list()
    found = [
        (items[row - 1], time, rating)
        for row, time, rating in log.behaviours.select("item", "time", "rating").rows()
    ]
    assert found == [("i1", 10, 3.0), ("i2", 20, 4.0)]
    assert set(log.events.columns) - {"user", "item", "time", "impression", ".history"} == {"place"}
    assert log.excluded == {
        "behaviours of histories that are not earlier than their row (left out)": 1,
        "columns known only afterwards, of which histories have no list (dwell)": 1,
        "columns of how long histories are (item_length)": 1,
    }
    dropped = read(folder, Fields(drop=("item_id_list", "timestamp_list", "rating_list")))
    assert dropped.behaviours is None
    assert "item_length" in dropped.events.columns
