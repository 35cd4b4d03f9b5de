"""What ``import dien`` gives, and what it says to wrong arguments."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

import dien
from dien import DIEN, Batches, Dataset, DIENConfig, Run, RunConfig, Scorer, TrainConfig, evaluate, fit
from dien.models import models
from dien.training.step_size import settled


@pytest.fixture(scope="module")
def dataset(small_data: Dataset) -> Dataset:
    return small_data


def test_every_public_name_is_there_at_first_use_and_in_dir() -> None:
    assert set(dien.__all__) == {"__version__", *dien._HOME}
    assert set(dien.__all__) <= set(dir(dien))
    for name in dien._HOME:
        assert getattr(dien, name).__name__ == name
    assert dien.__version__ == version("dien")
    with pytest.raises(AttributeError, match="'dien' has no attribute 'Dein'"):
        dien.Dein  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, dien; dir(dien); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "polars", "pydantic"} & set(done.stdout.split())


SMALL = {"embedding_size": 4, "hidden_size": 6}


@pytest.mark.parametrize("config", [DIENConfig(**SMALL), RunConfig(model=DIENConfig(**SMALL))])
def test_a_models_configuration_alone_is_trained_by_the_defaults(
    config: Any, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dien.training.trainer.Trainer.train", lambda trainer: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(dataset, config, tmp_path / "run", show_progress=False)
    assert Run.open(tmp_path / "run").config == settled(RunConfig(model=DIENConfig(**SMALL)), dataset)


def test_a_models_name_stands_for_its_defaults(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dien.training.trainer.Trainer.train", lambda trainer: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(dataset, "dien:paper", tmp_path / "run", show_progress=False)
    assert Run.open(tmp_path / "run").config.model == DIENConfig.paper()
    with pytest.raises(dien.ConfigError, match="unknown model 'dein'; expected one of"):
        fit(dataset, "dein", tmp_path / "other")


WRONG: dict[str, tuple[Callable[[Dataset, Run, Path], Any], str]] = {
    "a mapping to fit": (
        lambda data, run, out: fit(data, {"model": "dien"}, out),  # type: ignore[arg-type]
        r"fit: config is a dict; expected RunConfig\(.*DIENConfig.*load_config reads a YAML file",
    ),
    "a path to fit": (lambda data, run, out: fit(data, out, out), r"a \w*Path; .*load_config"),  # type: ignore[arg-type]
    "a module to fit": (
        lambda data, run, out: fit(data, DIEN(DIENConfig(), data.schema), out),  # type: ignore[arg-type]
        r"fit: config is a DIEN; .*the model is built in here.*dien\.register",
    ),
    "a number to fit": (lambda data, run, out: fit(7, "dien", out), r"found a int; .*dien\.prepare"),  # type: ignore[arg-type]
    "a path to Dataset": (lambda data, run, out: Dataset(data.path), r"Dataset\.open\('.*data'\)"),  # type: ignore[call-arg, arg-type]
    "names to compare": (
        lambda data, run, out: dien.compare([data], ["dien", "din"], out),  # type: ignore[arg-type]
        r"compare: configs is a list; expected a mapping from names, as compared_configs",
    ),
    "a module to compare": (
        lambda data, run, out: dien.compare([data], {"mine": torch.nn.Linear(1, 1)}, out),  # type: ignore[dict-item]
        "compare: the config mine is a Linear; expected RunConfig.*one of your own: dien.register",
    ),
    "a single dataset to compare": (
        lambda data, run, out: dien.compare(data, {"dien": "dien"}, out),  # type: ignore[arg-type]
        r"compare: data is a Dataset; expected a list of datasets, as \[data\]",
    ),
    "a path to Run": (lambda data, run, out: Run(run.path), r"Run\.open\('.*run'\) opens a run folder"),  # type: ignore[call-arg]
    "a path to Batches": (
        lambda data, run, out: Batches(data.path, "train", batch_size=8, max_history=8),  # type: ignore[arg-type]
        r"Batches: found a \w*Path, expected a Dataset; Dataset\.open\(path\)",
    ),
    "a setting to load_config that is no list": (
        lambda data, run, out: dien.load_config(overrides="training.epochs=1"),
        r"expected a list, as \['training.epochs=1'\]",
    ),
    "a path to Scorer": (lambda data, run, out: Scorer(run.path), r"Scorer\.load\(path\)"),  # type: ignore[arg-type]
    "a model to evaluate": (
        lambda data, run, out: evaluate(DIEN(DIENConfig(), data.schema), data),  # type: ignore[arg-type]
        r"found a DIEN, expected a run folder; evaluate_model\(model, ",
    ),
    "a model to Scorer.load": (
        lambda data, run, out: Scorer.load(torch.nn.Linear(1, 1)),  # type: ignore[arg-type]
        "found a Linear; expected the path of a run folder",
    ),
    "no split to evaluate": (
        lambda data, run, out: evaluate(run, split="dev"),  # type: ignore[arg-type]
        "split is 'dev'; expected one of train, valid, test",
    ),
    "no split to Batches": (
        lambda data, run, out: Batches(data, "dev", batch_size=8, max_history=8),  # type: ignore[arg-type]
        "split is 'dev'; expected one of train, valid, test",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_answered_by_what_is_right(
    name: str, dataset: Dataset, small_run: Run, tmp_path: Path
) -> None:
    call, message = WRONG[name]
    with pytest.raises((TypeError, ValueError), match=message):
        call(dataset, small_run, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_one_looks_at_first_is_shown_in_a_line(dataset: Dataset, small_run: Run) -> None:
    batches = Batches(dataset, "train", batch_size=64, max_history=9, auxiliary=True)
    configs = [found.config for found in models().values()]
    shown = [dataset, small_run, Scorer(small_run), batches, batches.batch(0, 0), dataset.splits["train"]]
    for one in [*shown, *configs, RunConfig(), *DIEN(DIENConfig(), dataset.schema).inputs.children()]:
        assert "\n" not in repr(one)
        assert len(repr(one)) < 450, repr(one)
    assert repr(batches).startswith("Batches(train of ")
    assert "with label and negatives" in repr(batches.batch(0, 0))
    assert "60 users, 40 items, 1,500 behaviours" in repr(dataset)


@pytest.mark.parametrize(
    "config", [RunConfig(), RunConfig(model=DIENConfig.recbole(), training=TrainConfig(seed=3))]
)
def test_a_configuration_is_shown_as_it_is_written(config: RunConfig) -> None:
    assert eval(repr(config), vars(dien) | {name: getattr(dien, name) for name in dien.__all__}) == config
