"""Evaluate a run, or an item's popularity, on a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dien.calibration import AS_IT_IS, Calibration
from dien.data.batch import Batch, rows_at_once
from dien.data.batches import Batches, core_for_prefetch, ready
from dien.data.dataset import Dataset
from dien.data.ragged import row_of
from dien.data.tables import SplitName
from dien.device import device_of
from dien.errors import RunError
from dien.models import Model, ModelConfig
from dien.progress import Progress
from dien.run import Run
from dien.training.metrics import Metrics, MetricStream
from dien.training.slices import AGAINST_KNOWN, SLICES, slices_of
from dien.training.unknown import UnknownShares

EVALUATION_ROWS = 1024


def evaluate(
    run: Run | Path | str,
    data: Dataset | Path | str | None = None,
    *,
    split: SplitName = "test",
    device: str = "auto",
    progress: Progress | None = None,
) -> Metrics:
    """Evaluate a finished run, with the calibration that was fitted to it.

    Args:
        run: the run or its folder.
        data: the dataset it was trained on; None where it still lies where it was.
        split: which rows.
        device: where the model computes, as ``training.device`` has it.
        progress: called with the number of rows just scored.

    Raises:
        ConfigError: it is no device's name, or there is no such device here.
        RunError: the run is not finished, its dataset has moved, ``data`` is another dataset, or a score is
            not finite.
        DataError: the dataset cannot be read.
        TypeError: ``run`` is neither a run nor a path.
        ValueError: there is no such split.
    """
    run, model, _, batches = _open(run, data, split, device)
    with _finite(run):
        return evaluate_model(model, batches, progress)


@dataclass(frozen=True)
class Evaluated:
    """What one pass over a split finds.

    Attributes:
        whole: metrics of all rows.
        slices: metrics of each slice of :func:`~dien.training.slices.slices_of` that has any row; empty where
            they were not asked for.
        unknown: share of the values that are unknown or missing, by place and feature
            (:class:`~dien.training.unknown.UnknownShares`).
    """

    whole: Metrics
    slices: dict[str, Metrics]
    unknown: dict[str, dict[str, float]]


def evaluate_in_detail(
    run: Run | Path | str,
    data: Dataset | Path | str | None = None,
    *,
    split: SplitName = "test",
    slices: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> Evaluated:
    """Evaluate a finished run on a split, and say what of it is unknown, in one pass.

    Args:
        run: as for :func:`evaluate`, like the others.
        data: likewise.
        split: which rows.
        slices: whether parts of the split are evaluated, too.
        device: likewise.
        progress: called with the number of rows just scored.

    Raises:
        ConfigError: as :func:`evaluate`.
        RunError: likewise.
        DataError: likewise.
    """
    run, model, dataset, batches = _open(run, data, split, device)
    calibration = model.calibration
    everyone, parts = _Streams(calibration), dict[str, MetricStream]()
    unknown = UnknownShares(dataset.schema)

    def add(batch: Batch, scored: _Scored) -> None:
        everyone.add(batch, scored)
        unknown.add(batch)
        for name, chosen in slices_of(batch, dataset.schema).items() if slices else ():
            if chosen.any():
                if name not in parts:
                    parts[name] = MetricStream(probabilities=name != AGAINST_KNOWN)
                parts[name].update(*scored.of(chosen))

    with _finite(run):
        _score(model, batches, add, progress)
    of_clicks = None if calibration is None else calibration.clicks
    of_slices = {name: parts[name].compute(of_clicks) for name in SLICES if name in parts}
    if AGAINST_KNOWN in of_slices and not of_slices[AGAINST_KNOWN].positives:
        del of_slices[AGAINST_KNOWN]  # no click of an unknown item: nothing is ranked
    return Evaluated(everyone.compute(calibration), of_slices, unknown.shares())


def evaluate_slices(
    run: Run | Path | str,
    data: Dataset | Path | str | None = None,
    *,
    split: SplitName = "test",
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, Metrics]:
    """Evaluate a finished run on a split and on parts of it, in one pass.

    Args:
        run: as for :func:`evaluate`, like the others.
        data: likewise.
        split: which rows.
        device: likewise.
        progress: called with the number of rows just scored.

    Returns:
        Metrics of ``all`` rows, and of each slice of :func:`~dien.training.slices.slices_of` that has any;
        of clicks of unknown items against known ones, where there is such a click.

    Raises:
        ConfigError: as :func:`evaluate`.
        RunError: likewise.
        DataError: likewise.
    """
    found = evaluate_in_detail(run, data, split=split, slices=True, device=device, progress=progress)
    return {"all": found.whole, **found.slices}


def _open(
    run: Run | Path | str, data: Dataset | Path | str | None, split: SplitName, device: str
) -> tuple[Run, Model, Dataset, Batches]:
    """Open a run and its dataset; gives the model on its device."""
    if isinstance(run, torch.nn.Module):
        raise TypeError(
            f"evaluate: found a {type(run).__name__}, expected a run folder; evaluate_model(model, "
            "evaluation_batches(dataset, split, max_history)) evaluates a model"
        )
    place = device_of(device)
    run = run if isinstance(run, Run) else Run.open(run)
    dataset = run.dataset(data)
    run.expect_data(dataset)
    dataset.check()
    model, config = run.load_model().to(place), run.config.model
    batches = batches_read_by(config, dataset, split)
    return run, model, dataset, batches


@contextmanager
def _finite(run: Run) -> Iterator[None]:
    """Refuse scores that are no numbers, in place of metrics of them."""
    try:
        yield
    except FloatingPointError as error:
        raise RunError(f"{run.path}: {error}: its weights are too large; train again") from error


def batches_read_by(config: ModelConfig, dataset: Dataset, split: SplitName) -> Batches:
    """Make the batches of :func:`evaluation_batches` with what a model reads.

    Args:
        config: of the model.
        dataset: holds the rows and the histories.
        split: which rows.
    """
    return evaluation_batches(
        dataset,
        split,
        config.max_history,
        config.matched_history,
        config.filter_by,
        config.filter_history,
        popularity=config.popularity,
    )


def evaluation_batches(
    dataset: Dataset,
    split: SplitName,
    max_history: int,
    match_history: int | None = None,
    filter_by: str | None = None,
    filter_history: int = 1000,
    *,
    popularity: bool = False,
) -> Batches:
    """Batches of a split in the order on disk, with its stored negatives.

    Args:
        dataset: where from.
        split: the rows of which split.
        max_history: newest behaviours of each history.
        match_history: newest behaviours that matches are counted over; None for a model that reads none.
        filter_by: feature of which a behaviour must have the candidate's value to be read; None for all.
        filter_history: newest behaviours that are searched for these.
        popularity: whether candidates have numbers of how popular they are.

    Raises:
        ConfigError: popularity is asked for, and no behaviour has a time.
    """
    longest = max(max_history if filter_by is None else filter_history, match_history or 0)
    return Batches(
        dataset,
        split,
        batch_size=rows_at_once(EVALUATION_ROWS, max_history, longest),
        max_history=max_history,
        match_history=match_history,
        filter_by=filter_by,
        filter_history=filter_history,
        popularity=popularity,
    )


def evaluate_model(model: Model, batches: Batches, progress: Progress | None = None) -> Metrics:
    """Evaluate a model on batches, in evaluation mode, and leave its mode as it was.

    Its scores are calibrated as ``model.calibration`` says, which the model of a run has.

    Raises:
        FloatingPointError: a score is not finite.
    """
    streams = _Streams(model.calibration)
    _score(model, batches, streams.add, progress)
    return streams.compute(model.calibration)


def validate_model(
    model: Model, batches: Batches, progress: Progress | None = None
) -> tuple[Metrics, Calibration | None]:
    """Fit the calibration of a model on batches, and evaluate it there with that, in one pass.

    Returns:
        The metrics, and the calibration; None where there are too few clicks or non-clicks to fit it. Metrics
        of click and conversion together are without it.

    Raises:
        FloatingPointError: a score is not finite.
    """
    streams = _Streams(None)
    _score(model, batches, streams.add, progress)
    calibration = streams.fit()
    return streams.compute(calibration), calibration


class _Scored(NamedTuple):
    """What was found of the candidates of a batch; ``conversion`` holds log odds and ``converted`` labels."""

    scores: NDArray[Any]
    labels: NDArray[Any]
    users: NDArray[Any]
    weights: NDArray[Any] | None
    conversion: NDArray[Any] | None
    converted: NDArray[Any] | None

    def of(
        self,
        chosen: NDArray[np.bool_],
        scores: NDArray[Any] | None = None,
        labels: NDArray[Any] | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """Choose some candidates ``[B]``, by default with the scores and labels of clicks."""
        return (
            (self.scores if scores is None else scores)[chosen],
            (self.labels if labels is None else labels)[chosen],
            self.users[chosen],
            None if self.weights is None else self.weights[chosen],
        )


class _Streams:
    """Metrics of clicks and, where the model predicts them, of conversions.

    Args:
        calibration: of the scores, where it is known beforehand: click and conversion together need it then.
    """

    def __init__(self, calibration: Calibration | None) -> None:
        self._known = calibration
        self._clicks = MetricStream()
        self._conversions: tuple[MetricStream, MetricStream] | None = None  # of clicks, and of all rows

    def add(self, _: Batch, scored: _Scored) -> None:
        """Add the candidates of a batch."""
        self._clicks.update(*scored[:4])
        if scored.conversion is None or scored.converted is None:
            return
        self._conversions = self._conversions or (MetricStream(), MetricStream())
        of_clicks, of_all = self._conversions
        known = ~np.isnan(scored.converted)
        of_clicks.update(*scored.of(known & (scored.labels == 1), scored.conversion, scored.converted))
        click, conversion = scored.scores.astype(np.float64), scored.conversion.astype(np.float64)
        if self._known is not None:
            click = self._known.clicks(click)
            conversion = (self._known.conversions or AS_IT_IS)(conversion)
        of_all.update(*scored.of(known, _log_odds_of_both(click, conversion), scored.converted))

    def fit(self) -> Calibration | None:
        """Find the calibration of clicks, and that of conversions; ends the streams."""
        clicks, click_rate = self._clicks.fit(), self._clicks.click_rate
        if clicks is None or click_rate is None:
            return None
        conversions = None if self._conversions is None else self._conversions[0].fit()
        return Calibration(clicks, click_rate, conversions)

    def compute(self, calibration: Calibration | None) -> Metrics:
        """Compute the metrics of all rows so far; ends the streams."""
        clicks = self._clicks.compute(None if calibration is None else calibration.clicks)
        if self._conversions is None:
            return clicks
        of_clicks, of_all = self._conversions
        return replace(
            clicks,
            conversion=of_clicks.compute(None if calibration is None else calibration.conversions),
            click_and_conversion=of_all.compute(),
        )


def _log_odds_of_both(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give the log odds that two things both happen, from those of each."""
    yes, no = -np.logaddexp(0, -a), -np.logaddexp(0, a)
    odds: NDArray[np.float64] = yes - np.logaddexp(0, -b) - np.logaddexp(no, yes - np.logaddexp(0, b))
    return odds.astype(np.float32)


