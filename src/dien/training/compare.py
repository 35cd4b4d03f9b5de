"""Compare models: the same rows, negatives and budget for each, over several seeds.

::

    DIR/
      comparison.json    what is compared, every run, and the summary; rewritten whenever a run has ended
      runs/MODEL-SEED/   a run each, with test.json: its metrics on the test split

A replicate is a dataset and a training seed. The batches of a run follow from these two alone
(:class:`~dien.data.batches.Batches`), so within a replicate every model sees the same impressions in the same
order, with the same negatives. The weights of the epoch best on the validation split are kept; the test split
is read once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import structs

from dien.config import RunConfig, idle_keys, override, read_layers, set_by_hand, warn
from dien.data.batches import cores
from dien.data.dataset import Dataset
from dien.errors import ConfigError, DataError
from dien.models import ModelConfig, model_config
from dien.run import differences
from dien.training.comparison import (
    COMPARISON,
    FORMAT,
    Comparison,
    DoneRun,
    FailedRun,
    UnfinishedRun,
)
from dien.training.fit import run_config
from dien.training.folder import one_command, settings_now
from dien.training.jobs import Job, expect_importable, run_all, warn_of
from dien.training.progress import RunsBar
from dien.training.space import with_values
from dien.training.step_size import settled
from dien.training.summary import summarise


def compared_configs(
    models: Sequence[str], path: Path | None = None, settings: Iterable[str] = ()
) -> dict[str, RunConfig]:
    """Configure the models of a comparison.

    Args:
        models: their names.
        path: YAML with keys of :class:`~dien.config.RunConfig` that hold for every model, and ``models``: for
            any name such keys that hold for that one.
        settings: ``key=value`` for every model, over what the file says.

    Raises:
        ConfigError: a model is unknown or named twice, or a key does not fit it, names another model or sets
            the seed. A key that has no effect, in the model it is for or in any, gets a warning.
    """
    if not models:
        raise ConfigError("--models: name one at least, as sum-pooling,din,dien")
    settings = list(settings)
    common, own = read_layers(path) if path is not None else ({}, {})
    configs: dict[str, RunConfig] = {}
    idle: list[set[str]] = []  # of the keys for all models, those without effect in each
    for name in models:
        if name in configs:
            raise ConfigError(f"--models: {name} is named twice")
        base = RunConfig(model=model_config(name))
        layers = [common, own.get(name, {})]
        config = override(base, layers, settings, f"{name}: ")
        if config.model.name != base.model.name:
            raise ConfigError(
                f"{name}: model.name is not for --config or --set; the command names its models"
            )
        if "training.seed" in set_by_hand(layers, settings):
            raise ConfigError(
                f"{name}: training.seed is not for --config or --set; say how many with --seeds"
            )
        configs[name] = config
        warn(idle_keys(config, layers[1:], ()), config, f"{name}: ")
        idle.append(idle_keys(config, layers[:1], settings))
    warn(set.intersection(*idle), config)
    return configs


def compare(
    data: Sequence[Dataset | Path | str],
    configs: Mapping[str, RunConfig | ModelConfig | str],
    out: Path | str,
    *,
    seeds: int = 1,
    jobs: int | None = None,
    show_progress: bool = True,
) -> Comparison:
    """Train and evaluate every model on every replicate.

    A comparison that was stopped goes on where it was when it is called alike: finished runs are kept, others
    resumed. The same data, configurations and seeds give the same figures, whatever ``jobs`` and cores.

    The processes import the script that calls this: there, call it under ``if __name__ == "__main__":``.

    Args:
        data: datasets or their folders: one, or the same prepared with several seeds. A batch size or
            learning rate that is null follows from the rows of the first.
        configs: what is compared, by name, as :func:`compared_configs` makes it; each as for :func:`fit`.
        out: the folder to write.
        seeds: training seeds for each dataset; no two replicates have the same one.
        jobs: processes at a time, of one thread each; None for as many as this process may use cores.
        show_progress: whether to show a bar and lines on standard error.

    Returns:
        The content of ``comparison.json`` (docs/compare.md). A run that failed has its error there.

    Raises:
        TypeError: an argument is of another type; the message says what is expected.
        ConfigError: a model of your own is where the processes cannot import it.
        RunError: ``out`` holds a comparison of something else, or anything else, is in use, or cannot be
            written.
        DataError: a dataset cannot be read, or is not the first one prepared with another seed.
    """
    if not isinstance(configs, Mapping):
        raise TypeError(
            f"compare: configs is a {type(configs).__name__}; expected a mapping from names, as "
            'compared_configs(["dien", "din"]) makes it'
        )
    if isinstance(data, Dataset | str | PathLike):
        raise TypeError(f"compare: data is a {type(data).__name__}; expected a list of datasets, as [data]")
    whole = {name: run_config(config, f"compare: the config {name}") for name, config in configs.items()}
    expect_importable(whole.values())
    out = Path(out)
    datasets = [one if isinstance(one, Dataset) else Dataset.open(one) for one in data]
    _expect_one_source(datasets)
    first = datasets[0]
    whole = {name: settled(config, first) for name, config in whole.items()}
    arguments: dict[str, Any] = {
        "data": [str(dataset.path.resolve()) for dataset in datasets],
        "models": list(whole),
        "seeds": seeds,
        "settings": {name: config.model_dump(mode="json") for name, config in whole.items()},
    }
    runs = [
        _Run(
            name,
            seed,
            dataset,
            Job(
                dataset.path,
                with_values(config, {"training.seed": seed}),
                out / "runs" / f"{quote(name, safe='+')}-{seed}",
            ),
        )
        for number, dataset in enumerate(datasets)
        for seed in range(number * seeds, (number + 1) * seeds)
        for name, config in whole.items()
    ]
    with one_command(
        out, COMPARISON, FORMAT, arguments, "dien compare", lambda stored: _arguments_now(stored, first)
    ):
        for run in runs:
            run.job.expect_data(run.dataset)
        errors: dict[Path, str] = {}

        def write() -> Comparison:
            records = [run.record(errors.get(run.job.out)) for run in runs]
            comparison = Comparison(
                format=FORMAT,
                **arguments,
                drawn=_drawn(first),
                runs=records,
                **structs.asdict(summarise(list(whole), records)),
            )
            comparison.save(out)
            return comparison

        comparison = write()
        waiting = {run.job.out: run for run in runs if not run.job.done}
        with RunsBar(
            "comparing", show_progress, len(runs), sum(run.job.config.training.epochs for run in runs)
        ) as bar:

            def look() -> None:
                if bar.drawn:
                    bar.update(sum(run.job.done for run in runs), sum(run.job.epochs_over() for run in runs))

            def ended(job: Job, error: str | None) -> None:
                if error is not None:
                    errors[job.out] = error
                bar.print(_line(waiting[job.out].record(error)), bad=error is not None)
                write()
                look()

            look()
            todo = [run.job for run in waiting.values()]
            for dataset in datasets if todo else []:
                warn_of(dataset, whole.values())
            run_all(todo, min(jobs or cores(), len(todo) or 1), ended, look)
        return write() if waiting else comparison


@dataclass(frozen=True)
class _Run:
    """One model on one replicate."""

    model: str
    seed: int
    dataset: Dataset
    job: Job

    def record(self, error: str | None) -> DoneRun | FailedRun | UnfinishedRun:
        """Read the result of the run from its folder."""
        about = self.model, str(self.dataset.path.resolve()), self.seed, f"runs/{self.job.out.name}"
        if error is not None:
            return FailedRun(*about, error)
        if not self.job.done:
            return UnfinishedRun(*about)
        result, tested = self.job.result(), self.job.evaluation()
        return DoneRun(
            *about,
            epochs=result.epochs,
            best_epoch=result.best_epoch,
            stopped=result.stopped,
            valid_auc=result.valid_auc,
            test=tested.metrics,
            parameters=result.parameters,
            training_rows_per_second=result.rows_per_second,
            scoring_rows_per_second=tested.scoring_rows_per_second,
        )


def _arguments_now(stored: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Turn stored arguments into those of this version, which has no null where the dataset decides."""
    found = {name: settings_now(of, f"settings.{name}: ") for name, of in stored["settings"].items()}
    settings = {name: settled(config, dataset).model_dump(mode="json") for name, config in found.items()}
    return {**stored, "settings": settings}


