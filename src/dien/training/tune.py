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

import csv
import io
import json
import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from dien.config import RunConfig
from dien.data.batches import cores
from dien.data.dataset import Dataset
from dien.errors import DataError, RunError
from dien.files import write_text
from dien.models import Choice, LogUniform, Space, model_config
from dien.models.space import shown
from dien.training.folder import locked, settings_now
from dien.training.jobs import Job, run_all
from dien.training.progress import RunsBar
from dien.training.space import flat, nested, with_values

FORMAT = 1
TUNE = "tune.json"
SIDE_BY_SIDE = 4  # trials at most; one is suggested when all but the last three before it have ended
RANDOM_TRIALS = 10  # whose results are known before one is suggested from results
IMPORTANCE_TRIALS = 20  # with fewer, the best quarter, which it compares with the others, are too few
DIGITS = 3  # of a number out of a range: more decide nothing and differ from machine to machine


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
) -> dict[str, Any]:
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
        RunError: ``out`` holds a search of other arguments or with more trials, or anything else, is in use,
            or cannot be written.
        DataError: the dataset cannot be read, or no AUC can be computed on its validation split.
    """
    out, dataset = Path(out), Dataset.open(data)
    label = dataset.splits["valid"].label
    if not label.any() or label.all():
        raise DataError(
            f"{dataset.path / 'valid'}: no AUC to tune by without both clicks and others; prepare it with a "
            "validation split that has both"
        )
    arguments = {
        "data": str(dataset.path.resolve()),
        "model": model,
        "seeds": seeds,
        "settings": config.model_dump(mode="json"),
        "space": {key: str(values) for key, values in space.items()},
    }
    with locked(out, TUNE, FORMAT, arguments, "dien tune", _arguments_now):
        begun = [
            _Trial(number, values, dataset, with_values(config, values), seeds, out)
            for number, values in enumerate(_read(out / TUNE, trials))
        ]
        for trial in begun:
            for run in trial.runs:
                run.expect_data(dataset)
                if run.done:
                    _forget(run)  # of a search that was killed just then

        def begin() -> list[Job]:
            """Begin the trials whose turn it is."""
            started: list[Job] = []
            while (number := len(begun)) < trials and not any(t.left for t in begun[: _known(number)]):
                values = _suggest(begun, space, flat(config))
                begun.append(_Trial(number, values, dataset, with_values(config, values), seeds, out))
                started += begun[-1].left
            return started

        def write() -> dict[str, Any]:
            best = _best(begun)
            content = {
                "format": FORMAT,
                **arguments,
                "trials": [trial.record() for trial in begun],
                "best": best.number if best else None,
                "importance": _importance(begun, space),
            }
            write_text(out / TUNE, json.dumps(content, indent=2) + "\n")
            write_text(out / "trials.csv", _table(content))
            if best:
                write_text(out / "best.yaml", _config_file(model, best, space))
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
                run_all(todo, min(jobs or cores(), SIDE_BY_SIDE * seeds), ended, look)
                content = write()
        return content


class _Trial:
    """A set of values, trained with every seed: a run each."""

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

    @property
    def valid_aucs(self) -> list[float]:
        """Validation AUC of the best epoch of each run; empty where one has not ended or failed."""
        if len(self.results) < len(self.runs):
            return []
        return [self.results[run.out].valid_auc or 0.0 for run in self.runs]

    @property
    def valid_auc(self) -> float | None:
        """Mean of ``valid_aucs``; None where there are none yet."""
        return statistics.fmean(self.valid_aucs) if self.valid_aucs else None

    def end(self, run: Job, error: str | None) -> None:
        """Take note that a run has ended; what it could go on from is of no use any more."""
        self.left.remove(run)
        if error is not None:
            self.errors[run.out] = error
        else:
            self.results[run.out] = run.result()
            _forget(run)

    def record(self) -> dict[str, Any]:
        """Put together what is known of the trial."""
        runs = []
        for seed, run in enumerate(self.runs):
            record: dict[str, Any] = {"seed": seed, "run": f"runs/{run.out.name}"}
            if run.out in self.errors:
                record |= {"status": "failed", "error": self.errors[run.out]}
            elif result := self.results.get(run.out):
                record |= {"status": "done", "valid_auc": result.valid_auc, "best_epoch": result.best_epoch}
                record |= {"epochs": result.epochs, "parameters": result.parameters}
            else:
                record["status"] = "unfinished"
            runs.append(record)
        aucs = self.valid_aucs
        return {
            "trial": self.number,
            "values": {key: list(v) if isinstance(v, tuple) else v for key, v in self.values.items()},
            "status": "failed" if self.errors else "done" if aucs else "unfinished",
            "valid_auc": self.valid_auc,
            "valid_auc_std": statistics.stdev(aucs) if len(aucs) > 1 else None,
            "runs": runs,
        }


def _read(file: Path, trials: int) -> list[dict[str, Any]]:
    """Read the values of the trials that have begun."""
    if not file.exists():
        return []
    try:
        found = [
            {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in trial["values"].items()
            }
            for trial in json.loads(file.read_text(encoding="utf-8"))["trials"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{file}: not as dien tune writes it ({error!r}); choose another --out") from error
    if len(found) > trials:
        raise RunError(
            f"{file}: has {len(found)} trials, more than --trials {trials}; a search may only get more"
        )
    return found


def _arguments_now(stored: dict[str, Any]) -> dict[str, Any]:
    """Turn stored arguments into those of this version."""
    return {**stored, "settings": settings_now(stored["settings"], "settings: ")}


def _forget(run: Job) -> None:
    """Remove what a run that is done would have gone on from."""
    shutil.rmtree(run.out / "checkpoints", ignore_errors=True)


def _known(number: int) -> int:
    """How many trials, from the first on, are known by their results when this one is suggested."""
    return max(number - SIDE_BY_SIDE + 1, 0)


def _suggest(begun: Sequence[_Trial], space: Space, own: Mapping[str, Any]) -> dict[str, Any]:
    """Suggest the values of the next trial; the first takes its ``own`` as far as they are in the space."""
    number = len(begun)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(
        seed=number, n_startup_trials=RANDOM_TRIALS, multivariate=True, constant_liar=True
    )
    study = _study(begun, _known(number), space, sampler)
    if number == 0:
        inside = {key: own[key] for key in space if own[key] in space[key]}
        study.enqueue_trial({key: _to_optuna(space[key], value) for key, value in inside.items()})
    suggested = study.ask(_distributions(space)).params
    return {key: _from_optuna(values, suggested[key]) for key, values in space.items()}


def _study(
    begun: Sequence[_Trial], known: int, space: Space, sampler: optuna.samplers.BaseSampler | None = None
) -> optuna.Study:
    """Tell Optuna the trials: the results of the first ``known``, of the others that they run."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in begun:
        auc = trial.valid_auc if trial.number < known else None
        state = TrialState.COMPLETE if auc is not None else TrialState.FAIL
        study.add_trial(
            create_trial(
                state=state if trial.number < known else TrialState.RUNNING,
                value=auc,
                params={key: _to_optuna(space[key], value) for key, value in trial.values.items()},
                distributions=_distributions(space),
            )
        )
    return study


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    return {
        key: FloatDistribution(values.low, values.high, log=True)
        if isinstance(values, LogUniform)
        else IntDistribution(0, len(values.values) - 1)
        for key, values in space.items()
    }


