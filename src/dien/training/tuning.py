"""``tune.json``: what is searched, every trial, and the best. Read and written here alone."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from dien.models.space import shown
from dien.training.records import load, text_of
from dien.training.resumable import AGAIN, write_text

FORMAT = 1
TUNE = "tune.json"

Status = Literal["done", "failed", "unfinished"]


class TrialRun(msgspec.Struct, omit_defaults=True):
    """A trial with one training seed.

    Attributes:
        seed: the training seed.
        run: the run folder, from that of the search on.
        status: how far it has come.
        error: what it failed with; None where it did not.
        valid_auc: AUC of its best epoch on the validation split; None until it is done, like the others.
        best_epoch: that epoch, from 1.
        epochs: trained.
        parameters: trained numbers.
    """

    seed: int
    run: str
    status: Status
    error: str | None = None
    valid_auc: float | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    parameters: int | None = None


class Trial(msgspec.Struct):
    """A set of values.

    Attributes:
        trial: its number, from 0.
        values: by dotted key of :class:`~dien.config.RunConfig`.
        status: ``failed`` where a run has, ``done`` where all are.
        valid_auc: mean over the runs; None until all are done.
        valid_auc_std: sample standard deviation over the runs; None of a single one.
        runs: one for each training seed.
    """

    trial: int
    values: dict[str, Any]
    status: Status
    valid_auc: float | None
    valid_auc_std: float | None
    runs: list[TrialRun]

    @property
    def error(self) -> str | None:
        """What its first failed run failed with."""
        return next((run.error for run in self.runs if run.error is not None), None)


class Tuning(msgspec.Struct):
    """The content of ``tune.json``.

    Attributes:
        format: version of the file.
        data: the dataset folder.
        model: the model's name.
        seeds: training seeds for each trial.
        settings: every key of the :class:`~dien.config.RunConfig` that holds where a key is not searched.
        space: by dotted key, its values in words.
        trials: in the order they were suggested in.
        best: number of the trial of the highest mean AUC, of several the first; None without any.
        importance: of each key for being among the best trials; None where trials are too few.
    """

    format: int
    data: str
    model: str
    seeds: int
    settings: dict[str, dict[str, Any]]
    space: dict[str, str]
    trials: list[Trial]
    best: int | None
    importance: dict[str, float] | None

    @classmethod
    def load(cls, folder: Path) -> Tuning:
        """Read the ``tune.json`` of a folder.

        Raises:
            RunError: there is none, or it is not as ``dien tune`` writes it.
        """
        found = load(folder / TUNE, cls, "dien tune")
        for trial in found.trials:  # sizes of layers are tuples in a configuration, and lists in JSON
            trial.values = {k: tuple(v) if isinstance(v, list) else v for k, v in trial.values.items()}
        return found

    def save(self, folder: Path) -> None:
        """Write ``tune.json`` and ``trials.csv`` into a folder.

        Raises:
            RunError: one cannot be written.
        """
        write_text(folder / TUNE, text_of(self), AGAIN)
        write_text(folder / "trials.csv", self._table(), AGAIN)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dict(json.loads(text_of(self)))

    def _table(self) -> str:
        """Write the trials as CSV, in the order they were suggested in."""
        text = io.StringIO()
        per_seed = [f"{name}_{seed}" for seed in range(self.seeds) for name in ("valid_auc", "best_epoch")]
        columns = ["trial", "status", "valid_auc", "valid_auc_std", *self.space, *per_seed, "error"]
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        for trial in self.trials:
            row = {name: getattr(trial, name) for name in columns[:4]} | {"error": trial.error}
            row |= {key: shown(value) for key, value in trial.values.items()}
            for run in trial.runs:
                row |= {f"valid_auc_{run.seed}": run.valid_auc, f"best_epoch_{run.seed}": run.best_epoch}
            writer.writerow(row)
        return text.getvalue()