def _line(run: DoneRun | FailedRun | UnfinishedRun) -> str:
    """Put the result of a run in a line."""
    text = f"{run.model}  seed {run.seed}  "
    if isinstance(run, FailedRun):
        return f"{text}failed: {run.error}"
    assert isinstance(run, DoneRun)
    auc = f"test AUC {run.test.auc:.4f}" if run.test.auc is not None else run.test.note
    return f"{text}{auc}  epoch {run.best_epoch} of {run.epochs}"


def _expect_one_source(datasets: Sequence[Dataset]) -> None:
    """Refuse datasets that are not one log prepared with several seeds: a mean over them says nothing."""
    if not datasets:
        raise DataError("no dataset to compare on; name one at least")
    first = datasets[0]
    for number, other in enumerate(datasets[1:], 1):
        for earlier in datasets[:number]:
            if other.info == earlier.info:
                raise DataError(
                    f"{other.path}: the same rows as {earlier.path}, they would count twice; prepare it with "
                    "another --seed"
                )
        for key, was, now in differences(_origin(first), _origin(other)):
            raise DataError(
                f"{other.path}: {key} is {now!r}, in {first.path} {was!r}; give datasets of one and the same "
                "log, prepared with several --seed alone (dien prepare synthetic makes another log of each)"
            )


def _drawn(dataset: Dataset) -> list[str]:
    """Name what the seed of the preparation has drawn: ``split``, ``negatives``, both or nothing."""
    recipe = dataset.info.recipe
    by_chance = recipe.name == "paper" or recipe.split == "user"
    return [*(["split"] if by_chance else []), *(["negatives"] if dataset.negatives_sampled else [])]


def _origin(dataset: Dataset) -> dict[str, Any]:
    info = dataset.info.to_json()
    recipe = {key: value for key, value in info["recipe"].items() if key != "seed"}
    features = [feature.name for feature in dataset.schema.features]
    of_rows = {"weights": dataset.info.weighted, "conversions": dataset.schema.conversion}
    return {"recipe": recipe, "features": features, "sources": info["sources"], **of_rows}
