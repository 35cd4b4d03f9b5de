"""Scoring a file: requests read, encoded and scored some thousand at a time, and the scores written."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dien.data.ragged import row_of, to_offsets
from dien.errors import DataError
from dien.files import not_written, replacing
from dien.progress import Progress
from dien.serving.features import Described, Field
from dien.serving.requests import read_requests
from dien.serving.scorer import Scorer

_Write = Callable[[pl.DataFrame], object]
"""Writes some rows of ``user``, ``candidates`` and ``scores``."""


@dataclass
class ScoredFile:
    """What scoring a file came to.

    Attributes:
        requests: how many.
        candidates: of all requests.
        unknown_candidates: candidates the run does not know.
        unknown_users: requests whose user the run does not know.
        behaviours: entries of all histories.
        unknown_behaviours: those whose item the run does not know.
        described_candidates: candidates of which the request gives a feature (docs/requests.md).
        described_users: users, likewise.
        missing_context: context features of the run that no request has: they counted as unknown.
        missing_behaviours: behaviour features, and ``times`` and ``time``, likewise.
    """

    requests: int = 0
    candidates: int = 0
    unknown_candidates: int = 0
    unknown_users: int = 0
    behaviours: int = 0
    unknown_behaviours: int = 0
    described_candidates: int = 0
    described_users: int = 0
    missing_context: tuple[str, ...] = ()
    missing_behaviours: tuple[str, ...] = ()


def score_file(scorer: Scorer, requests: Path, out: Path, progress: Progress | None = None) -> ScoredFile:
    """Score every request of a file; memory does not grow with it.

    Args:
        scorer: the model.
        requests: Parquet, JSON lines or CSV, by its suffix; in CSV, lists are JSON
            (:mod:`dien.serving.requests`). It has ``user``, ``history``, ``candidates`` and the run's context
            features (lists where multi-valued); the run's behaviour features as lists with a value for each
            entry of the history; and, where it has ``time_since``, ``times`` of these entries and ``time``
            of the request, in seconds since 1970.
        out: ``.parquet``, ``.jsonl`` or ``.csv``, a row for each request: ``user``, ``candidates`` and
            ``scores``, and ``conversions`` (the probability that a click leads to one) where the run predicts
            them; in CSV all but the first as JSON.
        progress: called with the number of requests just scored.

    Raises:
        DataError: a file cannot be read or written, ``out`` is the file of requests or one of the run, or a
            request is not as expected; nothing is left at ``out`` then but what was there before.
    """
    writer = _WRITERS.get(out.suffix)
    if writer is None:
        raise DataError(f"{out}: unknown kind of file; expected a name ending in {', '.join(_WRITERS)}")
    if not out.parent.is_dir():
        raise DataError(f"{out.parent}: no such folder; make it first")
    _expect_free(out, requests, scorer.run.path)
    result, fields = ScoredFile(), scorer.fields
    lacking = [field.name for field in fields.all]
    try:
        columns = _CONVERSIONS if scorer.predicts_conversions else _SCORES
        with replacing(out) as new, writer(new, columns) as write:
            for table in read_requests(requests, fields.all):
                lacking = [name for name in lacking if name not in table.columns]
                scores = _score(scorer, table, result)
                write(table.select("user", "candidates", **scores))
                if progress:
                    progress(table.height)
        if result.requests:
            result.missing_context = _named(fields.context, lacking)
            result.missing_behaviours = _named((*fields.behaviours, *fields.times), lacking)
    except OSError as error:
        raise DataError(not_written(out, error)) from error
    return result


def _expect_free(out: Path, requests: Path, run: Path) -> None:
    """Refuse to replace what is read, whatever it is called: the requests, or a file of the run."""
    try:
        same = out.samefile(requests)
    except OSError:  # one of them is not there
        same = False
    if same:
        raise DataError(f"{out}: is the file of requests, which would be lost; choose another path")
    place, folder = Path(os.path.realpath(out)), Path(os.path.realpath(run))
    if place.is_relative_to(folder) and (place.parent != folder or place.stem == "metrics"):
        raise DataError(f"{out}: is a place of files of the run; choose another path")


def _named(fields: Sequence[Field], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(field.name for field in fields if field.name in names)


def _score(scorer: Scorer, table: pl.DataFrame, result: ScoredFile) -> dict[str, pl.Series]:
    """Find the scores of each request by column, and add to the result what they are of."""
    known, fields = scorer.catalogue, scorer.fields
    history, candidates = (known.item_ids.encode(_flat(table[name])) for name in ("history", "candidates"))
    lengths, counts = (_lengths(table[name]) for name in ("history", "candidates"))
    user = known.user_ids.encode(table["user"])

    def entries(wanted: Sequence[Field], lengths: NDArray[np.int64]) -> dict[str, pl.Series]:
        names = (field.name for field in wanted if field.name in table.columns)
        return {name: _entries(table[name], lengths) for name in names}

    since = pl.Series([], dtype=pl.Int64)
    if fields.times and {"times", "time"} <= set(table.columns):
        now = table["time"].gather(row_of(lengths))
        since = now - _entries(table["times"], lengths)
    items = fields.encode_described(entries(fields.candidates, counts))
    users = fields.encode_described(
        {field.name: table[field.name] for field in fields.user if field.name in table.columns}
    )
    scores = scorer.score_rows(
        user=user,
        history=history,
        lengths=lengths,
        candidates=candidates,
        counts=counts,
        context=fields.encode_context(table.to_dict(), table.height),
        behaviours=fields.encode_behaviours(entries(fields.behaviours, lengths), len(history), since),
        candidate_features=items,
        user_features=users,
        conversions=scorer.predicts_conversions,
    )
    result.requests += table.height
    result.candidates += len(candidates)
    result.unknown_candidates += int((candidates == 0).sum())
    result.unknown_users += int((user == 0).sum())
    result.behaviours += len(history)
    result.unknown_behaviours += int((history == 0).sum())
    result.described_candidates += _described(items)
    result.described_users += _described(users)
    found = [scores] if scores.ndim == 1 else list(scores)
    return {
        name: pl.Series(pl.from_arrow(pa.LargeListArray.from_arrays(to_offsets(counts), values)))
        for name, values in zip(("scores", "conversions"), found, strict=False)
    }


def _described(features: Described) -> int:
    """Count the rows that have any of their features given."""
    return int(np.any([known for _, known in features.values()], axis=0).sum()) if features else 0


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


_SCORES = pa.schema(
    [
        ("user", pa.large_string()),
        ("candidates", pa.large_list(pa.large_string())),
        ("scores", pa.large_list(pa.float64())),
    ]
)

_CONVERSIONS = _SCORES.append(pa.field("conversions", pa.large_list(pa.float64())))


@contextmanager
def _parquet(path: Path, columns: pa.Schema) -> Iterator[_Write]:
    with pq.ParquetWriter(path, columns) as file:
        yield lambda rows: file.write_table(rows.to_arrow().cast(columns))


@contextmanager
def _json_lines(path: Path, _: pa.Schema) -> Iterator[_Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        yield lambda rows: file.writelines(_json(row) + "\n" for row in rows.iter_rows(named=True))


@contextmanager
def _csv(path: Path, columns: pa.Schema) -> Iterator[_Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns.names)
        yield lambda rows: writer.writerows(
            (user, *(_json(values) for values in lists)) for user, *lists in rows.iter_rows()
        )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


_WRITERS: dict[str, Callable[[Path, pa.Schema], AbstractContextManager[_Write]]] = {
    ".parquet": _parquet,
    ".jsonl": _json_lines,
    ".csv": _csv,
}
