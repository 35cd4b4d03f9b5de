"""Tune a model: search its space for the best validation AUC, by the protocol of a comparison.

::

    DIR/
      tune.json          what is searched, every trial, and the best; rewritten whenever a run has ended
      trials.csv         the trials as a table
      best.yaml          the best trial so far, for --config of dien train and dien compare
      runs/TRIAL-SEED/   a run each, without its checkpoints once it has ended

A trial is a set of values for the keys of the space, trained with every training seed. Rows and negatives
follow from dataset and seed alone: every trial and every model has the same. The test split is not read.

Optuna's TPE suggests the values. What it suggests follows from a trial's number and the trials before it,
whatever processes there are and however often the search was stopped: the three before it count as running,
whether they have ended or not, so that four can run side by side.
"""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from typing import Any

import yaml

from dien.config import RunConfig
from dien.data.batches import cores
from dien.data.dataset import Dataset
from dien.errors import DataError, RunError
from dien.models import Space, model_config
from dien.models.space import shown
from dien.training.folder import one_command, settings_now
from dien.training.jobs import Job, expect_importable, run_all, warn_of
from dien.training.progress import RunsBar
from dien.training.resumable import AGAIN, write_text
from dien.training.space import flat, nested, with_values
from dien.training.step_size import settled
from dien.training.suggest import SIDE_BY_SIDE, importance, known, suggest
from dien.training.tuning import FORMAT, TUNE, Status, Trial, TrialRun, Tuning


def tune(
    data: Path | str,
    model: str,
    config: RunConfig,
    space: Space,
    out: Path | str,
    *,
    trials: int,
    seeds: int = 1,
    jobs: int | None = None,
    show_progress: bool = True,
) -> Tuning:
    """Search a space for the values with the highest validation AUC.

    The first trial takes the configuration's own values where they lie in the space. A search that was
    stopped goes on where it was when it is called alike, also with more trials; failed trials are tried
    again. The same arguments give the same trials, whatever ``jobs`` and cores.

    The processes import the script that calls this: there, call it under ``if __name__ == "__main__":``.

    Args:
        data: the dataset folder.
        model: the model's name, as :func:`~dien.models.model_config` has it.
        config: what holds for the keys that are not searched.
        space: what is searched, as :func:`~dien.training.space.search_space` makes it.
        out: the folder to write.
        trials: how many sets of values.
        seeds: training seeds for each trial; its figure is the mean over them.
        jobs: processes at a time, of one thread each; None for as many as this process may use cores.
        show_progress: whether to show a bar and lines on standard error.

    Returns:
        The content of ``tune.json`` (docs/tune.md). A run that failed has its error there.

    Raises:
        ConfigError: the model is your own, where the processes cannot import it.
        RunError: ``out`` holds a search of other arguments or with more trials, or anything else, is in use,
            or cannot be written.
        DataError: the dataset cannot be read, or no AUC can be computed on its validation split.
    """
    expect_importable([config])
    out, dataset = Path(out), Dataset.open(data)
    label = dataset.splits["valid"].label
    if not label.any() or label.all():
        raise DataError(
            f"{dataset.path / 'valid'}: no AUC to tune by without both clicks and others; prepare it with a "
            "validation split that has both"
        )
    own = flat(settled(config, dataset))
    arguments: dict[str, Any] = {
        "data": str(dataset.path.resolve()),
        "model": model,
        "seeds": seeds,
        "settings": config.model_dump(mode="json"),
        "space": {key: str(values) for key, values in space.items()},
    }
    with one_command(out, TUNE, FORMAT, arguments, "dien tune", _arguments_now):
        begun = [
            _Running(trial.trial, trial.values, dataset, with_values(config, trial.values), seeds, out)
            for trial in _begun(out, trials)
        ]
        for trial in begun:
            for run in trial.runs:
                run.expect_data(dataset)
                if run.done:
                    _forget(run)  # of a search that was killed just then

        def begin() -> list[Job]:
            """Begin the trials whose turn it is."""
            started: list[Job] = []
            while (number := len(begun)) < trials and not any(t.left for t in begun[: known(number)]):
                values = suggest([trial.record() for trial in begun], space, own)
                begun.append(_Running(number, values, dataset, with_values(config, values), seeds, out))
                started += begun[-1].left
            return started

        def write() -> Tuning:
            records = [trial.record() for trial in begun]
            best = max(
                (trial for trial in records if trial.valid_auc is not None),
                key=lambda trial: trial.valid_auc or 0.0,
                default=None,
            )
            content = Tuning(
                format=FORMAT,
                **arguments,
                trials=records,
                best=best.trial if best else None,
                importance=importance(records, space),
            )
            content.save(out)
            if best:
                own = flat(begun[best.trial].config)
                write_text(out / "best.yaml", _config_file(model, best, own, space), AGAIN)
            return content

        with RunsBar("tuning", show_progress, trials * seeds, trials * seeds * config.training.epochs) as bar:

            def look() -> None:
                if bar.drawn:
                    runs = [run for trial in begun for run in trial.runs]
                    bar.update(sum(run.done for run in runs), sum(run.epochs_over() for run in runs))

            def ended(job: Job, error: str | None) -> list[Job]:
                trial = next(trial for trial in begun if job in trial.left)
                trial.end(job, error)
                if not trial.left:
                    bar.print(_line(trial.record()), bad=bool(trial.errors))
                started = begin()
                write()  # also what has begun: its values are on disk before it runs
                look()
                return started

            for key, values in space.items():
                bar.print(f"{key}: {values}")
            todo = [run for trial in begun for run in trial.left] + begin()
            content = write()
            look()
            if todo:
                warn_of(dataset, [config])
                run_all(todo, min(jobs or cores(), SIDE_BY_SIDE * seeds), ended, look)
                content = write()
        return content


