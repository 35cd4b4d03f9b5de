"""What a run has to pass before it is published: metrics of held-out rows, and the drift of its scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from dien.data.dataset import Dataset
from dien.data.tables import SplitName
from dien.errors import DienError, PublishError
from dien.progress import Progress
from dien.run import Run
from dien.serving.publish.drift import Drift, drift
from dien.serving.publish.held_out import HeldOut, Metric, expect_rows, held_out
from dien.serving.request import CheckedRequest
from dien.serving.scorer import Scorer

MARGIN = 0.005
"""How much worse AUC or GAUC may be: about two standard deviations of the difference of two trainings of one
model (docs/publish.md), so that few days are lost to luck. LogLoss has a scale of its own."""
MOST_DRIFT = 0.1
"""The largest mean distance of probabilities: it catches a model that encodes something in another way."""


@dataclass(frozen=True)
class Limits:
    """What the gate lets through.

    Attributes:
        metric: that is compared.
        margin: by how much it may be worse than the current model's.
        most_drift: the largest mean distance of probabilities on replayed requests.
    """

    metric: Metric = "auc"
    margin: float = MARGIN
    most_drift: float = MOST_DRIFT


@dataclass
class Gate:
    """What a gate has found.

    Attributes:
        held_out: metrics of the held-out rows; None where they could not be found.
        drift: of replayed requests; None where none were given.
        loaded: requests that the copied model has scored as the run does; 0 where it did not come to that.
        unchecked: what was not checked, and why.
        refused: why the run is not to be published; nothing where it is.
    """

    held_out: HeldOut | None = None
    drift: Drift | None = None
    loaded: int = 0
    unchecked: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dict(msgspec.to_builtins(self))


class GateError(PublishError):
    """A run that its gate refuses.

    Args:
        message: why.
        gate: what it has found.
    """

    def __init__(self, message: str, gate: Gate) -> None:
        super().__init__(message)
        self.gate = gate


def pass_gate(
    new: Scorer,
    current: Path | None,
    limits: Limits,
    *,
    data: Path | None = None,
    split: SplitName = "test",
    requests: Path | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> tuple[Gate, list[CheckedRequest]]:
    """Compare a run with the one that is current.

    Args:
        new: of the run.
        current: folder of the current model; None where there is none.
        limits: what to let through.
        data: dataset folder; None for that of the run.
        split: of it.
        requests: to replay; None for none.
        device: where the models compute.
        progress: called with the number of impressions, then of requests, just scored.

    Returns:
        What was found, and some of the requests.

    Raises:
        DataError: the file of requests cannot be read.
        RunError: a score of the new model is not finite.
    """
    gate, sample = Gate(), list[CheckedRequest]()
    if current is None:
        gate.unchecked.append("nothing is published yet, so that there is no model to compare with")
    _held_out(gate, new.run, current, limits, data, split, device, progress)
    if requests is None:
        gate.unchecked.append("no requests to replay (--requests)")
    else:
        sample = _drift(gate, new, current, limits, requests, device, progress)
    return gate, sample


def _held_out(
    gate: Gate,
    new: Run,
    current: Path | None,
    limits: Limits,
    data: Path | None,
    split: SplitName,
    device: str,
    progress: Progress | None,
) -> None:
    """Put into a gate what the held-out rows come to."""
    try:
        dataset: Dataset = new.dataset(data)
        expect_rows(dataset, split)
    except DienError as error:
        what = gate.unchecked if current is None and data is None else gate.refused
        what.append(f"no metrics of held-out rows: {error}")
        return
    try:
        try:
            before = None if current is None else Run.open(current)
            gate.held_out = held_out(new, before, dataset, split, device, progress)
        except DienError as error:
            if current is None:
                raise
            gate.held_out = held_out(new, None, dataset, split, device, progress)
            gate.refused.append(f"not compared with the current model: {error}")
            return
    except DienError as error:
        gate.refused.append(f"no metrics of held-out rows: {error}")
        return
    if current is None:
        return
    found, metric = gate.held_out.metrics[limits.metric], limits.metric
    worse = found.worse_by(metric)
    if worse is None:
        why = "no user has both clicks and non-clicks" if metric == "gauc" else "its labels are all alike"
        gate.refused.append(f"{metric} is not known of the {split} split of {dataset.path}: {why}")
    elif worse > limits.margin:
        gate.refused.append(
            f"{metric} is {found.new:.4f}, of the current model {found.current:.4f}: worse by {worse:.4f}, "
            f"expected {limits.margin:g} at most (--margin)"
        )


def _drift(
    gate: Gate,
    new: Scorer,
    current: Path | None,
    limits: Limits,
    requests: Path,
    device: str,
    progress: Progress | None,
) -> list[CheckedRequest]:
    """Put into a gate what replayed requests come to."""
    before = None
    if current is not None:
        try:
            before = Scorer.load(current, device=device)
        except DienError as error:
            gate.refused.append(f"not compared with the current model: {error}")
    gate.drift, sample = drift(new, before, requests, progress)
    found = gate.drift
    if found.not_compared is not None:
        gate.refused.append(f"requests not compared with the current model: {found.not_compared}")
    if found.refused:
        gate.refused.append(
            f"{found.refused} of {found.requests} requests of {requests} are refused by the new model: "
            f"{'; '.join(found.reasons)}"
        )
    if found.refused_by_current:
        gate.unchecked.append(
            f"{found.refused_by_current} of {found.requests} requests are refused by the current model, and "
            "not compared"
        )
    if found.mean_difference is not None and found.mean_difference > limits.most_drift:
        gate.refused.append(
            f"scores of replayed requests differ by {found.mean_difference:.4f} in the mean, expected "
            f"{limits.most_drift:g} at most (--most-drift)"
        )
    return sample
