"""Reading requests: every format gives the same table, and what is wrong is named by file, row and column."""

import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from dien.data.readers import csv_text, json_lines, streams
from dien.data.sources.table.times import LAST_TIME
from dien.errors import DataError
from dien.run import Run
from dien.serving import Scorer, requests, score_file
from dien.serving.features import TIME, TIMES, Field
from dien.serving.requests import read_requests

FIELDS = (
    Field("user", required=True),
    Field("history", depth=1, required=True),
    Field("candidates", depth=1, required=True),
    Field("hour"),
    Field("position", "number"),
    Field("wanted", depth=1),
    Field("action", depth=1, of_history=True),
    Field("dwell", "number", 1, of_history=True),
    Field("labels", depth=2, of_history=True),
    TIMES,
    TIME,
)
TYPES = {field.name: field.dtype for field in FIELDS}
FORMATS = ("parquet", "jsonl", "jsonl.gz", "ndjson", "csv", "csv.gz", "tsv")
LINES = {"csv": 2, "csv.gz": 2, "tsv": 2}  # of the first request: a header stands before it

ids = st.text("ab1é ,\"'|[]\t", min_size=1, max_size=3)
numbers = st.integers(-9, 9).map(lambda quarters: quarters / 4)
seconds = st.integers(0, LAST_TIME - 1)


@st.composite
def request_rows(draw: st.DrawFn) -> dict[str, Any]:
    """A request with every field; each that may be null is now and then."""
    length = draw(st.integers(0, 3))

    def entries(values: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | st.lists(st.none() | values, min_size=length, max_size=length))

    return {
        "user": draw(st.none() | ids),
        "history": draw(st.lists(ids, min_size=length, max_size=length)),
        "candidates": draw(st.lists(ids, max_size=3)),
        "hour": draw(st.none() | ids),
        "position": draw(st.none() | numbers),
        "wanted": draw(st.none() | st.lists(st.none() | ids, max_size=2)),
        "action": entries(ids),
        "dwell": entries(numbers),
        "labels": entries(st.lists(ids, max_size=2)),
        "times": entries(seconds),
        "time": draw(st.none() | seconds),
    }


GOOD: dict[str, Any] = {
    "user": "u1", "history": ["i1", "i2"], "candidates": ["i3"], "hour": "7", "position": 1.5,
    "wanted": ["t"], "action": ["a", "b"], "dwell": [1.0, 2.5], "labels": [["x"], []],
    "times": [1, 2], "time": 3,
}  # fmt: skip