def _score(
    model: Model,
    batches: Batches,
    add: Callable[[Batch, _Scored], None],
    progress: Progress | None,
) -> None:
    """Call ``add`` with each batch, and what was found of its candidates."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        with core_for_prefetch(), torch.inference_mode():
            for batch in ready(batches.epoch(0)):
                prediction = model(batch.to(device))
                logits = prediction.logits.float().cpu()  # [B]
                conversion = prediction.conversion
                conversion = None if conversion is None else conversion.float().cpu()  # [B]
                for found in (logits, conversion):
                    if found is not None and not bool(torch.isfinite(found).all()):
                        raise FloatingPointError("a score is not a finite number")
                assert batch.label is not None
                assert batch.user_row is not None
                add(
                    batch,
                    _Scored(
                        scores=logits.numpy(),
                        labels=batch.label.numpy(),
                        users=batch.user_row[batch.history_of].numpy(),
                        weights=_numpy(batch.weight),
                        conversion=_numpy(conversion),
                        converted=_numpy(batch.conversion),
                    ),
                )
                if progress:
                    progress(len(batch))
    finally:
        model.train(training)


def _numpy(column: Tensor | None) -> NDArray[Any] | None:
    return None if column is None else column.numpy()


def truth_share(info: Mapping[str, Any], split: SplitName, auc: float | None) -> dict[str, float | None]:
    """Compare an AUC with the best that any model can reach, where the data's truth is known.

    Args:
        info: ``dataset.json`` of the dataset.
        split: the rows the AUC is of.
        auc: what a model reached; None where the split has none.

    Returns:
        ``best_auc``, and ``share_of_best``: how much of the way from 0.5 to there the AUC is, below 0 where
        it is worse than chance; None where there is no such way or no AUC. Empty for data whose truth is not
        known.
    """
    if "truth" not in info:
        return {}
    best = info["truth"]["best_auc"][split]
    share = None if auc is None or best is None or best <= 0.5 else (auc - 0.5) / (best - 0.5)
    return {"best_auc": best, "share_of_best": share}


def base_rate(info: Mapping[str, Any], metrics: Metrics) -> dict[str, Any]:
    """Say what share of the rows was clicked, what share the scores expect, and what rows these are.

    A score is the probability of a click among rows like those of the dataset. Where its negatives were
    sampled, or a part of them was left out before, that is not the share of clicks among all that is shown
    (docs/requests.md, "What a score means").

    Args:
        info: ``dataset.json`` of the dataset.
        metrics: of the rows.

    Returns:
        ``click_rate`` of the rows and ``mean_score``, what the scores expect it to be, both by weight; each
        None where there is none. With sampled negatives also ``rate_of``: what rows these are, in words.
    """
    rate = metrics.click_rate
    mean = None if rate is None or metrics.calibration is None else metrics.calibration * rate
    rates: dict[str, Any] = {"click_rate": rate, "mean_score": mean}
    if info["negatives"]["sampled"]:
        rates["rate_of"] = f"clicks and {info['negatives']['per_positive']} sampled negatives of each"
    return rates


def popularity_baseline(dataset: Dataset, split: SplitName = "test") -> Metrics:
    """Score every candidate by how often its item occurs among the events negatives are drawn from.

    A count is no probability: LogLoss and calibration are None.
    """
    stream = MetricStream(probabilities=False)
    rows = dataset.split(split)
    for start in range(0, len(rows), EVALUATION_ROWS):
        offsets = rows.offsets[start : start + EVALUATION_ROWS + 1]
        shown = slice(offsets[0], offsets[-1])
        user = rows.user[start : start + EVALUATION_ROWS][row_of(np.diff(offsets))]
        score = dataset.popularity[rows.item[shown]].astype(np.float32)
        stream.update(score, rows.label[shown], user, None if rows.weight is None else rows.weight[shown])
    return stream.compute()
