"""Files of scoring requests: read, checked, encoded, scored, and the scores written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from dien.data.log import DataError
from dien.data.ragged import to_offsets
from dien.data.sources.lines import LineFile
from dien.serving.scorer import Scorer

REQUESTS_AT_ONCE = 4096
_EXPECTED = "a request has user (an id), history and candidates (lists of ids), and the context features"
_IDS = pl.List(pl.String)


@dataclass
class ScoredFile:
    """What scoring a file came to.

    Attributes:
        requests: how many.
        candidates: of all requests.
        unknown_candidates: candidates the RUN does not know.
        unknown_users: requests whose user the RUN does not know.
        missing_context: context features of the RUN that the file lacks: they counted as unknown.
    """

    requests: int = 0
    candidates: int = 0
    unknown_candidates: int = 0
    unknown_users: int = 0
    missing_context: tuple[str, ...] = ()


def score_file(
    scorer: Scorer, requests: Path, out: Path, progress: Callable[[int], None] | None = None
) -> ScoredFile:
    """Score every request of a file; memory does not grow with it.

    Args:
        scorer: the model.
        requests: Parquet or JSON lines (by its suffix ``.parquet``, ``.jsonl`` or ``.jsonl.gz``) with
            ``user``, ``history``, ``candidates`` and the RUN's context features.
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
    result = ScoredFile()
    temporary = out.with_name(f".{out.name}.{os.getpid()}.new")
    try:
        with writer(temporary) as file:
            for table in read_requests(requests, scorer.context):
                result.missing_context = tuple(n for n in scorer.context if n not in table.columns)
                scores, unknown_candidates, unknown_users = _score(scorer, table)
                file.write(table, scores)
                result.requests += table.height
                result.candidates += int(scores.list.len().sum())
                result.unknown_candidates += unknown_candidates
                result.unknown_users += unknown_users
                if progress:
                    progress(table.height)
        temporary.rename(out)
    except OSError as error:
        raise DataError(f"{out}: could not be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return result


def _score(scorer: Scorer, table: pl.DataFrame) -> tuple[pl.Series, int, int]:
    """Scores of each request, and how many candidates and users are unknown."""
    run = scorer.run
    history, candidates = (
        run.item_ids.encode(table[name].explode().drop_nulls()) for name in ("history", "candidates")
    )
    counts = table["candidates"].list.len().to_numpy().astype(np.int64)
    user = run.user_ids.encode(table["user"])
    unknown = pl.Series([None], dtype=pl.String).new_from_index(0, table.height)
    scores = scorer.score_rows(
        user=user,
        history=history,
        lengths=table["history"].list.len().to_numpy().astype(np.int64),
        candidates=candidates,
        counts=counts,
        context={
            name: run.vocabularies[name].encode(table[name] if name in table.columns else unknown)
            for name in scorer.context
        },
    )
    parts = pa.LargeListArray.from_arrays(to_offsets(counts), scores)
    lists = pl.Series(pl.from_arrow(parts))
    return lists, int((candidates == 0).sum()), int((user == 0).sum())


def read_requests(path: Path, context: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Read requests some thousand at a time.

    Args:
        path: Parquet or JSON lines.
        context: context features to look for; each may be missing.

    Yields:
        Tables with ``user`` (String), ``history`` and ``candidates`` (lists of String), and the context
        features (String) that the file has.

    Raises:
        DataError: the file, its row and column, and what was expected.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected Parquet or JSON lines of requests")
    if path.suffix == ".parquet":
        return _read_parquet(path, context)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return _read_lines(path, context)
    raise DataError(f"{path}: expected a name ending in .parquet, .jsonl or .jsonl.gz")


def _read_parquet(path: Path, context: Sequence[str]) -> Iterator[pl.DataFrame]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error
    schema = file.schema_arrow
    columns = ["user", "history", "candidates", *(name for name in context if name in schema.names)]
    for name in columns:
        if name not in schema.names:
            raise DataError(f"{path}: no column {name}; {_EXPECTED}")
        kind = schema.field(name).type
        if name in ("history", "candidates"):
            fits = _is_list(kind) and _is_id(kind.value_type)
            expected = "a list of strings or integers"
        else:
            fits, expected = _is_id(kind) or pa.types.is_null(kind), "strings or integers"
        if not fits:
            raise DataError(f"{path}: column {name} is {kind}, expected {expected}")
    before = 0
    for batch in file.iter_batches(REQUESTS_AT_ONCE, columns=columns):
        table = pl.DataFrame(pl.from_arrow(batch)).with_columns(
            pl.col("history", "candidates").cast(_IDS),
            pl.exclude("history", "candidates").cast(pl.String),
        )
        for name in ("history", "candidates"):
            bad = table[name].is_null() | table[name].list.eval(pl.element().is_null()).list.any()
            if bad.any():
                row = before + int(bad.arg_true()[0])
                raise DataError(f"{path}: row {row}: {name} or one of its ids is null; give [] for none")
        before += table.height
        yield table


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_id(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_dictionary(kind)
    )


def _read_lines(path: Path, context: Sequence[str]) -> Iterator[pl.DataFrame]:
    ids, maybe = list[str | int], str | int | None
    fields: list[Any] = [("user", maybe), ("history", ids), ("candidates", ids)]
    fields += [(name, maybe, msgspec.UNSET) for name in context]
    decode = msgspec.json.Decoder(msgspec.defstruct("Request", fields)).decode
    schema: dict[str, Any] = {"user": pl.String, "history": _IDS, "candidates": _IDS}

    def table(requests: list[Any]) -> pl.DataFrame:
        given = [n for n in context if any(getattr(r, n) is not msgspec.UNSET for r in requests)]
        columns: dict[str, list[Any]] = {
            "user": [_text(r.user) for r in requests],
            "history": [[str(i) for i in r.history] for r in requests],
            "candidates": [[str(i) for i in r.candidates] for r in requests],
            **{name: [_text(getattr(r, name)) for r in requests] for name in given},
        }
        return pl.DataFrame(columns, schema={**schema, **dict.fromkeys(given, pl.String)})

    requests: list[Any] = []
    for number, line in LineFile(path):
        try:
            requests.append(decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{path}:{number}: {error}; {_EXPECTED}") from error
        if len(requests) == REQUESTS_AT_ONCE:
            yield table(requests)
            requests = []
    if requests:
        yield table(requests)


def _text(value: Any) -> str | None:
    return None if value is None or value is msgspec.UNSET else str(value)


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
