"""Metrics over any number of rows in flat memory: exact AUC, GAUC, LogLoss, calibration."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.calibration import AS_IT_IS, Platt
from dien.training.platt import fit_platt
from dien.training.probabilities import Decile, Probabilities, deciles, probabilities
from dien.training.spool import CHUNK, OF_SCORE, Spool, weights_of

METRICS = {
    "auc": "AUC",
    "gauc": "GAUC",
    "log_loss": "LogLoss",
    "calibration": "calibration",
    "calibration_error": "calibration error",
}
"""What models are compared by, as :class:`Metrics` has it, and what tables call it."""

OF_CONVERSIONS = {
    "conversion": "the conversion of a click, over clicked rows",
    "click_and_conversion": "click and conversion together, over all rows",
}
"""Metrics of the second label, as :class:`Metrics` has them, and what tables call them."""


@dataclass(frozen=True)
class Metrics:
    """Metrics of a split.

    Where rows have weights, a row counts as its weight says, and a pair of rows as the product of both: a row
    of weight 0 only in ``rows`` and ``positives``. Weights that are all alike change nothing.

    Attributes:
        auc: share of (click, non-click) pairs in the right order, ties counted half; exact. None where all
            rows have the same label.
        gauc: mean AUC of users, weighted by their rows (by the sum of their weights); users with one label
            only are left out. None where no user has both.
        log_loss: mean binary cross-entropy; None for scores that are no probabilities.
        calibration: expected over observed clicks, 1 is right; None without clicks or probabilities.
        calibration_error: mean distance of expected from observed click rate over equally wide bins of the
            probability, weighted by their rows; None for scores that are no probabilities.
        rows: candidates.
        positives: clicked ones.
        users: those that count in ``gauc``.
        note: why a metric is missing, None where none is.
        conversion: of the probability that a click leads to a conversion, over the clicked rows whose
            conversion is known: a positive is a conversion; None where the model does not predict it.
        click_and_conversion: of the probability of both together, over all rows but those whose conversion is
            not known; likewise.
        uncalibrated: of scores that are calibrated: LogLoss and expected over observed clicks without that;
            None of others.
        deciles: expected and observed clicks of each tenth of the rows, from the lowest scores up; fewer
            where many scores are alike. None for scores that are no probabilities.
        click_rate: the share of clicks, by weight; None without rows, and of what an earlier version kept.
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
    conversion: Metrics | None = None
    click_and_conversion: Metrics | None = None
    uncalibrated: Probabilities | None = None
    deciles: list[Decile] | None = None
    click_rate: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; without conversions and the like where there are none."""
        data = asdict(self)
        for name in (*OF_CONVERSIONS, "uncalibrated", "deciles", "click_rate"):
            if data[name] is None:
                del data[name]
            elif name in OF_CONVERSIONS:
                data[name] = getattr(self, name).to_dict()
        return data

    def flat(self) -> dict[str, Any]:
        """Plain data in one level, without deciles and the click rate, which is of the data.

        ``conversion_auc`` is the AUC of conversions.
        """
        data = self.to_dict()
        for name in ("deciles", "click_rate"):
            data.pop(name, None)
        data |= {f"uncalibrated_{key}": value for key, value in data.pop("uncalibrated", {}).items()}
        for name in OF_CONVERSIONS:
            if data.pop(name, None) is not None:
                of = getattr(self, name).flat()
                data |= {f"{name}_{key}": value for key, value in of.items()}
        return data


class MetricStream:
    """Gathers metrics batch by batch.

    Memory holds a batch, and the rows of one user. What the exact AUC needs, four bytes a row (16 where rows
    have weights), goes to unnamed temporary files (in ``TMPDIR``).

    Args:
        probabilities: whether scores are log odds of a click. Otherwise they only rank: LogLoss and
            calibration are left out.
    """

    def __init__(self, *, probabilities: bool = True) -> None:
        self._probabilities = probabilities
        self._rows = self._positives = 0
        self._weighted = False
        self._weight = self._weight_of_clicks = 0.0
        self._spools = Spool(), Spool()  # scores of non-clicks and of clicks
        self._users = _UserAUC()

    def update(
        self,
        scores: NDArray[np.float32],
        labels: NDArray[np.floating | np.integer],
        users: NDArray[np.integer],
        weights: NDArray[np.floating] | None = None,
    ) -> None:
        """Add a batch.

        Args:
            scores: ``[B]`` finite.
            labels: ``[B]`` 1 clicked, 0 not.
            users: ``[B]`` a number for each user; a user's rows follow one another, also across
                batches.
            weights: ``[B]`` finite and at least 0; None, for all batches, where all rows count alike.
        """
        scores = np.asarray(scores, np.float32)
        clicked = np.asarray(labels) == 1
        self._rows += len(scores)
        self._positives += int(clicked.sum())
        weight: NDArray[np.float64] | None = None
        if weights is not None:
            weight = np.asarray(weights, np.float64)
            if not (some := weight > 0).all():
                scores, clicked, users, weight = scores[some], clicked[some], users[some], weight[some]
        self._weighted = weight is not None
        self._weight += len(scores) if weight is None else float(weight.sum())
        self._weight_of_clicks += float((clicked if weight is None else weight[clicked]).sum())
        for spool, chosen in zip(self._spools, (~clicked, clicked), strict=True):
            spool.write(scores[chosen], None if weight is None else weight[chosen])
        self._users.update(scores, clicked, users, weight)

    @property
    def click_rate(self) -> float | None:
        """The share of clicks, by weight; None without rows."""
        return self._weight_of_clicks / self._weight if self._weight else None

    def fit(self) -> Platt | None:
        """Find the calibration of least LogLoss (:func:`~dien.training.platt.fit_platt`); ends the stream."""
        return fit_platt(*self._spools)

    def compute(self, calibration: Platt | None = None) -> Metrics:
        """Compute the metrics of all rows so far; ends the stream.

        Args:
            calibration: of the scores; None takes them as they are. AUC and GAUC are the same either way.
        """
        rows, positives = self._rows, self._positives
        auc = None
        if all(spool.rows for spool in self._spools):
            auc = (_weighted_auc if self._weighted else _auc)(*(spool.sorted() for spool in self._spools))
        gauc, users = self._users.compute()
        measured, bare, tenths = Probabilities(), None, None
        if self._probabilities:
            measured = probabilities(*self._spools, calibration or AS_IT_IS)
            bare = None if calibration is None else probabilities(*self._spools, AS_IT_IS)
            tenths = deciles(*self._spools, calibration or AS_IT_IS)
        note = None
        if auc is None:
            which = "there are no rows" if not rows else f"every label is {int(positives > 0)}"
            if 0 < positives < rows:
                which = "all clicks or all non-clicks have weight 0"
            note = f"no AUC: {which}"
        elif gauc is None:
            note = "no GAUC: no user has both clicks and non-clicks"
        return Metrics(
            auc,
            gauc,
            measured.log_loss,
            measured.calibration,
            measured.calibration_error,
            rows,
            positives,
            users,
            note,
            uncalibrated=bare,
            deciles=tenths,
            click_rate=self.click_rate,
        )


def _auc(negatives: NDArray[np.float32], positives: NDArray[np.float32]) -> float:
    """AUC of rising scores: for each click the non-clicks below it, and half of those level with it."""
    ordered = 0  # twice the number of (click, non-click) pairs in the right order, an integer of any size
    for start in range(0, len(positives), CHUNK):
        chunk = positives[start : start + CHUNK]
        ordered += int(np.searchsorted(negatives, chunk, "left").sum())
        ordered += int(np.searchsorted(negatives, chunk, "right").sum())
    return ordered / (2 * len(positives) * len(negatives))


def _weighted_auc(negatives: NDArray[np.uint64], positives: NDArray[np.uint64]) -> float:
    """AUC of rising keys, as :func:`_auc`; a pair counts as the product of its rows' weights."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    below = np.memmap(
        file, np.float64, "w+", shape=len(negatives) + 1
    )  # weight of the non-clicks before each
    for start in range(0, len(negatives), CHUNK):
        weights = weights_of(negatives[start : start + CHUNK])
        below[start + 1 : start + 1 + len(weights)] = below[start] + np.cumsum(weights)
    ordered = clicks = 0.0
    for start in range(0, len(positives), CHUNK):
        chunk = positives[start : start + CHUNK]
        first = np.searchsorted(negatives, chunk & ~OF_SCORE, "left")
        end = np.searchsorted(negatives, chunk | OF_SCORE, "right")
        weights = weights_of(chunk)
        ordered += float(weights @ (below[first] + below[end]))
        clicks += float(weights.sum())
    return ordered / 2 / (clicks * float(below[-1]))


