"""Samples of published data sets as they get broken on their way: refused in a line, or whole and told.

The road is infer, check and prepare, with the draft or with the ready schema. ``DIEN_FUZZ=all`` tries 500.
"""

import csv
import gzip
import io
import json
import os
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from dien.data.sources.table import TableSpec, check, infer, prepare
from dien.data.sources.table.ready import READY
from dien.errors import DataError
from dien.yaml_text import parse_yaml
from tests.data.sources.table import samples
from tests.data.sources.table.test_ready import accounted, command, tables

Rows = list[dict[str, Any]]
MANY = 500 if os.environ.get("DIEN_FUZZ") == "all" else 12
_YEAR_1990 = 631_152_000
_OVER_LINES = "fields in quotes that run over lines (kept)"

_NAMES = ["user", "item", "time", "label", "id", "ID ", "", " timestamp", "click", "Ünï", "a,b", "0"]
_CELLS: list[Callable[[Any], Any]] = [
    str, lambda v: "", lambda v: None, lambda v: "NA", lambda v: "\\N", lambda v: f"{v}.0", lambda v: f"x{v}",
    lambda v: f" {v} ", lambda v: str(v).upper(), lambda v: str(v).lstrip("0"), lambda v: f"0{v}",
    lambda v: "-1", lambda v: "05.01.2024", lambda v: "2024-01-05 10:00:00", lambda v: 20_240_105,
    lambda v: f"[{v}]", lambda v: [v], lambda v: {"v": v}, lambda v: "½\u202e", lambda v: f'{v}"',
    lambda v: "1,5", lambda v: 1e300, lambda v: _times(v, 1000), lambda v: _times(v, 0.001),
    lambda v: _times(v, -1), lambda v: 99, lambda v: 0,
]  # fmt: skip


def _times(value: Any, factor: float) -> Any:
    try:
        return int(float(value) * factor)
    except (TypeError, ValueError, OverflowError):
        return value


def _mutated(rows: Rows, draw: random.Random) -> Rows:
    names = list(rows[0])
    one, other = draw.choice(names), draw.choice(names)
    change = draw.choice(_CELLS)
    match draw.randrange(8):
        case 0:
            return [{name: value for name, value in row.items() if name != one} for row in rows]
        case 1:
            return [{**row, one: row.get(other), other: row.get(one)} for row in rows]
        case 2:
            new = draw.choice([*_NAMES, one.upper()])
            return [{(new if name == one else name): value for name, value in row.items()} for row in rows]
        case 3:
            return [{**row, one: change(row.get(one))} for row in rows]
        case 4:
            return [{**row, one: change(row.get(one))} if draw.random() < 0.1 else row for row in rows]
        case 5:
            place = draw.randrange(len(rows))
            return [{**row, one: change(row.get(one))} if k == place else row for k, row in enumerate(rows)]
        case 6:
            return rows[: draw.choice([1, 2, 30])]
        case _:
            return [*rows, *draw.sample(rows, min(20, len(rows)))]


class _File:
    """A file of a sample as rows, which can be written again as it was.

    Args:
        path: the file.
        columns: names of its columns, where it has no header.
    """

    def __init__(self, path: Path, columns: tuple[str, ...] | None) -> None:
        self.path = path
        self.columns = columns
        self.rows = self._read()

    def _read(self) -> Rows:
        if self.path.suffix == ".parquet":
            return pl.read_parquet(self.path).to_dicts()
        self.text = self.path.read_bytes()
        if self.path.suffix == ".gz":
            self.text = gzip.decompress(self.text)
        if self.text.startswith(b"{"):
            return [json.loads(line) for line in self.text.splitlines()]
        first = self.text.split(b"\n", 1)[0]
        self.tabs, self.semicolons = b"\t" in first, b";" in first
        lines = list(csv.reader(io.StringIO(self.text.decode()), **self._dialect()))  # type: ignore[arg-type]
        names = self.columns or tuple(lines.pop(0))
        return [dict(zip(names, line, strict=True)) for line in lines]

    def _dialect(self) -> dict[str, Any]:
        if self.semicolons:
            return {"delimiter": ";"}
        return {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None} if self.tabs else {}

    def write(self, rows: Rows) -> None:
        """Write other rows in its place."""
        if self.path.suffix == ".parquet":
            try:
                frame = pl.DataFrame(rows, infer_schema_length=None)
            except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
                frame = pl.DataFrame([{name: str(value) for name, value in row.items()} for row in rows])
            frame.write_parquet(self.path)
        elif self.text.startswith(b"{"):
            self.write_bytes("".join(json.dumps(row) + "\n" for row in rows).encode())
        else:
            text = io.StringIO()
            writer = csv.writer(
                text, lineterminator="\n", escapechar="\\" if self.tabs else None, **self._dialect()
            )
            if self.columns is None:
                writer.writerow(rows[0])
            writer.writerows(row.values() for row in rows)
            self.write_bytes(text.getvalue().encode())

    def write_bytes(self, text: bytes) -> int:
        """Write other text in its place; returns its rows."""
        self.path.write_bytes(gzip.compress(text, 1) if self.path.suffix == ".gz" else text)
        lines = [line for line in text.replace(b"\r\n", b"\n").split(b"\n") if line.strip()]
        return len(lines) - (self.columns is None and not self.text.startswith(b"{"))


