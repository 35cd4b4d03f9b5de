"""``comparison.json``: what is compared, every run, and what they come to. Read and written here alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from dien.training.log import read_records
from dien.training.metrics import Metrics
from dien.training.records import load, text_of
from dien.training.resumable import AGAIN, write_text

FORMAT = 1
COMPARISON = "comparison.json"


class Spread(msgspec.Struct, frozen=True):
    """A figure over replicates.

    Attributes:
        mean: over independent ones, as the interval.
        std: sample standard deviation over all of them; None of a single one.
        low: lower end of the 95 % confidence interval of the mean, by Student's t over independent
            replicates; None where there is only one.
        high: upper end.
        count: replicates.
    """

    mean: float
    std: float | None
    low: float | None
    high: float | None
    count: int


class Difference(msgspec.Struct, frozen=True):
    """One model's AUC less another's, over the replicates that both have.

    Attributes:
        mean: of the differences.
        low: lower end of its 95 % confidence interval; None without a test.
        high: upper end.
        p: two-sided p value of the paired t test; None where fewer than two replicates are independent.
        count: independent replicates.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    count: int


class ModelDifference(Difference, frozen=True, kw_only=True):
    """The :class:`Difference` of two models.

    Attributes:
        model: the first.
        over: the model whose AUC is taken off.
        p_holm: ``p`` adjusted for the number of steps from each model to the next (Holm); None where the two
            are no such step, or without a test.
    """

    model: str
    over: str
    p_holm: float | None


class ComparedRun(msgspec.Struct, frozen=True, tag_field="status"):
    """A model on a replicate, which is a dataset folder and a training seed.

    Attributes:
        model: its name in the comparison.
        data: the dataset folder.
        seed: the training seed.
        run: the run folder, from that of the comparison on.
    """

    model: str
    data: str
    seed: int
    run: str

    @property
    def status(self) -> str:
        """``done``, ``failed`` or ``unfinished``."""
        return str(self.__struct_config__.tag)


class DoneRun(ComparedRun, frozen=True, tag="done"):
    """A run that is trained and evaluated.

    Attributes:
        epochs: trained.
        best_epoch: the one whose weights were kept, from 1.
        stopped: why training ended, ``epochs`` or ``patience``.
        valid_auc: AUC of that epoch on the validation split.
        test: metrics on the test split.
        parameters: trained numbers.
        training_rows_per_second: candidates, on one thread.
        scoring_rows_per_second: likewise; None where the split is a single batch.
    """

    epochs: int
    best_epoch: int
    stopped: str
    valid_auc: float | None
    test: Metrics
    parameters: int
    training_rows_per_second: float | None
    scoring_rows_per_second: float | None


class FailedRun(ComparedRun, frozen=True, tag="failed"):
    """A run that failed.

    Attributes:
        error: what with.
    """

    error: str


class UnfinishedRun(ComparedRun, frozen=True, tag="unfinished"):
    """A run that has not begun or not come to its end."""


class ModelSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model over its replicates.

    Attributes:
        model: its name.
        runs: that are done.
        auc: on the test split, as the other metrics (:class:`~dien.training.metrics.Metrics`); None without
            a run that has one.
        gauc: likewise.
        log_loss: likewise.
        calibration: likewise.
        calibration_error: likewise.
        relative_improvement: RelaImpr over the base.
        over_best: its AUC less that of the best model; None of that itself.
        parameters: trained numbers.
        training_rows_per_second: median over runs.
        scoring_rows_per_second: likewise.
        conversion: of the conversion of a click, each of
            :data:`~dien.training.metrics.METRICS` by its name, on the test split; None, and left out of the
            file, where no run of the model predicts it.
        click_and_conversion: of both together, likewise.
    """

    model: str
    runs: int
    auc: Spread | None
    gauc: Spread | None
    log_loss: Spread | None
    calibration: Spread | None
    calibration_error: Spread | None
    relative_improvement: float | None
    over_best: Difference | None
    parameters: int | None
    training_rows_per_second: float | None
    scoring_rows_per_second: float | None
    conversion: dict[str, Spread | None] | None = None
    click_and_conversion: dict[str, Spread | None] | None = None


class Summary(msgspec.Struct, kw_only=True):
    """What the runs of a comparison come to.

    Attributes:
        base: the model RelaImpr is over: BaseModel where it is among the models, else the first.
        best: the model of the highest mean AUC; None without any.
        table: the models, in their order.
        differences: of any two models.
        untested: why there is no test; None where there is one.
    """

    base: str
    best: str | None
    table: list[ModelSummary]
    differences: list[ModelDifference]
    untested: str | None


class Comparison(Summary):
    """The content of ``comparison.json``.

    Attributes:
        format: version of the file.
        data: dataset folders.
        models: names, in their order.
        seeds: training seeds for each dataset folder.
        settings: of each model, every key of its :class:`~dien.config.RunConfig`.
        drawn: what the seed of the preparation has drawn: ``split``, ``negatives``, both or nothing.
        runs: replicate after replicate, in each all models.
    """

    format: int
    data: list[str]
    models: list[str]
    seeds: int
    settings: dict[str, dict[str, dict[str, Any]]]
    drawn: list[str]
    runs: list[DoneRun | FailedRun | UnfinishedRun]

    @classmethod
    def load(cls, folder: Path) -> Comparison:
        """Read the ``comparison.json`` of a folder.

        Raises:
            RunError: there is none, or it is not as ``dien compare`` writes it.
        """
        return load(folder / COMPARISON, cls, "dien compare")

    def save(self, folder: Path) -> None:
        """Write the ``comparison.json`` of a folder.

        Raises:
            RunError: it cannot be written.
        """
        write_text(folder / COMPARISON, text_of(self), AGAIN)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dict(msgspec.to_builtins(self))


Curves = dict[str, list[list[dict[str, Any]]]]
"""Learning curves of a comparison: for each model the records of its runs' ``metrics.jsonl``."""


def read_curves(folder: Path | str, comparison: Comparison) -> Curves:
    """Read the learning curves of a comparison from its runs."""
    curves: Curves = {model: [] for model in comparison.models}
    for run in comparison.runs:
        curves[run.model].append(read_records(Path(folder) / run.run))
    return curves
