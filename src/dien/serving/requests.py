"""Files of scoring requests: read, checked, encoded, scored, and the scores written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dien.data.ragged import to_offsets
from dien.data.readers.lines import LineFile
from dien.errors import DataError
from dien.files import not_written, replacing
from dien.serving.features import Field, plain
from dien.serving.scorer import Scorer

REQUESTS_AT_ONCE = 4096
_EXPECTED = "a request has user (an id), history and candidates (lists of ids), and the features"


@dataclass
class ScoredFile:
    """What scoring a file came to.

    Attributes:
        requests: how many.
        candidates: of all requests.
        unknown_candidates: candidates the RUN does not know.
        unknown_users: requests whose user the RUN does not know.
        missing_context: context features of the RUN that no request has: they counted as unknown.
        missing_behaviours: behaviour features, and ``times`` and ``time``, likewise.
    """

    requests: int = 0
    candidates: int = 0
    unknown_candidates: int = 0
    unknown_users: int = 0
    missing_context: tuple[str, ...] = ()
    missing_behaviours: tuple[str, ...] = ()


def score_file(
    scorer: Scorer, requests: Path, out: Path, progress: Callable[[int], None] | None = None
) -> ScoredFile:
    """Score every request of a file; memory does not grow with it.

    Args:
        scorer: the model.
        requests: Parquet or JSON lines (by its suffix ``.parquet``, ``.jsonl`` or ``.jsonl.gz``) with
            ``user``, ``history``, ``candidates`` and the RUN's context features (lists where multi-valued);
            the RUN's behaviour features as lists with a value for each entry of the history; and, where it
            has ``time_since``, ``times`` of these entries and ``time`` of the request, in seconds.
        out: ``.parquet`` or ``.jsonl``, a line for each request: ``user``, ``candidates`` and ``scores``.
        progress: called with the number of requests just scored.

    Raises:
        DataError: a file cannot be read or written, or a request is not as expected; nothing is left at
            ``out`` then but what was there before.
    """
    writers: dict[str, type[_ParquetWriter] | type[_LinesWriter]]
    writers = {".parquet": _ParquetWriter, ".jsonl": _LinesWriter}
    writer = writers.get(out.suffix)
    if writer is None:
        raise DataError(f"{out}: expected a name ending in .parquet or .jsonl")
    if not out.parent.is_dir():
        raise DataError(f"{out.parent}: no such folder; make it first")
    result, fields = ScoredFile(), scorer.fields
    lacking = [field.name for field in fields.all]
    try:
        with replacing(out) as new, writer(new) as file:
            for table in read_requests(requests, fields.all):
                lacking = [name for name in lacking if name not in table.columns]
                scores, unknown_candidates, unknown_users = _score(scorer, table)
                file.write(table, scores)
                result.requests += table.height
                result.candidates += int(scores.list.len().sum())
                result.unknown_candidates += unknown_candidates
                result.unknown_users += unknown_users
                if progress:
                    progress(table.height)
        if result.requests:
            result.missing_context = _named(fields.context, lacking)
            result.missing_behaviours = _named((*fields.behaviours, *fields.times), lacking)
    except OSError as error:
        raise DataError(not_written(out, error)) from error
    return result


def _named(fields: Sequence[Field], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(field.name for field in fields if field.name in names)


def _score(scorer: Scorer, table: pl.DataFrame) -> tuple[pl.Series, int, int]:
    """Find the scores of each request, and how many candidates and users are unknown."""
    run, fields = scorer.run, scorer.fields
    history, candidates = (run.item_ids.encode(_flat(table[name])) for name in ("history", "candidates"))
    lengths, counts = (_lengths(table[name]) for name in ("history", "candidates"))
    user = run.user_ids.encode(table["user"])
    of_history = [field.name for field in fields.all if field.of_history and field.name in table.columns]
    scores = scorer.score_rows(
        user=user,
        history=history,
        lengths=lengths,
        candidates=candidates,
        counts=counts,
        context=fields.encode_context(table.to_dict(), table.height),
        behaviours=fields.encode_behaviours(
            {name: _entries(table[name], lengths) for name in of_history},
            lengths,
            table["time"] if "time" in table.columns else None,
        ),
    )
    parts = pa.LargeListArray.from_arrays(to_offsets(counts), scores)
    lists = pl.Series(pl.from_arrow(parts))
    return lists, int((candidates == 0).sum()), int((user == 0).sum())


def _lengths(lists: pl.Series) -> NDArray[np.int64]:
    return lists.list.len().fill_null(0).to_numpy().astype(np.int64)


def _flat(lists: pl.Series) -> pl.Series:
    """Join lists; nulls within them stay."""
    filled = lists.list.len().fill_null(0) > 0  # explode would put a null in place of an empty list
    values: pl.Series = lists.filter(filled).explode()
    return values


def _entries(lists: pl.Series, lengths: NDArray[np.int64]) -> pl.Series:
    """Join lists that are as long as histories ``[R]``; in place of a null one come as many nulls."""
    given = np.repeat(lists.is_not_null().to_numpy(), lengths)  # [N]
    place = np.cumsum(given) - 1
    return _flat(lists).gather(pl.Series(place).set(pl.Series(~given), None))


def read_requests(path: Path, fields: Sequence[Field]) -> Iterator[pl.DataFrame]:
    """Read requests some thousand at a time.

    Args:
        path: Parquet or JSON lines.
        fields: what to look for; each that is not required may be missing.

    Yields:
        Tables with a column for each field that the file has, of its type.

    Raises:
        DataError: the file, its row and field, and what was expected.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected Parquet or JSON lines of requests")
    if path.suffix == ".parquet":
        return _read_parquet(path, fields)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return _read_lines(path, fields)
    raise DataError(f"{path}: expected a name ending in .parquet, .jsonl or .jsonl.gz")