class _Running:
    """A trial while the search goes on: a run for each training seed."""

    def __init__(
        self,
        number: int,
        values: dict[str, Any],
        dataset: Dataset,
        config: RunConfig,
        seeds: int,
        out: Path,
    ) -> None:
        self.number, self.values, self.config = number, values, config
        self.runs = [
            Job(
                dataset.path,
                with_values(config, {"training.seed": seed}),
                out / f"runs/{number:03d}-{seed}",
                test=False,
            )
            for seed in range(seeds)
        ]
        # Noted once, since a run writes its result some time before its process ends.
        self.results = {run.out: run.result() for run in self.runs if run.done}
        self.left = [run for run in self.runs if run.out not in self.results]
        self.errors: dict[Path, str] = {}

    def end(self, run: Job, error: str | None) -> None:
        """Note that a run has ended; its checkpoints are of no use any more."""
        self.left.remove(run)
        if error is not None:
            self.errors[run.out] = error
        else:
            self.results[run.out] = run.result()
            _forget(run)

    def record(self) -> Trial:
        """Put together what is known of the trial."""
        runs, aucs = [], []
        for seed, job in enumerate(self.runs):
            run = TrialRun(seed, f"runs/{job.out.name}", "unfinished")
            if job.out in self.errors:
                run.status, run.error = "failed", self.errors[job.out]
            elif result := self.results.get(job.out):
                run.status, run.valid_auc, run.best_epoch = "done", result.valid_auc, result.best_epoch
                run.epochs, run.parameters = result.epochs, result.parameters
                aucs.append(result.valid_auc or 0.0)
            runs.append(run)
        done = len(aucs) == len(runs)
        status: Status = "failed" if self.errors else "done" if done else "unfinished"
        mean = statistics.fmean(aucs) if done else None
        std = statistics.stdev(aucs) if done and len(aucs) > 1 else None
        return Trial(self.number, self.values, status, mean, std, runs)


def _begun(out: Path, trials: int) -> list[Trial]:
    """Read the trials that have begun."""
    if not (out / TUNE).exists():
        return []
    found = Tuning.load(out).trials
    if len(found) > trials:
        raise RunError(
            f"{out / TUNE}: has {len(found)} trials, more than --trials {trials}; a search may only get more"
        )
    return found


def _arguments_now(stored: dict[str, Any]) -> dict[str, Any]:
    """Turn stored arguments into those of this version."""
    settings = settings_now(stored["settings"], "settings: ")
    return {**stored, "settings": settings.model_dump(mode="json")}


def _forget(run: Job) -> None:
    """Remove the checkpoints of a run that is done."""
    shutil.rmtree(run.out / "checkpoints", ignore_errors=True)


def _config_file(model: str, trial: Trial, own: dict[str, Any], space: Space) -> str:
    """Write what makes the trial: the values that were searched, and those that are not the defaults."""
    defaults = flat(RunConfig(model=model_config(model)))
    values = {key: v for key, v in own.items() if key in space or v != defaults[key]}
    seeds = f"{len(trial.runs)} seed{'s' if len(trial.runs) > 1 else ''}"
    return f"# trial {trial.trial}: validation AUC {trial.valid_auc:.4f} over {seeds}\n" + yaml.safe_dump(
        {"models": {model: nested(values)}}, sort_keys=False, default_flow_style=None
    )


def _line(trial: Trial) -> str:
    """Put the result of a trial in a line."""
    values = "  ".join(f"{key.partition('.')[2]} {shown(value)}" for key, value in trial.values.items())
    if trial.status == "failed":
        return f"trial {trial.trial}  failed: {trial.error}  ({values})"
    return f"trial {trial.trial}  valid AUC {trial.valid_auc:.4f}  {values}"
