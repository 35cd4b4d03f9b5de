"""Metrics over any number of rows in flat memory: exact AUC, GAUC, LogLoss, calibration."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

METRICS = {
    "auc": "AUC",
    "gauc": "GAUC",
    "log_loss": "LogLoss",
    "calibration": "calibration",
    "calibration_error": "calibration error",
}
"""What models are compared by, as :class:`Metrics` has it, and what tables call it."""

CALIBRATION_BINS = 20
CHUNK = 1 << 16


@dataclass(frozen=True)
class Metrics:
    """Metrics of a split.

    Attributes:
        auc: share of (click, non-click) pairs in the right order, ties counted half; exact. None where all
            rows have the same label.
        gauc: mean AUC of users, weighted by their rows; users with one label only are left out. None where
            no user has both.
        log_loss: mean binary cross-entropy; None for scores that are no probabilities.
        calibration: expected over observed clicks, 1 is right; None without clicks or probabilities.
        calibration_error: mean distance of expected from observed click rate over equally wide bins of the
            probability, weighted by their rows; None for scores that are no probabilities.
        rows: candidates.
        positives: clicked ones.
        users: those that count in ``gauc``.
        note: why a metric is missing, None where none is.
    """

    auc: float | None
    gauc: float | None
    log_loss: float | None
    calibration: float | None
    calibration_error: float | None
    rows: int
    positives: int
    users: int
    note: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


class MetricStream:
    """Gathers metrics batch by batch.

    Memory holds a batch, and the rows of one user. What the exact AUC needs, four bytes a row, goes to
    unnamed temporary files (in ``TMPDIR``).

    Args:
        probabilities: whether scores are log odds of a click. Otherwise they only rank: LogLoss and
            calibration are left out.
    """

    def __init__(self, *, probabilities: bool = True) -> None:
        self._probabilities = probabilities
        self._rows = self._positives = 0
        self._log_loss = 0.0
        self._bins = np.zeros((2, CALIBRATION_BINS))  # expected and observed clicks
        self._spools = _Spool(), _Spool()  # scores of non-clicks and of clicks
        self._users = _UserAUC()

    def update(
        self,
        scores: NDArray[np.float32],
        labels: NDArray[np.floating | np.integer],
        users: NDArray[np.integer],
    ) -> None:
        """Add a batch.

        Args:
            scores: ``[B]`` finite.
            labels: ``[B]`` 1 clicked, 0 not.
            users: ``[B]`` a number for each user; a user's rows follow one another, also across
                batches.
        """
        scores = np.asarray(scores, np.float32)
        clicked = np.asarray(labels) == 1
        self._rows += len(scores)
        self._positives += int(clicked.sum())
        for spool, chosen in zip(self._spools, (~clicked, clicked), strict=True):
            spool.write(scores[chosen])
        self._users.update(scores, clicked, users)
        if self._probabilities:
            logits = scores.astype(np.float64)
            odds = np.exp(-np.abs(logits))
            self._log_loss += float((np.maximum(logits, 0) - logits * clicked + np.log1p(odds)).sum())
            expected = np.where(logits >= 0, 1, odds) / (1 + odds)
            bin_of = np.minimum((expected * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
            self._bins[0] += np.bincount(bin_of, expected, CALIBRATION_BINS)
            self._bins[1] += np.bincount(bin_of, clicked, CALIBRATION_BINS)

    def compute(self) -> Metrics:
        """Compute the metrics of all rows so far; ends the stream."""
        rows, positives = self._rows, self._positives
        auc = _auc(*(spool.sorted() for spool in self._spools)) if 0 < positives < rows else None
        gauc, users = self._users.compute()
        expected, observed = self._bins
        log_loss = calibration = calibration_error = None
        if self._probabilities and rows:
            log_loss = self._log_loss / rows
            calibration = float(expected.sum() / positives) if positives else None
            calibration_error = float(np.abs(expected - observed).sum() / rows)
        note = None
        if auc is None:
            which = "there are no rows" if not rows else f"every label is {int(positives > 0)}"
            note = f"no AUC: {which}"
        elif gauc is None:
            note = "no GAUC: no user has both clicks and non-clicks"
        return Metrics(auc, gauc, log_loss, calibration, calibration_error, rows, positives, users, note)


class _Spool:
    """Scores in a temporary file."""

    def __init__(self) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  # removed when closed or killed

    def write(self, scores: NDArray[np.float32]) -> None:
        self._file.write(scores.tobytes())

    def sorted(self) -> NDArray[np.float32]:
        """Sort in place, in the file: the pages are the system's to keep in memory or not."""
        self._file.flush()
        scores = np.memmap(self._file, np.float32, "r+")
        scores.sort()
        return scores


