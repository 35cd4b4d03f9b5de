"""Scoring a file: requests read, encoded and scored some thousand at a time, and the scores written."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from dien.data.changing import LATEST
from dien.data.features import TIME_SINCE
from dien.data.ragged import row_of
from dien.data.readers.text_format import NOTHING_SAID, TextFormat
from dien.progress import Progress
from dien.serving.chunks import Wanted, file_told, score_chunks
from dien.serving.features import Field
from dien.serving.requests import read_requests
from dien.serving.scored import ChunkCounts, ScoredFile, by_column, described
from dien.serving.scorer import Scorer
from dien.serving.unknown_items import UnknownItems
from dien.serving.writing import lists_of


def score_file(
    scorer: Scorer,
    requests: Path,
    out: Path,
    progress: Progress | None = None,
    *,
    text: TextFormat = NOTHING_SAID,
    jobs: int = 1,
    resume: bool = False,
) -> ScoredFile:
    """Score every request of a file; memory does not grow with it.

    With several ``jobs``, the processes import the script that calls this: there, call it under ``if __name__
    == "__main__":``.

    Args:
        scorer: the model.
        requests: Parquet, JSON lines or CSV, by its suffix; in CSV, lists are JSON
            (:mod:`dien.serving.requests`). It has ``user``, ``history``, ``candidates`` and the run's context
            features (lists where multi-valued); the run's behaviour features as lists with a value for each
            entry of the history; and, where it has ``time_since``, ``times`` of these entries and ``time``
            of the request (:class:`~dien.serving.times.Clock`).
        out: ``.parquet``, ``.jsonl`` or ``.csv``, a row for each request: ``user``, ``candidates`` and
            ``scores``, and ``conversions`` (the probability that a click leads to one) where the run predicts
            them; in CSV all but the first as JSON.
        progress: called with the number of requests just scored.
        text: how the text of the file is written, as far as it is said.
        jobs: processes that score, with one thread each; 1 for this process alone, with as many threads as
            torch has. Scores are the same.
        resume: go on where a call that was stopped has left off; starts where there is nothing to go on with.

    Raises:
        DataError: a file cannot be read or written, ``out`` is the file of requests or one of the run or its
            dataset folder, or a request is not as expected; nothing is left at ``out`` then but what was
            there before. Or a call was stopped and ``resume`` is not asked for, or it was of something else.
        DienError: one of the processes was killed.
        ValueError: ``jobs`` is none.
    """
    columns = _CONVERSIONS if scorer.predicts_conversions else _SCORES
    of_others = {"the file of requests": requests}
    folders = [scorer.run.info.data, None if scorer.data is None else scorer.data.path]
    of_others |= {f"the dataset folder {folder}": Path(folder) for folder in folders if folder is not None}
    found = score_chunks(
        _Requests(scorer, requests, text),
        Wanted(out, jobs, resume, progress),
        columns,
        of_others,
        {"requests": file_told(requests, text)},
    )
    result, fields = found.counts, scorer.fields
    lacking = [field.name for field in fields.all if field.name not in found.columns]
    if result.requests:
        result.missing_context = fields.lacking(lacking)
        of_since = fields.times if TIME_SINCE in fields.features else ()
        result.missing_behaviours = _named((*fields.behaviours, *of_since), lacking)
        fields.warn_of_latest(lacking)
        fields.warn_of_ageless(result.ageless_matches, result.candidates, lacking)
        if scorer.popularity is not None:
            scorer.popularity.warn(result.timeless_candidates, result.late_candidates, result.candidates)
    return result


@dataclass(frozen=True)
class _Requests:
    """The requests of a file.

    Attributes:
        scorer: the model.
        path: the file.
        text: how it is written, as far as it is said.
    """

    scorer: Scorer
    path: Path
    text: TextFormat

    def read(self, whole: Mapping[int, int]) -> Iterator[tuple[int, Any]]:
        """See :class:`~dien.serving.chunks.Chunks`."""
        times: dict[str, int] = {}
        tables = read_requests(self.path, self.scorer.fields.all, times, text=self.text, passed_over=whole)
        numbers = (number for number in itertools.count() if number not in whole)
        for number, table in zip(numbers, tables, strict=False):
            yield number, (table, dict(times))
            times.clear()

    def score(self, chunk: Any, found: ChunkCounts) -> pl.DataFrame:
        """See :class:`~dien.serving.chunks.Chunks`."""
        table, found.counts.times = chunk
        found.columns.update(table.columns)
        rows: pl.DataFrame = table.with_columns(**_score(self.scorer, table, found.counts))
        return rows


def _named(fields: Sequence[Field], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(field.name for field in fields if field.name in names)


def _score(scorer: Scorer, table: pl.DataFrame, result: ScoredFile) -> dict[str, pl.Series]:
    """Find the scores of each request by column, and add to the result what they are of."""
    known, fields = scorer.catalogue, scorer.fields
    ids = {name: _flat(table[name]) for name in ("history", "candidates")}
    history, candidates = (known.item_ids.encode(values) for values in ids.values())
    lengths, counts = (_lengths(table[name]) for name in ("history", "candidates"))
    user = known.user_ids.encode(table["user"])

    def entries(wanted: Sequence[Field], lengths: NDArray[np.int64]) -> dict[str, pl.Series]:
        names = (field.name for field in wanted if field.name in table.columns)
        return {name: _entries(table[name], lengths) for name in names}

    when = {name: table[name] for name in ("time",) if name in table.columns}
    when |= entries(fields.times[:1], lengths)
    of_time = {name: times.fill_null(LATEST).to_numpy() for name, times in when.items()}
    since = pl.Series([], dtype=pl.Int64)
    if fields.times and {"times", "time"} <= set(table.columns):
        now = table["time"].gather(row_of(lengths))
        since = now - _entries(table["times"], lengths)
    given_items = entries(fields.candidates, counts)
    given_behaviours = entries(fields.behaviours, lengths)
    given_users = table.select(field.name for field in fields.user if field.name in table.columns).to_dict()
    items, users = fields.encode_described(given_items), fields.encode_described(given_users)
    context = fields.encode_context(table.to_dict(), table.height)
    behaviours = fields.encode_behaviours(given_behaviours, len(history), since)
    unknown = UnknownItems()
    scores = scorer.score_rows(
        user=user,
        history=unknown.told_apart(history, ids["history"]),
        lengths=lengths,
        candidates=unknown.told_apart(candidates, ids["candidates"]),
        counts=counts,
        context=context,
        behaviours=behaviours,
        candidate_features=items,
        user_features=users,
        **of_time,
        conversions=scorer.predicts_conversions,
        result=result,
    )
    result.requests += table.height
    result.candidates += len(candidates)
    result.unknown_candidates += int((candidates == 0).sum())
    result.unknown_users += int((user == 0).sum())
    result.behaviours += len(history)
    result.unknown_behaviours += int((history == 0).sum())
    result.untimed_behaviours += (len(history) - len(since) + since.null_count()) * fields.ages
    result.described_candidates += int(described(items).sum())
    result.described_users += int(described(users).sum())
    given_context = table.select(f.name for f in fields.context if f.name in table.columns).to_dict()
    of_items, of_users = ({name: column for name, (column, _) in found.items()} for found in (items, users))
    for given, encoded in (
        (given_context, context),
        (given_behaviours, behaviours),
        (given_items, of_items),
        (given_users, of_users),
    ):
        result.count_unknown(fields.features, given, encoded)
    return {name: lists_of(values, counts) for name, values in by_column(scores).items()}


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