def _torn(text: bytes, draw: random.Random) -> bytes:
    """Break a file of text as programs, disks and people do."""
    place = draw.randrange(len(text))
    end = min(len(text), place + draw.randrange(1, 40))
    return draw.choice([
        lambda: text[:place],
        lambda: text[:place] + text[end:],
        lambda: text[:place] + b"\n" + text[place:],
        lambda: text[:place] + b'"' + text[place:],
        lambda: text[:place] + b"\xff" + text[place:],
        lambda: text[:place] + b"\0" + text[place:],
        lambda: text.replace(b"\n", b"\r\n"),
        lambda: text.replace(b",", b";"),
        lambda: text.replace(b"\t", b","),
        lambda: b"\xef\xbb\xbf" + text,
        lambda: text.decode().encode("utf-16"),
        lambda: text.replace(b"e", "é".encode("latin-1")),
        lambda: text.partition(b"\n")[2],
    ])()  # fmt: skip


def _files_of(paths: list[Path]) -> list[Path]:
    """Name the files, those inside folders among them."""
    return [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]


def _road(number: int, folder: Path) -> str:
    """Mutate a file of a sample and take the road; returns how it ended."""
    draw = random.Random(number)
    name = draw.choice(sorted(set(READY) - {"book-crossing"}))  # whose backslashes _File does not write
    samples.write(name, folder)
    given = {part: _files_of(paths) for part, paths in tables(command(name), folder).items()}
    table = draw.choice(["interactions", "interactions", *given])
    ready = TableSpec.load(Path(name))
    files = {path: _File(path, getattr(ready, part).columns) for part in given for path in given[part]}
    one = files[draw.choice(given[table])]
    counts = {path: len(file.rows) for path, file in files.items()}
    if one.path.suffix == ".parquet" or draw.random() < 0.6:
        rows = _mutated(one.rows, draw)
        one.write(rows)
        counts[one.path] = len(rows)
    else:
        torn = _torn(one.text, draw)
        counts[one.path] = one.write_bytes(torn)
        if torn.startswith((b"\xff\xfe", b"\xfe\xff")):
            counts[one.path] = len(one.rows)
    refusal = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if draw.random() < 0.5:
                spec = ready
            else:
                given.pop("behaviours", None)
                draft = infer(given["interactions"], given.get("items"), given.get("users"))
                spec = TableSpec.of(parse_yaml(draft), "draft")
            checked = check(spec, **given)
            data = prepare(**given, out=folder / "data", schema=spec)
        except DataError as error:
            refusal = str(error)
    if refusal is not None:
        assert refusal, number
        assert "\n" not in refusal, number
        assert not (folder / "data").exists(), number
        return "refused"
    said = " ".join(str(one.message) for one in caught)
    roles = spec.interactions
    if checked.first < _YEAR_1990 and not checked.ordered and roles.time_unit is None:
        assert "before 1990" in said, (number, name)
    for join in checked.joins:
        assert join.met >= 0.1 * join.ids or "the others have no known feature" in said, (number, name)
    if roles.page is None and roles.history is None:
        log = sum(counts[path] for path in given["interactions"])
        over_lines = _OVER_LINES in data.info.excluded
        assert accounted(data) == log or over_lines, (number, name, log, data.info.excluded)
    return "read"


def test_a_mutated_sample_is_refused_in_a_line_or_is_whole_and_told(tmp_path: Path) -> None:
    ends = {"refused": 0, "read": 0}
    for number in range(MANY):
        folder = tmp_path / str(number)
        folder.mkdir()
        ends[_road(number, folder)] += 1
    assert min(ends.values()) >= MANY // 6, ends