class _UserAUC:
    """Mean AUC over users, weighted by rows; keeps the rows of the user who may go on in the next batch."""

    def __init__(self) -> None:
        self._open: list[tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64] | None]] = []
        self._user: int | None = None
        self._sum = self._weight = 0.0
        self._users = 0

    def update(
        self,
        scores: NDArray[np.float32],
        clicked: NDArray[np.bool_],
        users: NDArray[np.integer],
        weights: NDArray[np.float64] | None,
    ) -> None:
        if not len(users):
            return
        starts = np.flatnonzero(users[1:] != users[:-1]) + 1
        if users[0] != self._user:
            self._close()
            self._user = int(users[0])

        def part(rows: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64] | None]:
            return scores[rows], clicked[rows], None if weights is None else weights[rows]

        last = 0
        if len(starts):
            first, last = starts[0], starts[-1]
            self._open.append(part(slice(first)))
            self._close()
            self._add(*part(slice(first, last)), np.diff(starts))
            self._user = int(users[-1])
        self._open.append(part(slice(last, None)))

    def compute(self) -> tuple[float | None, int]:
        """Mean AUC, None without users to count, and the number of those."""
        self._close()
        return (self._sum / self._weight if self._weight else None), self._users

    def _close(self) -> None:
        if self._open:
            scores = np.concatenate([part[0] for part in self._open])
            clicked = np.concatenate([part[1] for part in self._open])
            weights = [part[2] for part in self._open if part[2] is not None]
            self._add(scores, clicked, np.concatenate(weights) if weights else None, np.array([len(scores)]))
            self._open = []

    def _add(
        self,
        scores: NDArray[np.float32],
        clicked: NDArray[np.bool_],
        weights: NDArray[np.float64] | None,
        lengths: NDArray[np.integer],
    ) -> None:
        """Add whole users: the rows of all ``[n]`` and how many each has ``[U]``."""
        if not len(scores):
            return
        user = np.repeat(np.arange(len(lengths)), lengths)  # [n]
        order = np.lexsort((scores, user))
        scores, clicked = scores[order], clicked[order].astype(np.int64)
        each = np.ones(len(scores), np.int64) if weights is None else weights[order]
        # Runs of level scores of one user.
        new = np.append(True, (scores[1:] != scores[:-1]) | (user[1:] != user[:-1]))
        runs = np.flatnonzero(new)
        user = user[runs]
        clicks = np.add.reduceat(clicked * each, runs)
        others = np.add.reduceat((1 - clicked) * each, runs)
        clicks_of, others_of = np.bincount(user, clicks), np.bincount(user, others)  # [U]
        below = np.cumsum(others) - others - (np.cumsum(others_of) - others_of)[user]
        ordered = np.bincount(user, clicks * (below + others / 2))  # [U]
        counts = (clicks_of > 0) & (others_of > 0)
        weight = lengths if weights is None else clicks_of + others_of  # [U]
        self._sum += float((weight * ordered)[counts] @ (1 / (clicks_of * others_of)[counts]))
        self._weight += float(weight[counts].sum())
        self._users += int(counts.sum())