def _auc(negatives: NDArray[np.float32], positives: NDArray[np.float32]) -> float:
    """AUC of rising scores: for each click the non-clicks below it, and half of those level with it."""
    ordered = 0  # twice the number of (click, non-click) pairs in the right order, an integer of any size
    for start in range(0, len(positives), CHUNK):
        chunk = positives[start : start + CHUNK]
        ordered += int(np.searchsorted(negatives, chunk, "left").sum())
        ordered += int(np.searchsorted(negatives, chunk, "right").sum())
    return ordered / (2 * len(positives) * len(negatives))


class _UserAUC:
    """Mean AUC over users, weighted by rows; keeps the rows of the user who may go on in the next batch."""

    def __init__(self) -> None:
        self._open: list[tuple[NDArray[np.float32], NDArray[np.bool_]]] = []
        self._user: int | None = None
        self._sum = 0.0
        self._rows = self._users = 0

    def update(
        self, scores: NDArray[np.float32], clicked: NDArray[np.bool_], users: NDArray[np.integer]
    ) -> None:
        if not len(users):
            return
        starts = np.flatnonzero(users[1:] != users[:-1]) + 1
        if users[0] != self._user:
            self._close()
            self._user = int(users[0])
        last = 0
        if len(starts):
            first, last = starts[0], starts[-1]
            self._open.append((scores[:first], clicked[:first]))
            self._close()
            self._add(scores[first:last], clicked[first:last], np.diff(starts))
            self._user = int(users[-1])
        self._open.append((scores[last:], clicked[last:]))

    def compute(self) -> tuple[float | None, int]:
        """Mean AUC, None without users to count, and the number of those."""
        self._close()
        return (self._sum / self._rows if self._rows else None), self._users

    def _close(self) -> None:
        if self._open:
            scores, clicked = (np.concatenate(parts) for parts in zip(*self._open, strict=True))
            self._add(scores, clicked, np.array([len(scores)]))
            self._open = []

    def _add(
        self, scores: NDArray[np.float32], clicked: NDArray[np.bool_], lengths: NDArray[np.integer]
    ) -> None:
        """Add whole users: the rows of all ``[n]`` and how many each has ``[U]``."""
        if not len(scores):
            return
        user = np.repeat(np.arange(len(lengths)), lengths)  # [n]
        order = np.lexsort((scores, user))
        scores, clicked = scores[order], clicked[order].astype(np.int64)
        # Runs of level scores of one user.
        new = np.append(True, (scores[1:] != scores[:-1]) | (user[1:] != user[:-1]))
        runs = np.flatnonzero(new)
        user = user[runs]
        clicks = np.add.reduceat(clicked, runs)
        others = np.add.reduceat(1 - clicked, runs)
        clicks_of, others_of = np.bincount(user, clicks), np.bincount(user, others)  # [U]
        below = np.cumsum(others) - others - (np.cumsum(others_of) - others_of)[user]
        ordered = np.bincount(user, clicks * (below + others / 2))  # [U]
        counts = (clicks_of > 0) & (others_of > 0)
        self._sum += float((lengths * ordered)[counts] @ (1 / (clicks_of * others_of)[counts]))
        self._rows += int(lengths[counts].sum())
        self._users += int(counts.sum())