def _read_parquet(path: Path, fields: Sequence[Field]) -> Iterator[pl.DataFrame]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error
    schema = file.schema_arrow
    fields = [f for f in fields if f.required or f.name in schema.names]
    for field in fields:
        if field.name not in schema.names:
            raise DataError(f"{path}: no column {field.name}; {_EXPECTED}")
        kind = schema.field(field.name).type
        if not _holds(kind, field):
            raise DataError(f"{path}: column {field.name} is {kind}, expected {field.expected}")
    before = 0
    for batch in file.iter_batches(REQUESTS_AT_ONCE, columns=[field.name for field in fields]):
        try:
            table = pl.DataFrame(pl.from_arrow(batch)).select(
                pl.col(field.name).cast(field.dtype) for field in fields
            )
        except pl.exceptions.PolarsError as error:  # an integer that 64 bits do not hold
            raise DataError(f"{path}: rows from {before}: {error}") from error
        _check(table, fields, partial(_name_row, path, before))
        before += table.height
        yield table


def _name_row(path: Path, before: int, row: int) -> str:
    return f"{path}: row {before + row}"


def _holds(kind: pa.DataType, field: Field) -> bool:
    """Whether a column of this type can hold a field."""
    if pa.types.is_null(kind):
        return field.nullable
    if field.depth:
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
        return bool(is_list) and _holds(kind.value_type, field.entry)
    if pa.types.is_integer(kind):
        return True
    if field.leaf == "number":
        return bool(pa.types.is_floating(kind))
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    return field.leaf == "id" and bool(text)


def _read_lines(path: Path, fields: Sequence[Field]) -> Iterator[pl.DataFrame]:
    struct = msgspec.defstruct("Request", sorted(map(_line_field, fields), key=len))
    decode = msgspec.json.Decoder(struct).decode

    def table(requests: list[Any], lines: list[int]) -> pl.DataFrame:
        given = [f for f in fields if any(getattr(r, f.name) is not msgspec.UNSET for r in requests)]
        columns = {
            f.name: [plain(_or_none(getattr(r, f.name)), f.leaf, f.depth) for r in requests] for f in given
        }
        made = pl.DataFrame(columns, schema={f.name: f.dtype for f in given})
        _check(made, given, lambda row: f"{path}:{lines[row]}")
        return made

    requests: list[Any] = []
    lines: list[int] = []
    for number, line in LineFile(path):
        try:
            requests.append(decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{path}:{number}: {error}; {_EXPECTED}") from error
        lines.append(number)
        if len(requests) == REQUESTS_AT_ONCE:
            yield table(requests, lines)
            requests, lines = [], []
    if requests:
        yield table(requests, lines)


_LINE_TYPES: dict[str, Any] = {
    "id": str | int,
    "number": float,
    "time": Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)],
}


def _line_field(field: Field) -> tuple[Any, ...]:
    kind = _LINE_TYPES[field.leaf]
    for _ in range(field.depth):
        kind = list[kind if field.required else kind | None]  # type: ignore[misc]  # made at run time
    if not field.nullable:
        return field.name, kind
    return (field.name, kind | None) if field.required else (field.name, kind | None, msgspec.UNSET)


def _or_none(value: Any) -> Any:
    return None if value is msgspec.UNSET else value


def _check(table: pl.DataFrame, fields: Sequence[Field], where: Callable[[int], str]) -> None:
    """Check what a column's type does not say.

    Raises:
        DataError: the first row, named by ``where``, in which a field is not as expected.
    """

    def refuse(bad: pl.Series, field: Field, what: str) -> None:
        if bad.any():
            raise DataError(f"{where(int(bad.arg_true()[0]))}: {field.name} {what}")

    history = table["history"].list.len()
    for field in fields:
        column = table[field.name]
        if not field.nullable:
            null = column.is_null() | column.list.eval(pl.element().is_null()).list.any()
            refuse(null, field, "or one of its ids is null; give [] for none")
    for field in fields:
        column = table[field.name]
        if field.of_history:
            other = (column.list.len() != history).fill_null(False)
            refuse(other, field, "has another length than history, expected a value for each of its items")
        if field.leaf == "number":
            infinite = (
                column.is_infinite()
                if not field.depth
                else column.list.eval(pl.element().is_infinite()).list.any()
            )
            refuse(infinite.fill_null(False), field, f"is infinite, expected {field.expected}")


class _ParquetWriter:
    _SCHEMA = pa.schema(
        [
            ("user", pa.large_string()),
            ("candidates", pa.large_list(pa.large_string())),
            ("scores", pa.large_list(pa.float64())),
        ]
    )

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetWriter(path, self._SCHEMA)

    def __enter__(self) -> _ParquetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, table: pl.DataFrame, scores: pl.Series) -> None:
        scored = table.select("user", "candidates", scores=scores)
        self._file.write_table(scored.to_arrow().cast(self._SCHEMA))


class _LinesWriter:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def __enter__(self) -> _LinesWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, table: pl.DataFrame, scores: pl.Series) -> None:
        for row in table.select("user", "candidates", scores=scores).iter_rows(named=True):
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