def _to_optuna(values: LogUniform | Choice, value: Any) -> Any:
    return value if isinstance(values, LogUniform) else values.values.index(value)


def _from_optuna(values: LogUniform | Choice, value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(values, LogUniform) else values.values[value]


def _best(begun: Sequence[_Trial]) -> _Trial | None:
    """Find the trial of the highest validation AUC; of several the first."""
    known = [(auc, trial) for trial in begun if (auc := trial.valid_auc) is not None]
    return max(known, key=lambda pair: pair[0])[1] if known else None


def _importance(begun: Sequence[_Trial], space: Space) -> dict[str, float] | None:
    """Share of each key in what sets the best quarter apart (PED-ANOVA); None where trials are too few."""
    done = [trial for trial in begun if trial.valid_auc is not None]
    if len(done) < IMPORTANCE_TRIALS:
        return None
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    found = optuna.importance.get_param_importances(_study(done, len(begun), space), evaluator=evaluator)
    return {key: found[key] for key in space}


def _config_file(model: str, trial: _Trial, space: Space) -> str:
    """Write what makes the trial: the values that were searched, and those that are not the defaults."""
    defaults = flat(RunConfig(model=model_config(model)))
    values = {key: v for key, v in flat(trial.config).items() if key in space or v != defaults[key]}
    seeds = f"{len(trial.runs)} seed{'s' if len(trial.runs) > 1 else ''}"
    return f"# trial {trial.number}: validation AUC {trial.valid_auc:.4f} over {seeds}\n" + yaml.safe_dump(
        {"models": {model: nested(values)}}, sort_keys=False, default_flow_style=None
    )


def _table(content: Mapping[str, Any]) -> str:
    """Write the trials as CSV, in the order they were suggested in."""
    text = io.StringIO()
    per_seed = [f"{name}_{seed}" for seed in range(content["seeds"]) for name in ("valid_auc", "best_epoch")]
    columns = ["trial", "status", "valid_auc", "valid_auc_std", *content["space"], *per_seed, "error"]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for trial in content["trials"]:
        row = {key: trial[key] for key in columns[:4]}
        row |= {key: shown(value) for key, value in trial["values"].items()}
        for run in trial["runs"]:
            for name in ("valid_auc", "best_epoch"):
                row[f"{name}_{run['seed']}"] = run.get(name)
        errors = [run["error"] for run in trial["runs"] if "error" in run]
        writer.writerow({**row, "error": errors[0] if errors else None})
    return text.getvalue()


def _line(record: Mapping[str, Any]) -> str:
    """Say in a line what a trial came to."""
    values = "  ".join(f"{key.partition('.')[2]} {shown(value)}" for key, value in record["values"].items())
    if record["status"] == "failed":
        error = next(run["error"] for run in record["runs"] if "error" in run)
        return f"trial {record['trial']}  failed: {error}  ({values})"
    return f"trial {record['trial']}  valid AUC {record['valid_auc']:.4f}  {values}"
