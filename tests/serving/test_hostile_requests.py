"""Request files of somebody unlucky or hostile: scored right, or refused by their name."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.errors import DataError
from dien.serving import Scorer, score_file

FIELDS = (
    "user", "history", "candidates", "hour", "zone", "position", "wanted", "action", "dwell", "labels",
    "category", "tags", "price", "age", "times", "time",
)  # fmt: skip


GOOD = {"user": "u1", "history": ["i1", "i2"], "candidates": ["i3", "new"]}
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3)
    | st.sampled_from(["i1", "u1", "7", 1.0, 3]),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=2), one, max_size=2),
    max_leaves=5,
)  # fmt: skip
keys = st.sampled_from(FIELDS) | st.sampled_from(["x", "histroy", "User", ""])


MENDS = ("expected", "mend", "rename", "write it again")


def is_scored_or_refused(scorer: Scorer, path: Path) -> None:
    """Check that a file gives finite scores of its candidates, or an error with its name."""
    out = path.with_name("scores.jsonl")
    try:
        result = score_file(scorer, path, out)
    except DataError as error:
        assert str(error).startswith(str(path)), error  # noqa: PT017
        assert any(mend in str(error) for mend in MENDS), error  # noqa: PT017
        assert not out.exists()
    else:
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert len(rows) == result.requests
        for row in rows:
            assert len(row["scores"]) == len(row["candidates"])
            assert all(0 <= score <= 1 for score in row["scores"])


@settings(max_examples=80)
@given(st.lists(st.dictionaries(keys, values, max_size=3), min_size=1, max_size=3))
def test_lines_with_anything_in_them_are_scored_or_refused(
    rich_scorer: Scorer, changes: list[dict[str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.jsonl")
        path.write_text("".join(json.dumps({**GOOD, **one}) + "\n" for one in changes))
        is_scored_or_refused(rich_scorer, path)


def not_utf8(rows: int) -> pa.Array:
    """Text that is no UTF-8."""
    bad = pa.array([b"\xff\xfe\xfd"] * rows, pa.binary())
    return pa.Array.from_buffers(pa.string(), rows, [None, *bad.buffers()[1:]])


def lists_of(values: pa.Array, rows: int, each: int) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1) * each, pa.int32()), values)


ROWS = 2
ARRAYS: list[pa.Array] = [
    not_utf8(ROWS),
    lists_of(not_utf8(2 * ROWS), ROWS, 2),
    lists_of(lists_of(not_utf8(2 * ROWS), 2 * ROWS, 1), ROWS, 2),
    pa.array(["u1", None]),
    pa.array([["i1", "i2"], ["i3", "i1"]]),
    pa.array([["i1", "i2"], None]),
    pa.array([[["i1"], []], [None, ["x"]]]),
    pa.array([1.5, float("nan")]),
    pa.array([[1.5, float("nan")], [float("inf"), None]]),
    pa.array([[1, 2], [3, 2**62]]),
    pa.array([1_700_000_000_000, None]),
    pa.array([2**64 - 1, 0], pa.uint64()),
    pa.array([b"a", b"b"]),
    pa.array([True, False]),
    pa.array([{"a": 1}, {"a": 2}]),
    pa.array([0, 10**9], pa.timestamp("s")),
    pa.array([None, None]),
    pa.array(["u1", "u2"]).dictionary_encode(),
    pa.array([["a"], ["b"]], pa.large_list(pa.large_string())),
    pa.array([["a", "b"], ["b", "c"]], pa.list_(pa.string(), 2)),
    pa.array([[], []], pa.list_(pa.null())),
    pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
    pa.array([1, 2], pa.decimal128(5, 2)),
]


@settings(max_examples=80)
@given(st.lists(st.tuples(keys, st.sampled_from(range(len(ARRAYS)))), min_size=1, max_size=4))
def test_columns_of_any_type_are_scored_or_refused(
    rich_scorer: Scorer, changes: list[tuple[str, int]]
) -> None:
    columns = [(name, pa.array([value] * ROWS)) for name, value in GOOD.items()]
    columns = [(name, column) for name, column in columns if name not in dict(changes)]
    columns += [(name, ARRAYS[which]) for name, which in changes]  # now and then two of one name
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.parquet")
        names, arrays = zip(*columns, strict=True)
        pq.write_table(pa.Table.from_arrays(list(arrays), names=list(names)), path)
        is_scored_or_refused(rich_scorer, path)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_text_that_is_no_utf8_is_refused_by_its_column(
    rich_scorer: Scorer, tmp_path: Path, which: int
) -> None:
    name = ("zone", "history", "labels")[which]
    columns = {key: pa.array([value] * ROWS) for key, value in GOOD.items()} | {name: ARRAYS[which]}
    pq.write_table(pa.table(columns), tmp_path / "r.parquet")
    with pytest.raises(DataError, match=f"r.parquet: column '{name}': .*UTF8.*; expected text in UTF-8"):
        score_file(rich_scorer, tmp_path / "r.parquet", tmp_path / "s.jsonl")


@pytest.mark.parametrize(
    "line",
    [
        '{"user":"u1","history":[],"candidates":["i1"],"x":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"user":"u1","history":[],"candidates":["i1"],"x":' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
        '{"user":' + "[" * 100_000,
        '{"user":"u1","history":[],"candidates":["i1"],"x":"' + "a" * 3_000_000 + '"}',
        '{"user":"' + "u" * 3_000_000 + '","history":[],"candidates":["i1"]}',
        '{"user":"u1","history":' + json.dumps(["i1"] * 200_000) + ',"candidates":["i1"]}',
        '{"user":"u1","history":[],"candidates":["i1"],"position":1e999}',
        '{"user":"u1","history":[],"candidates":["i1"],"position":NaN}',
        '{"user":1' + "0" * 5000 + ',"history":[],"candidates":["i1"]}',
    ],
    ids=range(9),
)
def test_a_deep_or_huge_line_is_scored_or_refused(rich_scorer: Scorer, tmp_path: Path, line: str) -> None:
    (tmp_path / "r.jsonl").write_text(line + "\n")
    is_scored_or_refused(rich_scorer, tmp_path / "r.jsonl")


@pytest.mark.parametrize("name", ["r.jsonl", "./r.jsonl", "sub/../r.jsonl", "link.jsonl", "hard.jsonl"])
def test_scores_never_replace_their_requests(rich_scorer: Scorer, tmp_path: Path, name: str) -> None:
    text = json.dumps(GOOD) + "\n"
    (tmp_path / "r.jsonl").write_text(text)
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.jsonl").symlink_to("r.jsonl")
    os.link(tmp_path / "r.jsonl", tmp_path / "hard.jsonl")
    with pytest.raises(DataError, match="is the file of requests, which would be lost; choose another path"):
        score_file(rich_scorer, tmp_path / "r.jsonl", Path(f"{tmp_path}/{name}"))
    assert (tmp_path / "r.jsonl").read_text() == text


def test_scores_never_replace_a_file_of_the_run_or_lie_in_its_dataset_folder(
    rich_scorer: Scorer, tmp_path: Path
) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps(GOOD) + "\n")
    for name in ("items/ids.parquet", "metrics.jsonl", "metrics.csv"):
        with pytest.raises(DataError, match="is a place of files of the run; choose another path"):
            score_file(rich_scorer, tmp_path / "r.jsonl", rich_scorer.run.path / name)
    data = Path(str(rich_scorer.run.info.data))
    for scorer in (rich_scorer, Scorer(rich_scorer.run, data)):
        with pytest.raises(DataError, match=f"lies in the dataset folder {data}; choose another path"):
            score_file(scorer, tmp_path / "r.jsonl", data / "scores.jsonl")
    score_file(rich_scorer, tmp_path / "r.jsonl", rich_scorer.run.path / "scores.jsonl")
    (rich_scorer.run.path / "scores.jsonl").unlink()


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv"])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("histroy", "history"),
        ("User", "user"),
        ("candidate", "candidates"),
        ("zonee", "zone"),
        (" time", "time"),
    ],
)
def test_a_misspelt_column_is_named_with_the_field_that_was_meant(
    rich_scorer: Scorer, tmp_path: Path, suffix: str, name: str, field: str
) -> None:
    row = {key: value for key, value in GOOD.items() if key != field} | {name: GOOD.get(field, 1)}
    path = tmp_path / f"r.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.table({key: [value] for key, value in row.items()}), path)
    elif suffix == "csv":
        cells = [json.dumps(value) if isinstance(value, list) else str(value) for value in row.values()]
        quoted = ('"' + cell.replace('"', '""') + '"' for cell in cells)
        path.write_text(",".join(row) + "\n" + ",".join(quoted) + "\n")
    else:
        path.write_text(json.dumps(row))
    with pytest.raises(DataError, match=f"column '{name}': no field of this run; did you mean '{field}'"):
        score_file(rich_scorer, path, tmp_path / "s.jsonl")


def test_other_columns_are_left_alone_and_unknown_behaviours_are_counted(
    rich_scorer: Scorer, tmp_path: Path
) -> None:
    rows = [{**GOOD, "times": [1, 2], "time": 3, "note": "x", "device": 3}, {**GOOD, "history": ["no", "i1"]}]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = score_file(rich_scorer, tmp_path / "r.jsonl", tmp_path / "s.jsonl")
    assert (result.behaviours, result.unknown_behaviours, result.unknown_candidates) == (4, 1, 2)


def test_a_time_after_2099_is_refused_by_its_row(rich_scorer: Scorer, tmp_path: Path) -> None:
    rows = [GOOD, {**GOOD, "time": 4_102_444_800}]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"line 2: column 'time': .*of the years 1970 to 2099"):
        score_file(rich_scorer, tmp_path / "r.jsonl", tmp_path / "s.jsonl")
