"""Scoring pairs of user and item, whose histories are looked up in a dataset folder."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from dien.data.changing import LATEST, Changing
from dien.data.dataset import Dataset
from dien.data.features import TIME_SINCE
from dien.data.prepare.append import newest_event
from dien.data.ragged import row_of, searched
from dien.data.readers.text_format import NOTHING_SAID, TextFormat
from dien.errors import DataError
from dien.progress import Progress
from dien.run import Run
from dien.serving.chunks import Wanted, file_told, score_chunks
from dien.serving.features import USER, Field
from dien.serving.logged import Logged, with_conversions
from dien.serving.requests import read_requests
from dien.serving.scored import ChunkCounts, ScoredFile, described
from dien.serving.scorer import Scorer
from dien.serving.times import Clock

ITEM = Field("item", required=True, known=True)

_COLUMNS = pa.schema(
    [("user", pa.large_string()), ("item", pa.large_string()), ("time", pa.int64()), ("score", pa.float64())]
)


def score_pairs(
    run: Run | Path | str,
    pairs: Path,
    out: Path,
    data: Dataset | Path | str | None = None,
    *,
    device: str = "auto",
    base_rate: float | None = None,
    text: TextFormat = NOTHING_SAID,
    progress: Progress | None = None,
    jobs: int = 1,
    resume: bool = False,
) -> ScoredFile:
    """Score a file of users and items; the histories are looked up. Memory does not grow with the file.

    The history of a pair is what its user did strictly before its time: not at the same second either, as
    when preparing. Without a time it is all that the dataset has of the user.

    A file that is cut from the log is read as it was when preparing: the columns under their names, the
    features with their separators, the text as the schema says.

    Args:
        run: a finished run or its folder.
        pairs: Parquet, JSON lines or CSV with ``user``, ``item`` and maybe ``time`` (as in requests), and
            the run's context features, and features of items and users that count in place of the dataset's:
            one value each (lists where multi-valued); or with the columns of the log in their place.
        out: ``.parquet``, ``.jsonl`` or ``.csv``, a row for each pair, in their order: ``user``, ``item``,
            ``time`` and ``score``, and ``conversion`` where the run predicts them.
        data: as for :func:`score_split`; where histories are looked up.
        device: likewise.
        base_rate: likewise.
        text: how the text of the file is written; what is not said is as in the log, where the columns are
            found so.
        progress: called with the number of pairs just scored.
        jobs: as for :func:`~dien.serving.score_file`.
        resume: likewise.

    Raises:
        ConfigError: as for :func:`score_split`.
        RunError: as for :func:`score_split`.
        DataError: the dataset or the file cannot be read, its rows have histories of their own, ``out`` is
            the file, or not be written, or as for :func:`~dien.serving.score_file` with ``resume``.
        DienError: one of the processes was killed.
        ValueError: as for :class:`~dien.serving.Scorer`.
    """
    logged = Logged.open(run, data, device, base_rate)
    if logged.dataset.info.own_histories:
        raise DataError(
            f"{logged.dataset.path}: each of its rows has a history of its own, so that none can be looked "
            "up for a pair; give requests with their histories (dien score RUN REQUESTS)"
        )
    scorer, fields = logged.scorer, logged.scorer.fields
    read = _Pairs(logged, pairs, text)
    found = score_chunks(
        read,
        Wanted(out, jobs, resume, progress),
        with_conversions(_COLUMNS, scorer),
        {"the file of pairs": pairs, **logged.read},
        {"pairs": file_told(pairs, text)},
    )
    result, lacking = found.counts, {f.name for f in (*fields.context, fields.time)} - found.columns
    result.as_in_log = read.as_in_log
    if result.requests:
        result.missing_context = fields.lacking(lacking)
        result.missing_behaviours = ("time",) if TIME_SINCE in fields.features and "time" in lacking else ()
        fields.warn_of_latest(lacking)
        fields.warn_of_ageless(result.ageless_matches, result.candidates, lacking)
        if scorer.popularity is not None:
            scorer.popularity.warn(result.timeless_candidates, result.late_candidates, result.candidates)
        read.warn_of_late(found)
    return result


@dataclass(frozen=True)
class _Pairs:
    """The pairs of a file.

    Attributes:
        logged: the run and its dataset.
        path: the file.
        text: how it is written, as far as it is said.
        as_in_log: what was read as in the log, once it is being read.
    """

    logged: Logged
    path: Path
    text: TextFormat
    as_in_log: dict[str, str] = field(default_factory=dict)

    @property
    def scorer(self) -> Scorer:
        """See :class:`~dien.serving.chunks.Chunks`."""
        return self.logged.scorer

    @property
    def of_items(self) -> list[Field]:
        """The features of items that a pair may give: one value each."""
        return [replace(field.entry, of_candidates=False) for field in self.scorer.fields.candidates]

    @cached_property
    def changes(self) -> dict[str, int]:
        """By feature that changes over time, the second of the last change that is known."""
        tables = {**self.scorer.catalogue.items, **self.scorer.catalogue.users}
        changing = {name: column for name, column in tables.items() if isinstance(column, Changing)}
        return {name: int(column.since.max()) for name, column in changing.items()}

    def read(self, whole: Mapping[int, int]) -> Iterator[tuple[int, Any]]:
        """See :class:`~dien.serving.chunks.Chunks`."""
        fields, info = self.scorer.fields, self.logged.dataset.info
        given = (*fields.context, *self.of_items, *fields.user)
        features = [fields.as_in_log(field, info.log) for field in given]
        times: dict[str, int] = {}
        tables = read_requests(
            self.path,
            [USER, ITEM, *features, replace(fields.time, clock=Clock(info.times))],
            times,
            text=self.text,
            log=info.log,
            as_in_log=self.as_in_log,
            passed_over=whole,
        )
        numbers = (number for number in itertools.count() if number not in whole)
        for number, table in zip(numbers, tables, strict=False):
            if "time" in table.columns:
                self._expect_order(table["time"])
            yield number, (table, dict(times))
            times.clear()

    def score(self, chunk: Any, found: ChunkCounts) -> pl.DataFrame:
        """See :class:`~dien.serving.chunks.Chunks`; neighbours of one user and time share a history."""
        table, found.counts.times = chunk
        found.columns.update(table.columns)
        if "time" not in table.columns:
            table = table.with_columns(pl.lit(None, pl.Int64).alias("time"))
        result, logged = found.counts, self.logged
        fields, catalogue = self.scorer.fields, self.scorer.catalogue
        given = {name: table[name] for name in table.columns}
        of_request = [f.name for f in (*fields.context, *fields.user) if f.name in given]
        keys = table.select("user", "time", *of_request)
        first = np.arange(table.height)
        if not any(dtype.is_nested() for dtype in keys.dtypes):
            number = keys.select(pl.struct(pl.all()).rle_id()).to_series().to_numpy()
            first = np.flatnonzero(np.diff(number, prepend=-1))
        counts = np.diff(first, append=table.height)
        of_first = {name: values.gather(first) for name, values in given.items()}
        user = catalogue.user_ids.encode(of_first["user"])
        time = of_first["time"].fill_null(LATEST).to_numpy()
        for name, last in self.changes.items():
            late = (table["time"] > last) & (table[name].is_null() if name in given else True)
            found.late[name] = int(late.sum())
        context = fields.encode_context(of_first, len(first))
        given_items = {field.name: given[field.name] for field in self.of_items if field.name in given}
        given_users = {field.name: of_first[field.name] for field in fields.user if field.name in given}
        items, users = fields.encode_described(given_items), fields.encode_described(given_users)
        behaviours = logged.dataset.behaviours
        begin = behaviours.offsets[user]
        end = searched(behaviours.time, begin, behaviours.offsets[user + 1], time, "left")
        scores = logged.score(
            user,
            (begin, end),
            time,
            catalogue.item_ids.encode(given["item"]),
            counts,
            context,
            items,
            users,
            result,
        )
        of_pair = row_of(counts)  # what pairs share counts for each of them
        of_users = {name: column[of_pair] for name, (column, _) in users.items()}
        found_values = {name: column[of_pair] for name, column in context.items()} | of_users
        found_values |= {name: column for name, (column, _) in items.items()}
        result.count_unknown(
            fields.features, {name: given[name] for name in found_values if name in given}, found_values
        )
        result.described_candidates += int(described(items).sum())
        if users:
            result.described_users += int(counts[described(users)].sum())
        result.requests += table.height
        result.unknown_users += int(counts[logged.unknown("user", user)].sum())
        columns = {name.removesuffix("s"): values for name, values in scores.items()}
        rows: pl.DataFrame = table.with_columns(**columns)
        return rows

    def warn_of_late(self, found: ChunkCounts) -> None:
        """Warn where pairs are later than the last change that is known of a feature, and do not give it."""
        pairs, data = found.counts.requests, self.logged.dataset.path
        for name, late in found.late.items():
            if late:
                warnings.warn(
                    f"{name} changes over time, and {late:,} of {pairs:,} pairs are later than the last "
                    f"change of it in {data} (second {self.changes[name]}): the last values count for them; "
                    "if there are newer ones, give them as a column of the pairs, or add them to the dataset "
                    "folder (dien prepare ... --append)",
                    stacklevel=3,
                )

    def _expect_order(self, time: pl.Series) -> None:
        """Refuse times of pairs where the dataset has the numbers of rows in place of times.

        Raises:
            DataError: one is beyond all rows.
        """
        data = self.logged.dataset
        last = None if data.info.timed else newest_event(data)
        if last is not None and bool((time > last + 1).any()):
            raise DataError(
                f"{self.path}: column 'time': found {time.max()!r}, but {data.path} has an order and no "
                f"times: the numbers of its rows, from 1 to {last}; leave the column out, so that a history "
                "is all that is known of the user"
            )
