"""Scoring a split of a dataset folder: every impression with its own history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from dien.data.dataset import Dataset
from dien.data.tables import Split, SplitName, begins
from dien.progress import Progress
from dien.run import Run
from dien.serving.chunks import Wanted, score_chunks
from dien.serving.logged import Logged, with_conversions
from dien.serving.scored import ChunkCounts, ScoredFile
from dien.serving.scorer import Scorer
from dien.serving.writing import lists_of

IMPRESSIONS_AT_ONCE = 1024

_COLUMNS = pa.schema(
    [
        ("user", pa.large_string()),
        ("candidates", pa.large_list(pa.large_string())),
        ("scores", pa.large_list(pa.float64())),
        ("labels", pa.large_list(pa.int8())),
        ("time", pa.int64()),
        ("impression", pa.int64()),
    ]
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
    jobs: int = 1,
    resume: bool = False,
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
        jobs: as for :func:`~dien.serving.score_file`.
        resume: likewise.

    Returns:
        What it came to; a candidate or user is not known where no training row has its id.

    Raises:
        ConfigError: it is no device's name, or there is no such device here.
        RunError: the run is not finished, its dataset has moved, or ``data`` does not go on with it.
        DataError: the dataset cannot be read, ``out`` not be written, or as for
            :func:`~dien.serving.score_file` with ``resume``.
        DienError: one of the processes was killed.
        ValueError: there is no such split, or as for :class:`~dien.serving.Scorer`.
    """
    logged = Logged.open(run, data, device, base_rate)
    logged.dataset.split(split)
    columns = with_conversions(_COLUMNS, logged.scorer)
    wanted = Wanted(out, jobs, resume, progress)
    begun = {"split": split, "at_once": IMPRESSIONS_AT_ONCE}
    return score_chunks(_Impressions(logged, split), wanted, columns, logged.read, begun).counts


@dataclass(frozen=True)
class _Impressions:
    """The impressions of a split.

    Attributes:
        logged: the run and its dataset.
        split: which one.
    """

    logged: Logged
    split: SplitName

    @property
    def scorer(self) -> Scorer:
        """See :class:`~dien.serving.chunks.Chunks`."""
        return self.logged.scorer

    @property
    def _impressions(self) -> Split:
        return self.logged.dataset.split(self.split)

    def read(self, whole: Mapping[int, int]) -> Iterator[tuple[int, Any]]:
        """See :class:`~dien.serving.chunks.Chunks`."""
        total = len(self._impressions)
        for number, start in enumerate(range(0, total, IMPRESSIONS_AT_ONCE)):
            if number not in whole:
                yield number, (start, min(start + IMPRESSIONS_AT_ONCE, total))

    def score(self, chunk: Any, found: ChunkCounts) -> pl.DataFrame:
        """See :class:`~dien.serving.chunks.Chunks`."""
        logged, dataset, impressions = self.logged, self.logged.dataset, self._impressions
        start, stop = chunk
        chosen = np.arange(start, stop)
        user, time = impressions.user[chosen], impressions.time[chosen]
        offsets = impressions.offsets[start : stop + 1]
        shown, counts = slice(offsets[0], offsets[-1]), np.diff(offsets)
        item = impressions.item[shown]
        context = logged.known({name: column[chosen] for name, column in impressions.context.items()})
        history = begins(dataset.behaviours, impressions, chosen), impressions.end[chosen]
        scores = logged.score(user, history, time, item, counts, context, {}, {}, found.counts)
        columns = {
            "user": dataset.user_ids.decode(user),
            "candidates": lists_of(dataset.item_ids.decode(item), counts),
            "labels": lists_of(np.array(impressions.label[shown]), counts),
            "time": time,
            "impression": chosen,
            **{name: lists_of(values, counts) for name, values in scores.items()},
        }
        found.counts.requests += len(chosen)
        found.counts.unknown_users += int(logged.unknown("user", user).sum())
        rows = pl.DataFrame(columns)
        dataset.release(impressions)
        return rows
