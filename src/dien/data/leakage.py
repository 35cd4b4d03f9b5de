"""Target leakage: features of the context that alone tell whether the row was clicked.

A column that is written after the click, as the seconds that a video was played, makes any model look perfect
and is not there when a request comes. One feature alone is measured: its mean label by value, taken from one
half of the rows, orders the other half, and the AUC of that order says what the feature knows.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.features import Schema
from dien.data.ragged import Ragged, ranges, row_of
from dien.data.tables import Split
from dien.errors import DatasetWarning

CERTAIN = 0.95
"""The AUC of one feature alone from which on it nearly tells the label."""

_ERRORS = 5  # standard errors that an AUC must lie above 0.5, so that chance alone makes none in a million
_INTERVALS = 50  # of numbers, with equally many rows
_SMOOTHING = 1.0  # rows with the mean label that each value is given
_SAMPLE = 100_000  # rows looked at
_SEED = 7_310_249  # of the halves and of the sample: no data is made with it


@dataclass(frozen=True)
class Alone:
    """What one feature alone says of the label.

    Attributes:
        auc: of its mean label by value, on rows that these means were not taken from; 0.5 says nothing.
        error: the standard error of the AUC of a feature that says nothing, over as many rows.
        rows: how many rows were looked at, both halves.
        only_of_clicks: whether all rows without a click have one value, and all rows with another value are
            clicks, beyond chance: what is known only after a click looks so.
    """

    auc: float
    error: float
    rows: int
    only_of_clicks: bool = False

    @property
    def tells(self) -> bool:
        """Whether it nearly tells the label, beyond chance."""
        return self.auc > CERTAIN and self.auc - 0.5 > _ERRORS * self.error


_NOTHING = Alone(0.5, float("inf"), 0)


def alone(
    values: pl.Series, labels: NDArray[np.integer], impression: NDArray[np.integer] | None = None
) -> Alone:
    """Measure what a raw column alone says of the label.

    Args:
        values: ``[n]`` text, numbers, booleans, or lists of them; null is a value of its own.
        labels: ``[n]`` 1 clicked and 0 not.
        impression: ``[n]`` as of :func:`alone_by_code`.
    """
    if not isinstance(values.dtype, pl.List | pl.Array):
        return alone_by_code(_codes(values), np.arange(len(values)), labels, impression)
    lists = values.to_frame("values").with_row_index("row").explode("values")
    return alone_by_code(_codes(lists["values"]), lists["row"].to_numpy(), labels, impression)


def shown_together(frame: pl.DataFrame) -> NDArray[np.int64]:
    """Give each of some raw rows the number of its impression, which is that of its first row.

    Args:
        frame: columns ``[n]`` that are equal for what was shown together, as the user and the time; a row
            with a null in one is an impression of its own.

    Returns:
        ``[n]`` from 0.
    """
    row = pl.Series(".row", np.arange(frame.height))  # no column begins with a dot
    alone = pl.any_horizontal(pl.col(frame.columns).is_null())
    first = pl.when(alone).then(".row").otherwise(pl.col(".row").first().over(frame.columns))
    return np.asarray(frame.with_columns(row).select(first).to_series().to_numpy(), np.int64)


def alone_by_code(
    codes: NDArray[np.integer],
    rows: NDArray[np.integer],
    labels: NDArray[np.integer],
    impression: NDArray[np.integer] | None = None,
) -> Alone:
    """Measure the same of values that are numbered.

    Args:
        codes: ``[v]`` from 0, of all rows.
        rows: ``[v]`` the row of each value: a row may have several, or none.
        labels: ``[n]`` 1 clicked and 0 not.
        impression: ``[n]`` the impression of each row, from 0: rows of one are held out together, as they
            share their context and often their label; None where each row is one.
    """
    n, clicks = len(labels), int(labels.sum())
    if not len(codes) or clicks in (0, n):
        return _NOTHING
    together = np.arange(n) if impression is None else impression
    fitted = (np.random.default_rng(_SEED).random(int(together.max()) + 1) < 0.5)[together]
    clicked, tried = labels.astype(np.float64), labels[~fitted]
    of_fitted = fitted[rows]
    mean = float(clicked[fitted].mean()) if fitted.any() else 0.5
    size = int(codes.max()) + 1
    shown = np.bincount(codes[of_fitted], minlength=size)
    hits = np.bincount(codes[of_fitted], clicked[rows[of_fitted]], minlength=size)
    rates = (hits + _SMOOTHING * mean) / (shown + _SMOOTHING)
    positives, negatives = int(tried.sum()), int(len(tried) - tried.sum())
    if not positives or not negatives:
        return _NOTHING
    error = float(np.sqrt((positives + negatives + 1) / (12 * positives * negatives)))
    of_row = np.bincount(rows, minlength=n)
    if len(codes) == n and bool((of_row == 1).all()):  # rows of one code are alike: they need no sorting
        one_each = codes if bool((rows[1:] > rows[:-1]).all()) else codes[np.argsort(rows)]
        held = one_each[~fitted]
        auc = _auc(rates, np.bincount(held, tried, minlength=size), np.bincount(held, minlength=size))
        return Alone(auc, error, n, _only_of_clicks(one_each, labels))
    sums = np.bincount(rows, rates[codes], minlength=n).astype(np.float64)
    scores = np.where(of_row > 0, sums / np.maximum(of_row, 1), mean)[~fitted]
    return Alone(_auc(scores, clicked[~fitted], np.ones(len(scores))), error, n)


def leaking(schema: Schema, split: Split) -> dict[str, Alone]:
    """Find the features of the context that alone nearly tell the labels of a split.

    Args:
        schema: the features.
        split: the impressions; of many, a sample is looked at.

    Returns:
        What each of them says, by its name.
    """
    features = [feature for feature in schema.of("context") if feature.name in split.context]
    if not features or not len(split):
        return {}
    lengths = max(1, len(split.item) // len(split))
    impressions = np.arange(len(split))
    if len(split.item) > _SAMPLE:
        kept = min(len(split), _SAMPLE // lengths + 1)
        impressions = np.sort(np.random.default_rng(_SEED).choice(len(split), kept, replace=False))
    candidates = split.offsets[impressions + 1] - split.offsets[impressions]
    labels = split.label[ranges(split.offsets[impressions], candidates)]
    impression = row_of(candidates)  # [rows]
    found = {}
    for feature in features:
        column = split.context[feature.name]
        if isinstance(column, Ragged):
            of_rows = column[impressions[impression]]
            codes, rows = [_dense(of_rows.values)], row_of(np.diff(of_rows.offsets))
        else:
            values, rows = column[impressions][impression], np.arange(len(labels))
            if feature.stored.indexed:
                codes = [_dense(values)]
            else:  # a row may have several numbers
                codes = [_codes(pl.Series(one).fill_nan(None)) for one in values.reshape(len(labels), -1).T]
        says = max((alone_by_code(one, rows, labels, impression) for one in codes), key=lambda one: one.auc)
        if says.tells:
            found[feature.name] = says
    return found


def warn_of_leaking(schema: Schema, split: Split) -> None:
    """Warn of every feature that :func:`leaking` finds, with its AUC and the remedy."""
    for name, says in leaking(schema, split).items():
        warnings.warn(in_words(name, says), DatasetWarning, stacklevel=2)


def in_words(name: str, says: Alone) -> str:
    """Say what a leaking feature does, and the remedy."""
    return (
        f"context feature {name!r} alone tells the label: AUC {says.auc:.3f} on held-out rows ({says.rows:,} "
        "looked at); it seems to be written after the click, or to name sessions in which all or nothing was "
        "clicked, and no request has it; move it to features.behaviour of the schema, or take it out, and "
        "prepare the data so"
    )


def _dense(indices: NDArray[Any]) -> NDArray[np.int64]:
    """Give each index that is there a number from 0: indices of hashed ids run up to billions."""
    return np.asarray(np.unique(indices, return_inverse=True)[1], np.int64)


def _codes(values: pl.Series) -> NDArray[np.int64]:
    """Give each value a number from 0, numbers by intervals; null is the last."""
    if values.dtype.is_numeric() and values.n_unique() > _INTERVALS:
        numbers = values.cast(pl.Float64).to_numpy()
        known = numbers[np.isfinite(numbers)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _INTERVALS + 1), method="lower"))
        codes = np.searchsorted(edges, np.nan_to_num(numbers, nan=np.inf, posinf=np.inf), side="left")
        return np.asarray(codes, np.int64)
    if isinstance(values.dtype, pl.Categorical | pl.Enum):
        values = values.to_physical()
    ranks = values.rank("dense").cast(pl.Int64)
    return np.asarray(ranks.fill_null(int(ranks.max() or 0) + 1).to_numpy() - 1, np.int64)


def _auc(scores: NDArray[np.float64], positives: NDArray[Any], rows: NDArray[Any]) -> float:
    """AUC of groups of rows; equal scores count half.

    Args:
        scores: ``[g]`` of each group.
        positives: ``[g]`` how many of its rows were clicked.
        rows: ``[g]`` how many rows it has.
    """
    _, rank = np.unique(scores, return_inverse=True)
    clicks, total = np.bincount(rank, positives), np.bincount(rank, rows)
    others = total - clicks
    below = np.cumsum(others) - others
    return float((clicks * (below + others / 2)).sum() / (clicks.sum() * others.sum()))


def _only_of_clicks(codes: NDArray[np.integer], labels: NDArray[np.integer]) -> bool:
    """Whether what was not clicked has one value, and other values are of clicks alone, beyond chance."""
    usual = codes[labels == 0]
    if (usual != usual[0]).any():
        return False
    others = int((codes != usual[0]).sum())
    return bool(others * np.log(labels.mean()) < np.log(1e-6))
