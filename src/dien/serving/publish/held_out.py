"""Two models on the same held-out impressions: their metrics, and how far the differences may be luck."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dien.data.dataset import Dataset
from dien.data.tables import SplitName
from dien.errors import DataError, PublishError, RunError
from dien.extension import expect_extends
from dien.progress import Progress
from dien.run import Run
from dien.serving import score_split
from dien.training.metrics import MetricStream
from dien.training.summary import difference

Metric = Literal["auc", "gauc", "log_loss"]
METRICS: tuple[Metric, ...] = "auc", "gauc", "log_loss"
GROUPS = 20
"""Groups of users in which the difference is found once each: their spread tells what is luck."""
IMPRESSIONS_AT_ONCE = 8192
_MEND = "append to the dataset it was trained on (dien prepare ... --append), or publish with --force"
_SPLITS = "test", "valid"
_LEAST = 1e-15  # of a probability: its log odds stay finite


@dataclass(frozen=True)
class Compared:
    """A metric of the new model, and how it compares.

    Attributes:
        new: of the new model; None where the rows have none.
        current: of the current model; None where it was not evaluated.
        difference: the new model's less the current one's.
        low: lower end of the 95 % confidence interval of the difference, by Student's t over groups of users;
            None with too few of them.
        high: upper end.
    """

    new: float | None
    current: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None

    def worse_by(self, metric: Metric) -> float | None:
        """Tell how much worse the new model is; below 0 where it is better."""
        if self.difference is None:
            return None
        return self.difference if metric == "log_loss" else -self.difference


@dataclass(frozen=True)
class HeldOut:
    """What the models come to on a split.

    Attributes:
        data: the dataset folder.
        split: which of its splits.
        rows: candidates.
        metrics: by name.
    """

    data: str
    split: str
    rows: int
    metrics: dict[Metric, Compared]


def held_out(
    new: Run,
    current: Run | None,
    dataset: Dataset,
    split: SplitName = "test",
    device: str = "auto",
    progress: Progress | None = None,
) -> HeldOut:
    """Evaluate two models on the same impressions.

    Memory does not grow with the split: scores wait in a temporary folder.

    Args:
        new: finished.
        current: likewise; None to evaluate the new one alone.
        dataset: that the runs were trained on, or that goes on with theirs.
        split: of the dataset, ``test`` or ``valid``; neither run may have been trained on a row of it.
        device: where the models compute.
        progress: called with the number of impressions just scored.

    Raises:
        PublishError: a run was trained on rows of the split.
        RunError: the dataset does not go on with that of a run, or a run cannot be loaded.
        DataError: the dataset cannot be read, or the split is empty.
        ValueError: ``split`` is another.
    """
    expect_split(split)
    expect_rows(dataset, split)
    runs = [new] if current is None else [new, current]
    for run in runs:
        expect_held_out(run, dataset, split)
        expect_extends(dataset, run, _MEND)
    with TemporaryDirectory() as name:
        files = [Path(name) / f"{number}.parquet" for number in range(len(runs))]
        for run, file in zip(runs, files, strict=True):
            score_split(run, file, dataset, split=split, device=device, progress=progress)
        return _compare(files, dataset, split)


def expect_split(split: str) -> None:
    """Refuse a split whose rows a run is trained on, or that there is not.

    Raises:
        ValueError: it is one of these.
    """
    if split not in _SPLITS:
        raise ValueError(f"split is {split!r}; expected one of {', '.join(_SPLITS)}: no run is trained on it")


def expect_rows(dataset: Dataset, split: SplitName) -> None:
    """Refuse a split without rows.

    Raises:
        DataError: it has none.
    """
    if dataset.info.time[split] is None:
        raise DataError(
            f"{dataset.path}: its {split} split is empty; give a dataset folder with later rows (--data)"
        )


def expect_held_out(run: Run, dataset: Dataset, split: SplitName) -> None:
    """Refuse a split that a run has seen rows of.

    It has not where it was trained on this very dataset folder, or where the split is later than all that it
    was trained and validated on. A converted run does not say what it was trained on.

    Raises:
        PublishError: it has, or may have.
    """
    try:
        run.expect_data(dataset)
    except RunError:
        pass
    else:
        return
    spans = run.info.dataset.get("time", {})
    seen: tuple[SplitName, ...] = ("train",) if split == "valid" else ("train", "valid")
    ends = [spans[name][1] for name in seen if spans.get(name)]
    own = dataset.info.time[split]
    if own is None or not ends or own[0] > max(ends):
        return
    raise PublishError(
        f"{dataset.path}: its {split} split begins at second {own[0]}, and {run.path} was trained on rows up "
        f"to second {max(ends)}: it would be tested on what it was trained on; give a dataset folder whose "
        f"{split} split is later than both models have seen (--data)"
    )


def _compare(files: list[Path], dataset: Dataset, split: SplitName) -> HeldOut:
    """Compute the metrics of files of scores, whole and in groups of users."""
    streams = [[MetricStream() for _ in range(GROUPS + 1)] for _ in files]
    rows = dataset.split(split)
    start = 0
    for scores in zip(*map(_scores, files), strict=True):
        stop = start + len(scores[0][0])
        offsets = np.asarray(rows.offsets[start : stop + 1])
        shown = slice(int(offsets[0]), int(offsets[-1]))
        user = np.repeat(np.asarray(rows.user[start:stop]), np.diff(offsets))  # [B]
        label = np.asarray(rows.label[shown])
        weight = None if rows.weight is None else np.asarray(rows.weight[shown])
        group = user % GROUPS
        for of_model, (_, found) in zip(streams, scores, strict=True):
            of_model[GROUPS].update(found, label, user, weight)
            for number in range(GROUPS):
                if (mine := group == number).any():
                    of_model[number].update(
                        found[mine], label[mine], user[mine], None if weight is None else weight[mine]
                    )
        start = stop
        dataset.release(rows)
    metrics = [[stream.compute() for stream in of_model] for of_model in streams]

    def compared(metric: Metric) -> Compared:
        values = [[getattr(one, metric) for one in of_model] for of_model in metrics]
        new = values[0][GROUPS]
        if len(values) == 1:
            return Compared(new)
        current = values[1][GROUPS]
        if new is None or current is None:
            return Compared(new, current)
        groups = [{("", n): v for n, v in enumerate(of[:GROUPS]) if v is not None} for of in values]
        spread = difference(groups[0], groups[1])
        low = high = None
        if spread is not None and spread.low is not None and spread.high is not None:
            half = (spread.high - spread.low) / 2
            low, high = new - current - half, new - current + half
        return Compared(new, current, new - current, low, high)

    return HeldOut(
        str(dataset.path), split, metrics[0][GROUPS].rows, {metric: compared(metric) for metric in METRICS}
    )


def _scores(file: Path) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Read the counts of candidates ``[R]`` and their scores as log odds ``[B]``, a part at a time."""
    with pq.ParquetFile(file) as found:
        for batch in found.iter_batches(IMPRESSIONS_AT_ONCE, columns=["scores"]):
            lists = batch.column(0)
            p = lists.flatten().to_numpy(zero_copy_only=False)
            p = np.clip(p, _LEAST, 1 - _LEAST)
            counts = np.diff(lists.offsets.to_numpy())
            yield counts, (np.log(p) - np.log1p(-p)).astype(np.float32)
