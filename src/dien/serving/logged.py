"""Scoring what a dataset folder holds: a split, or pairs of user and item, each with its own history."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from dien.data.batch import ENTRIES_AT_ONCE
from dien.data.changing import LATEST, Changing, values_at
from dien.data.dataset import Dataset
from dien.data.features import TIME_SINCE
from dien.data.features.columns import rows_of
from dien.data.prepare.append import newest_event
from dien.data.ragged import ranges, row_of, searched, to_offsets, whole_rows
from dien.data.readers.text_format import NOTHING_SAID, TextFormat
from dien.data.tables import FeatureTable, SplitName, begins
from dien.errors import DataError
from dien.progress import Progress
from dien.run import Run
from dien.serving.catalogue import as_known
from dien.serving.features import USER, Described, Field
from dien.serving.requests import read_requests
from dien.serving.scored import ScoredFile, by_column, described
from dien.serving.scorer import Scorer
from dien.serving.times import Clock
from dien.serving.writing import file_of_scores, lists_of

IMPRESSIONS_AT_ONCE = 1024
ITEM = Field("item", required=True, known=True)

_SPLIT = pa.schema(
    [
        ("user", pa.large_string()),
        ("candidates", pa.large_list(pa.large_string())),
        ("scores", pa.large_list(pa.float64())),
        ("labels", pa.large_list(pa.int8())),
        ("time", pa.int64()),
        ("impression", pa.int64()),
    ]
)
_PAIRS = pa.schema(
    [("user", pa.large_string()), ("item", pa.large_string()), ("time", pa.int64()), ("score", pa.float64())]
)


def score_split(
    run: Run | Path | str,
    out: Path,
    data: Dataset | Path | str | None = None,
    *,
    split: SplitName = "test",
    device: str = "auto",
    base_rate: float | None = None,
    progress: Progress | None = None,
) -> ScoredFile:
    """Score every impression of a split with its own history; memory does not grow with the split.

    Args:
        run: a finished run or its folder.
        out: ``.parquet``, ``.jsonl`` or ``.csv``, a row for each impression, in the order of the dataset
            folder: ``user``, ``candidates``, ``scores``, ``labels``, ``time`` and ``impression`` (its row in
            the split), and ``conversions`` where the run predicts them; lists in CSV as JSON.
        data: the dataset the run was trained on, or one that has grown from it; None where it still lies
            where it was.
        split: which one.
        device: where the model computes, as ``training.device`` has it.
        base_rate: as for :class:`~dien.serving.Scorer`.
        progress: called with the number of impressions just scored.

    Returns:
        What it came to; a candidate or user is not known where no training row has its id.

    Raises:
        ConfigError: it is no device's name, or there is no such device here.
        RunError: the run is not finished, its dataset has moved, or ``data`` does not go on with it.
        DataError: the dataset cannot be read, or ``out`` not be written.
        ValueError: there is no such split, or as for :class:`~dien.serving.Scorer`.
    """
    logged = _Logged(run, data, device, base_rate)
    scorer, dataset = logged.scorer, logged.dataset
    impressions = dataset.split(split)
    result = ScoredFile()
    with file_of_scores(out, _with(_SPLIT, scorer), of_others=logged.read, run=scorer.run.path) as write:
        for start in range(0, len(impressions), IMPRESSIONS_AT_ONCE):
            chosen = np.arange(start, min(start + IMPRESSIONS_AT_ONCE, len(impressions)))
            user, time = impressions.user[chosen], impressions.time[chosen]
            offsets = impressions.offsets[start : chosen[-1] + 2]
            shown, counts = slice(offsets[0], offsets[-1]), np.diff(offsets)
            item = impressions.item[shown]
            context = {name: column[chosen] for name, column in impressions.context.items()}
            history = begins(dataset.behaviours, impressions, chosen), impressions.end[chosen]
            scores = logged.score(user, history, time, item, counts, logged.known(context), {}, {}, result)
            columns = {
                "user": dataset.user_ids.decode(user),
                "candidates": lists_of(dataset.item_ids.decode(item), counts),
                "labels": lists_of(np.array(impressions.label[shown]), counts),
                "time": time,
                "impression": chosen,
                **{name: lists_of(values, counts) for name, values in scores.items()},
            }
            write(pl.DataFrame(columns))
            result.requests += len(chosen)
            result.unknown_users += int(logged.unknown("user", user).sum())
            dataset.release(impressions)
            if progress:
                progress(len(chosen))
    return result


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

    Raises:
        ConfigError: as for :func:`score_split`.
        RunError: as for :func:`score_split`.
        DataError: the dataset or the file cannot be read, its rows have histories of their own, ``out`` is
            the file, or not be written.
        ValueError: as for :class:`~dien.serving.Scorer`.
    """
    logged = _Logged(run, data, device, base_rate)
    if logged.dataset.info.own_histories:
        raise DataError(
            f"{logged.dataset.path}: each of its rows has a history of its own, so that none can be looked "
            "up for a pair; give requests with their histories (dien score RUN REQUESTS)"
        )
    scorer, fields, log = logged.scorer, logged.scorer.fields, logged.dataset.info.log
    of_items = [replace(field.entry, of_candidates=False) for field in fields.candidates]
    features = [fields.as_in_log(field, log) for field in (*fields.context, *of_items, *fields.user)]
    wanted = [USER, ITEM, *features, replace(fields.time, clock=Clock(logged.dataset.info.times))]
    lacking = {field.name for field in (*fields.context, fields.time)}
    result = ScoredFile()
    with file_of_scores(
        out,
        _with(_PAIRS, scorer),
        of_others={"the file of pairs": pairs, **logged.read},
        run=scorer.run.path,
    ) as write:
        for table in read_requests(
            pairs, wanted, result.times, text=text, log=log, as_in_log=result.as_in_log
        ):
            lacking -= set(table.columns)
            if "time" in table.columns:
                logged.expect_order(pairs, table["time"])
            if "time" not in table.columns:
                table = table.with_columns(pl.lit(None, pl.Int64).alias("time"))
            write(table.with_columns(**logged.score_pairs(table, of_items, result)))
            if progress:
                progress(table.height)
    if result.requests:
        result.missing_context = fields.lacking(lacking)
        result.missing_behaviours = ("time",) if TIME_SINCE in fields.features and "time" in lacking else ()
        fields.warn_of_latest(lacking)
        fields.warn_of_ageless(result.ageless_matches, result.candidates, lacking)
        if scorer.popularity is not None:
            scorer.popularity.warn(result.timeless_candidates, result.late_candidates, result.candidates)
        logged.warn_of_late(result.requests)
    return result