def save(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write requests in the format of the suffix; in CSV, lists are JSON."""
    file = io.BytesIO()
    names = [name for name in TYPES if any(name in row for row in rows)]
    if path.suffix == ".parquet":
        pl.DataFrame(rows, {name: TYPES[name] for name in names}).write_parquet(file)
    elif "json" in path.name:
        file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
    else:
        cells = [
            {k: json.dumps(v) if isinstance(v, list) else v if v is None else str(v) for k, v in row.items()}
            for row in rows
        ]
        flat = pl.DataFrame(cells, dict.fromkeys(names, pl.String))
        flat.write_csv(file, separator="\t" if ".tsv" in path.name else ",")
    content = file.getvalue()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@settings(max_examples=20)
@given(st.lists(request_rows(), min_size=1, max_size=6), st.integers(1, 4))
def test_requests_read_from_any_format_are_the_same(rows: list[dict[str, Any]], at_once: int) -> None:
    wanted = pl.DataFrame(rows, TYPES)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "REQUESTS_AT_ONCE", at_once)
        for suffix in FORMATS:
            parts = list(read_requests(save(rows, Path(folder, f"r.{suffix}")), FIELDS))
            assert all(len(part) <= at_once for part in parts)
            assert_frame_equal(pl.concat(parts), wanted)


@settings(max_examples=8)
@given(st.data())
def test_requests_score_the_same_to_the_bit_from_any_format(
    rich_run: Run, rich_requests: list[dict[str, Any]], data: st.DataObject
) -> None:
    scorer = Scorer(rich_run)
    drawn = data.draw(st.lists(st.sampled_from(rich_requests), min_size=1, max_size=8))
    rows = [
        {k: v for k, v in one.items() if k in TYPES} | one["context"] | one["behaviours"] for one in drawn
    ]
    rows = [{name: row.get(name) for name in TYPES} for row in rows]
    with tempfile.TemporaryDirectory() as name:
        folder, scores = Path(name), []
        for suffix in FORMATS:
            score_file(scorer, save(rows, folder / f"r.{suffix}"), folder / "s.jsonl")
            scores.append((folder / "s.jsonl").read_text())
        assert scores == scores[:1] * len(FORMATS)
        score_file(scorer, folder / "r.csv", folder / "s.csv")
        score_file(scorer, folder / "r.csv", folder / "s.parquet")
        lines = [json.loads(line) for line in scores[0].splitlines()]
        assert pl.read_parquet(folder / "s.parquet").to_dicts() == lines
        table = pl.read_csv(folder / "s.csv", schema_overrides=dict.fromkeys(("user", "scores"), pl.String))
        for row, line in zip(table.iter_rows(named=True), lines, strict=True):
            assert row["user"] == line["user"]
            assert json.loads(row["candidates"]) == line["candidates"]
            assert json.loads(row["scores"]) == line["scores"]


def test_a_field_that_no_request_has_is_no_column(tmp_path: Path) -> None:
    bare = {name: GOOD[name] for name in ("user", "history", "candidates", "hour")}
    for suffix in FORMATS:
        (table,) = read_requests(save([bare], tmp_path / f"r.{suffix}"), FIELDS)
        assert table.columns == list(bare)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"\n\n"], ids=["nothing", "empty lines"])
def test_a_file_without_content_is_refused_and_what_was_there_stays(
    small_run: Run, tmp_path: Path, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"r.{suffix}"
    parquet = b"" if suffix == "parquet" else content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else parquet)
    (tmp_path / "s.jsonl").write_text("before")
    with pytest.raises(DataError) as raised:
        score_file(Scorer(small_run), path, tmp_path / "s.jsonl")
    assert str(raised.value).startswith(f"{path}: the file is empty")
    assert (tmp_path / "s.jsonl").read_text() == "before"


@pytest.mark.parametrize("suffix", ["parquet", "csv", "csv.gz", "tsv"])
def test_a_file_with_columns_and_no_row_is_one_of_no_requests(
    small_run: Run, tmp_path: Path, suffix: str
) -> None:
    content = io.BytesIO()
    columns = pl.DataFrame(schema={name: TYPES[name] for name in ("user", "history", "candidates")})
    if suffix == "parquet":
        columns.write_parquet(content)
    else:
        content.write(("\t" if suffix == "tsv" else ",").join(columns.columns).encode() + b"\n")
    path = tmp_path / f"r.{suffix}"
    path.write_bytes(gzip.compress(content.getvalue()) if path.suffix == ".gz" else content.getvalue())
    assert score_file(Scorer(small_run), path, tmp_path / "s.jsonl").requests == 0
    assert (tmp_path / "s.jsonl").read_text() == ""


@settings(max_examples=40)
@given(
    st.sampled_from(FORMATS),
    st.integers(0, 9),
    st.sampled_from(
        [
            ("history", [None]),
            ("history", None),
            ("candidates", None),
            ("action", ["a"]),
            ("labels", [["x"]] * 3),
            ("times", [1]),
            ("times", [1, 2**62 + 1]),
            ("time", -(2**63)),
        ]
    ),
)
def test_the_row_and_the_column_of_a_bad_value_are_named(suffix: str, row: int, bad: tuple[str, Any]) -> None:
    column, value = bad
    rows = [GOOD] * 10
    rows[row] = GOOD | {column: value}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "REQUESTS_AT_ONCE", 4)
        path = save(rows, Path(folder, f"r.{suffix}"))
        place = f"row {row + 1}" if suffix == "parquet" else f"line {row + LINES.get(suffix, 1)}"
        with pytest.raises(DataError) as raised:
            list(read_requests(path, FIELDS))
    assert str(raised.value).startswith(f"{path}: {place}: column {column!r}: found ")
    assert "; expected " in str(raised.value)


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("history", "i1|i2", 'a list of strings or integers as JSON, for example ["a", "b"]; write text in'),
        ("history", "i1 i2", "a list of strings or integers as JSON"),
        ("history", "i1", "a list of strings or integers as JSON"),
        ("history", "['i1', 'i2']", "write text in double quotes"),
        ("history", '["i1", "i2"', "a list of strings or integers as JSON"),
        ("history", "[1.5, 2]", "a list of strings or integers as JSON"),
        ("history", "[null, 2]", "a list of strings or integers as JSON"),
        ("history", '{"i1": 1}', "a list of strings or integers as JSON"),
        ("candidates", "", "a list of strings or integers, [] for none and never an empty cell"),
        ("dwell", '["1", 2]', "a list of finite numbers as JSON"),
        ("labels", '["x", "y"]', 'lists of strings or integers as JSON, for example [["a", "b"], []]'),
        ("position", "high", "finite numbers, or an empty cell where there is none"),
        ("position", "inf", "finite numbers"),
        ("time", "31.01.2024", "integers, seconds since 1970"),
        ("time", "1.5", "integers, seconds since 1970"),
    ],
)  # fmt: skip
def test_a_cell_of_csv_that_does_not_hold_its_field_says_how_to_write_it(
    tmp_path: Path, column: str, cell: str, expected: str
) -> None:
    path = save([GOOD, GOOD], tmp_path / "r.csv")
    table = pl.read_csv(path, infer_schema=False)
    odd = pl.when(pl.int_range(pl.len()) == 1).then(pl.lit(cell)).otherwise(column).alias(column)
    table.with_columns(odd).write_csv(path, quote_style="non_numeric")
    with pytest.raises(DataError) as raised:
        list(read_requests(path, FIELDS))
    found = "nothing" if not cell else cell if cell == "inf" else repr(cell)
    place, _, wanted = str(raised.value).partition("; expected ")
    assert place == f"{path}: line 3: column {column!r}: found {found}"
    assert expected in wanted


@settings(max_examples=100)
@given(
    st.sampled_from(FORMATS),
    st.lists(request_rows(), min_size=1, max_size=4),
    st.sampled_from(["cut", "flip", "insert", "drop"]),
    st.floats(0, 1, exclude_max=True),
    st.booleans(),
)
def test_a_damaged_file_is_read_or_refused_by_its_name_but_never_a_traceback(
    suffix: str, rows: list[dict[str, Any]], harm: str, where: float, inside: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = save(rows, Path(folder, f"r.{suffix}"))
        zipped = inside and path.suffix == ".gz"
        content = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
        at = int(where * len(content))
        content = {
            "cut": content[:at],
            "flip": content[:at] + bytes(byte ^ 0x55 for byte in content[at : at + 1]) + content[at + 1 :],
            "insert": content[:at] + b"\xff" + content[at:],
            "drop": content[:at] + content[at + 3 :],
        }[harm]
        path.write_bytes(gzip.compress(content) if zipped else content)
        try:
            parts = list(read_requests(path, FIELDS))
        except DataError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert all(part[name].dtype == TYPES[name] for part in parts for name in part.columns)


@settings(max_examples=30)
@given(
    st.sampled_from(["parquet", "jsonl", "csv"]),
    st.sampled_from([OSError(28, "No space left on device"), KeyboardInterrupt(), DataError("bad")]),
    st.none() | st.binary(max_size=9),
    st.integers(1, 3),
)
def test_when_scoring_or_writing_fails_parts_alone_are_left_and_it_can_go_on(
    small_run: Run, suffix: str, failure: BaseException, before: bytes | None, after: int
) -> None:
    scored: list[int] = []

    def fail_later(count: int) -> None:
        scored.append(count)
        if len(scored) == after:
            raise failure

    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "REQUESTS_AT_ONCE", 1)
        folder = Path(name)
        save([GOOD] * 3, folder / "r.jsonl")
        out = folder / f"s.{suffix}"
        if before is not None:
            out.write_bytes(before)
        files = sorted(folder.iterdir())
        wanted = DataError if isinstance(failure, OSError) else type(failure)
        with pytest.raises(wanted):
            score_file(Scorer(small_run), folder / "r.jsonl", out, fail_later)
        assert [path for path in sorted(folder.iterdir()) if path.suffix != ".parts"] == files
        assert before is None or out.read_bytes() == before
        score_file(Scorer(small_run), folder / "r.jsonl", out, resume=True)
        assert sorted(folder.iterdir()) == sorted({*files, out})


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "csv.gz"])
def test_requests_of_many_blocks_of_bytes_are_read_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK", 7)
    monkeypatch.setattr(csv_text, "_BLOCK_OF_FEW_ROWS", 1000)
    monkeypatch.setattr(streams, "BLOCK_BYTES", 2000)
    rows = [GOOD | {"time": k} for k in range(50)]
    parts = list(read_requests(save(rows, tmp_path / f"r.{suffix}"), FIELDS))
    assert len(parts) > 1
    assert pl.concat(parts)["time"].to_list() == list(range(50))
