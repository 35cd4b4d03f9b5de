"""Tables as people break them: refused by the name of the file, or every row is there or counted."""

import csv
import io
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from dien.data.prepare import impressions
from dien.data.prepare.splits import ByTime
from dien.data.sources.table import TableSpec, infer, read
from dien.errors import DataError

Rows = list[dict[str, Any]]

_SPEC = {
    "interactions": {"label": "label"},
    "features": {
        "item": {"category": None, "tags": {"kind": "multi"}, "price": {"kind": "numeric", "scale": "log"}},
        "user": {"age": {"kind": "numeric", "quantiles": 4}},
        "behaviour": {"dwell": {"kind": "numeric"}, "time_since": None},
        "context": {"device": None, "hour": {"from_time": "hour"}},
    },
}
_ODD: list[Any] = [
    None, "", 0, -1, 1.5, 1e308, 1.7976931348623157e308, float("nan"), float("inf"), "nan", "NULL", "\\N",
    "1e400",
    "0x10", "1_000", "1,5", "2024-01-05", "05.01.2024", 20240105, 1704067200000, 10**20, "9" * 400, "\u202e",
    "\x1b[31m", "a\tb", " u1 ", "\ufeff", "\0", '"', '"a', 'a"', "a\nb", True, "x" * 5000, "½", [1],
    ["a"], {"a": 1},
    [[1]], [None],
]  # fmt: skip
_BYTES: list[Callable[[bytes, random.Random], bytes]] = [
    lambda text, draw: text[: draw.randrange(len(text))],
    lambda text, draw: _with(text, draw, bytes([draw.randrange(256)])),
    lambda text, draw: _with(text, draw, draw.choice([b"\0", b"\xff", b"\xed\xa0\x80", b"\xc3", b"\x1a"])),
    lambda text, draw: _with(text, draw, b'"'),
    lambda text, draw: _with(_with(text, draw, b'"'), draw, b'"'),
    lambda text, draw: text.replace(b",", draw.choice([b";", b"|", b", "])),
    lambda text, draw: text.replace(b"\n", draw.choice([b"\r\n", b"\n\n", b"\r"])),
    lambda text, draw: b"\xef\xbb\xbf" + text,
    lambda text, draw: text.decode("latin-1").encode("utf-16"),
    lambda text, draw: draw.choice([b"\n", b"{}", b"[]", b"[" * 99_999, b'{"user":' * 9_999, b"\0" * 99]),
]


def _with(text: bytes, draw: random.Random, piece: bytes) -> bytes:
    place = draw.randrange(len(text))
    return text[:place] + piece + text[place:]


def _tables() -> dict[str, Rows]:
    draw = random.Random(1)
    log = [
        {"user": f"u{draw.randrange(9)}", "item": f"i{draw.randrange(12)}", "time": 1_704_067_200 + k * 600,
         "label": int(draw.random() < 0.4), "dwell": draw.choice([None, 1.5, 60.0]), "device": "web"}
        for k in range(80)
    ]  # fmt: skip
    items = [{"item": f"i{k}", "category": f"c{k % 4}", "tags": "a|b", "price": k * 1.5} for k in range(12)]
    return {"log": log, "items": items, "users": [{"user": f"u{k}", "age": 20 + k} for k in range(9)]}


def _mutated(rows: Rows, draw: random.Random) -> Rows:
    column, odd = draw.choice(list(rows[0])), draw.choice(_ODD)
    match draw.randrange(7):
        case 0:
            return [{name: value for name, value in row.items() if name != column} for row in rows]
        case 1:
            new = draw.choice(
                [column.upper(), f" {column}", "", f"{column}\n", f"\ufeff{column}", f'"{column}', "a/b"]
            )
            return [{new if name == column else name: value for name, value in row.items()} for row in rows]
        case 2:
            retyped = draw.choice([str, lambda v: [v], lambda v: {"v": v}, bool, lambda v: odd])
            return [{**row, column: retyped(row[column])} for row in rows]
        case 3:
            return rows[: draw.choice([0, 1, 2])]
        case 4:
            return rows + rows[: draw.randrange(1, len(rows))]
        case _:
            place = draw.randrange(len(rows))
            return [{**row, column: odd} if k == place else row for k, row in enumerate(rows)]


def _file(rows: Rows, kind: str) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["user", "item", "time", "label"]
    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    if kind == "parquet":
        columns = []
        for name in names:
            values = [row.get(name) for row in rows]
            try:
                columns.append(pa.array(values))
            except (pa.ArrowException, OverflowError):
                columns.append(pa.array([None if value is None else str(value) for value in values]))
        file = io.BytesIO()
        pyarrow.parquet.write_table(pa.table(columns, names=names), file)
        return file.getvalue()
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if kind == "tsv" else ",", lineterminator="\n")
    writer.writerow(names)
    writer.writerows([row.get(name) for name in names] for row in rows)
    return text.getvalue().encode()


def test_a_column_without_a_name_is_left_out_of_the_draft_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = (f"{k},u{k % 3},i{k % 4},{1_700_000_000 + k}\n" for k in range(20))
    path.write_text(",user,item,time\n" + "".join(rows))
    assert "it has no name" in infer([path], None, None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_a_mutated_table_is_refused_by_its_name_or_no_row_of_it_is_lost(kind: str, tmp_path: Path) -> None:
    ends = {"refused": 0, "read": 0}
    for number in range(45):
        draw = random.Random(f"{kind} {number}")
        tables = _tables()
        name = draw.choice(["log", "log", *tables])
        if rows_too := draw.random() < 0.6:
            tables[name] = _mutated(tables[name], draw)
        paths = {}
        for table, rows in tables.items():
            paths[table] = tmp_path / f"{table}.{kind}"
            content = _file(rows, kind)
            if table == name and not rows_too:
                content = draw.choice(_BYTES)(content, draw)
            paths[table].write_bytes(content)
        given = [paths["log"]], [paths["items"]], [paths["users"]]
        try:
            log = read(*given, TableSpec.of(_SPEC, "schema"))
            prepared = impressions(log, ByTime())
        except DataError as error:
            ends["refused"] += 1
            said = str(error)
            of_the_whole = "no training row" in said or "is not before test_from" in said
            assert of_the_whole or any(str(path) in said for path in paths.values()), said
            assert "\n" not in said
            continue
        ends["read"] += 1
        again = log.excluded.get("repeated interactions (same user, item, time and impression)", 0)
        if rows_too:
            assert len(log.events) + again == len(tables["log"]), (number, log.excluded)
        for feature in prepared.schema.features:
            if (mean := getattr(feature.encoder, "mean", None)) is not None:
                assert math.isfinite(mean)
                assert math.isfinite(feature.encoder.std)  # type: ignore[union-attr]
        if number % 4 == 0:
            try:
                infer(*given)
            except DataError as error:
                assert str(error)  # noqa: PT017
    assert min(ends.values()) >= 5, ends