class _Logged:
    """A run and its dataset, or one that has grown from it: histories are looked up there.

    Args:
        run: as for :func:`score_split`, like ``data``.
        data: likewise.
        device: likewise.
        base_rate: likewise.
    """

    def __init__(
        self, run: Run | Path | str, data: Dataset | Path | str | None, device: str, base_rate: float | None
    ) -> None:
        run = run if isinstance(run, Run) else Run.open(run)
        self.dataset = run.dataset(data)
        self.scorer = Scorer(run, self.dataset, device, base_rate)
        self.read = {"the dataset folder": self.dataset.path}
        tables = {**self.scorer.catalogue.items, **self.scorer.catalogue.users}
        since = {name: column.since for name, column in tables.items() if isinstance(column, Changing)}
        self._changes = {name: int(seconds.max()) for name, seconds in since.items()}
        self._late = dict.fromkeys(since, 0)

    def expect_order(self, pairs: Path, time: pl.Series) -> None:
        """Refuse times of pairs where the dataset has the numbers of rows in place of times.

        Raises:
            DataError: one is beyond all rows.
        """
        last = None if self.dataset.info.timed else newest_event(self.dataset)
        if last is not None and bool((time > last + 1).any()):
            raise DataError(
                f"{pairs}: column 'time': found {time.max()!r}, but {self.dataset.path} has an order and no "
                f"times: the numbers of its rows, from 1 to {last}; leave the column out, so that a history "
                "is all that is known of the user"
            )

    def warn_of_late(self, pairs: int) -> None:
        """Warn where pairs are later than the last change that is known of a feature, and do not give it.

        Args:
            pairs: how many there were.
        """
        for name, late in self._late.items():
            if late:
                warnings.warn(
                    f"{name} changes over time, and {late:,} of {pairs:,} pairs are later than the last "
                    f"change of it in {self.dataset.path} (second {self._changes[name]}): the last values "
                    "count for them; if there are newer ones, give them as a column of the pairs, or add "
                    "them to the dataset folder (dien prepare ... --append)",
                    stacklevel=3,
                )

    def known(self, table: FeatureTable) -> FeatureTable:
        """Make what the run does not know, as it came later, unknown."""
        return as_known(self.scorer.run.schema.features, table)

    def score(
        self,
        user: NDArray[np.integer],
        of_request: tuple[NDArray[np.int64], NDArray[np.int64]],
        time: NDArray[np.int64],
        item: NDArray[np.integer],
        counts: NDArray[np.integer],
        context: FeatureTable,
        items: Described,
        users: Described,
        result: ScoredFile,
    ) -> dict[str, NDArray[np.float64]]:
        """Score candidates ``[B]`` over the histories of ``R`` requests, and count what is not known.

        Histories are looked up in parts, so that memory does not grow with their length.

        Args:
            user: ``[R]`` user rows.
            of_request: ``[R]`` where their histories begin, before the newest are taken, and where they end
                among the behaviours of all users.
            time: ``[R]`` seconds since 1970; the largest number where there is none.
            item: ``[B]`` item rows, request after request.
            counts: ``[R]`` candidates of each.
            context: encoded context features ``[R]``.
            items: features of the candidates that count in place of the dataset's.
            users: of the users, likewise.
            result: what is counted in.
        """
        begin, end = of_request
        start = np.maximum(begin, end - self.scorer.run.config.model.longest_history)
        first = to_offsets(counts)
        found = []
        for some in list(whole_rows(to_offsets(end - start), ENTRIES_AT_ONCE)) or [slice(0, 0)]:
            candidates = slice(int(first[some.start]), int(first[some.stop]))
            part = self._score(
                user[some],
                (start[some], end[some]),
                time[some],
                item[candidates],
                counts[some],
                {name: rows_of(column, some) for name, column in context.items()},
                _part(items, candidates),
                _part(users, some),
                result,
            )
            found.append(part)
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def _score(
        self,
        user: NDArray[np.integer],
        of_request: tuple[NDArray[np.int64], NDArray[np.int64]],
        time: NDArray[np.int64],
        item: NDArray[np.integer],
        counts: NDArray[np.integer],
        context: FeatureTable,
        items: Described,
        users: Described,
        result: ScoredFile,
    ) -> dict[str, NDArray[np.float64]]:
        """Score what is looked up at once."""
        scorer, behaviours = self.scorer, self.dataset.behaviours
        schema = scorer.run.schema
        start, end = of_request
        place = ranges(start, end - start)  # [N]
        history = behaviours.item[place]
        features = self.known({name: column[place] for name, column in behaviours.features.items()})
        for feature in schema.of("behaviour"):
            if feature.name == TIME_SINCE:
                now = np.repeat(time, end - start)
                since = np.where(now == LATEST, np.nan, now - behaviours.time[place])
                features[TIME_SINCE] = feature.encode(since, {})
        scores = scorer.score_rows(
            user=user,
            history=history,
            lengths=end - start,
            candidates=item,
            counts=counts,
            context=context,
            behaviours=features,
            candidate_features=items,
            user_features=users,
            time=time,
            times=np.asarray(behaviours.time[place]),
            conversions=scorer.predicts_conversions,
            result=result,
        )
        result.candidates += len(item)
        result.behaviours += len(history)
        result.untimed_behaviours += int((end - start)[time == LATEST].sum()) * scorer.fields.ages
        result.unknown_candidates += int(self.unknown("item", item).sum())
        result.unknown_behaviours += int(self.unknown("item", history).sum())
        return by_column(scores)

    def score_pairs(
        self, table: pl.DataFrame, of_items: list[Field], result: ScoredFile
    ) -> dict[str, NDArray[np.float64]]:
        """Score pairs ``[R]``, whose columns are read; neighbours of one user and time share a history."""
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
        for name, last in self._changes.items():
            late = (table["time"] > last) & (table[name].is_null() if name in given else True)
            self._late[name] += int(late.sum())
        context = fields.encode_context(of_first, len(first))
        given_items = {field.name: given[field.name] for field in of_items if field.name in given}
        given_users = {field.name: of_first[field.name] for field in fields.user if field.name in given}
        items, users = fields.encode_described(given_items), fields.encode_described(given_users)
        behaviours = self.dataset.behaviours
        begin = behaviours.offsets[user]
        end = searched(behaviours.time, begin, behaviours.offsets[user + 1], time, "left")
        found = self.score(
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
        result.unknown_users += int(counts[self.unknown("user", user)].sum())
        return {name.removesuffix("s"): values for name, values in found.items()}

    def unknown(self, side: Literal["item", "user"], rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Mark the rows whose id no training row has."""
        catalogue = self.scorer.catalogue
        table = catalogue.items if side == "item" else catalogue.users
        feature = self.scorer.run.schema.id_of(side)
        if feature is None:
            return ~np.asarray(rows, bool)
        ids = values_at({feature.name: table[feature.name]}, rows, None)[feature.name]
        return ~feature.stored.known(ids)


def _part(given: Described, rows: slice) -> Described:
    """Take what requests say of some candidates or users."""
    return {name: (rows_of(column, rows), known[rows]) for name, (column, known) in given.items()}


def _with(columns: pa.Schema, scorer: Scorer) -> pa.Schema:
    """Add the column of conversions, where the run predicts them."""
    if not scorer.predicts_conversions:
        return columns
    name = "conversions" if "scores" in columns.names else "conversion"
    like = columns.field("scores" if "scores" in columns.names else "score")
    return columns.append(like.with_name(name))
