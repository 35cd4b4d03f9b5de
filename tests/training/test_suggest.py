"""What a search tries, with figures that cost nothing: runs that end at once, in any order."""

import json
import random
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dien.config import RunConfig, load_config
from dien.data.dataset import Dataset
from dien.files import write_text
from dien.models import SHARED, Choice, LogUniform, Space, model_config
from dien.run import RESULT, Run
from dien.training import FitResult
from dien.training.compare import compared_configs
from dien.training.jobs import Job
from dien.training.space import flat, search_space, spaces, with_values
from dien.training.step_size import settled
from dien.training.suggest import RANDOM_TRIALS, SIDE_BY_SIDE, suggest
from dien.training.tune import tune
from dien.training.tuning import Trial
from tests.training.searches import content, tune_small, without_seed


@pytest.mark.parametrize("model", spaces())
def test_the_first_trial_of_every_model_is_its_defaults(model: str, small_data: Dataset) -> None:
    own = flat(settled(RunConfig(model=model_config(model)), small_data))
    assert suggest([], spaces()[model], own) == {key: own[key] for key in spaces()[model]}


TRAINING: Space = {
    "training.weight_decay": LogUniform(1e-6, 1e-2),
    "training.gradient_clip": Choice((None, 1.0, 5.0)),
    "training.warmup_steps": Choice((0, 100)),
    "training.schedule": Choice(("constant", "linear", "cosine")),
    "training.metric": Choice(("auc", "gauc", "log_loss")),
    "training.validation_steps": Choice((None, 50)),
    "model.sparse_gradients": Choice((True, False)),
}


def test_keys_of_how_a_model_is_trained_can_be_searched_from_python() -> None:
    begun: list[Trial] = []
    for number in range(3):
        values = suggest(begun, TRAINING, flat(RunConfig()))
        found = flat(with_values(RunConfig(), values))
        assert {key: found[key] for key in TRAINING} == values
        assert all(values[key] in TRAINING[key] for key in TRAINING)
        begun.append(Trial(number, values, "done", None, None, []))
    assert str(TRAINING["training.gradient_clip"]) == "null | 1 | 5"


def worth(config: RunConfig) -> float:
    """A figure with one best place: small batches, narrow embeddings, a learning rate near 1e-3."""
    training = config.training
    return 0.8 - abs(np.log(training.learning_rate / 1e-3)) / 20 - training.batch_size / 4000


class Fake:
    """In the place of ``run_all``: ends jobs in any order, at once."""

    def __init__(self, order: int, figure: Callable[[RunConfig], float | None] = worth) -> None:
        self.random, self.figure = random.Random(order), figure
        self.started: list[tuple[int, set[int]]] = []  # a trial, and which were running then

    def __call__(
        self,
        jobs: Iterable[Job],
        processes: int,
        ended: Callable[[Job, str | None], Iterable[Job] | None],
        meanwhile: object,
    ) -> None:
        waiting = list(jobs)
        self.note(waiting, waiting)
        while waiting:
            job = waiting.pop(self.random.randrange(min(processes, len(waiting))))
            figure = self.figure(job.config)
            if figure is not None:
                self.end(job, figure)
            new = list(ended(job, None if figure is not None else "no memory") or ())
            waiting += new
            self.note(new, waiting)

    def end(self, job: Job, figure: float) -> None:
        if not job.done:
            run = Run.create(job.out, job.config, Dataset.open(job.data))
            result = FitResult(str(job.out), 1, 1, figure, None, None, "epochs", 1, 1, 1.0, 1.0)
            write_text(run.path / RESULT, json.dumps(asdict(result)))

    def note(self, new: list[Job], waiting: list[Job]) -> None:
        numbers = {int(job.out.name[:3]) for job in waiting}
        self.started += [(int(job.out.name[:3]), numbers) for job in new]


def searched(
    monkeypatch: pytest.MonkeyPatch, data: Dataset, out: Path, fake: Fake, **options: Any
) -> list[dict[str, Any]]:
    monkeypatch.setattr("dien.training.tune.run_all", fake)
    trials: list[dict[str, Any]] = tune_small(data.path, out, **{"seeds": 1, **options})["trials"]
    return trials


def test_what_is_tried_does_not_depend_on_which_run_ends_first(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes = [Fake(order) for order in range(3)]
    found = [
        searched(monkeypatch, small_data, tmp_path / f"{number}", fake, trials=18, jobs=(1, 4, 4)[number])
        for number, fake in enumerate(fakes)
    ]
    assert found[0] == found[1] == found[2]
    assert len({json.dumps(trial["values"]) for trial in found[0]}) == 18
    for fake in fakes:
        assert [number for number, _ in fake.started] == list(range(18))
        assert max(number - min(running) for number, running in fake.started) < SIDE_BY_SIDE
    assert max(len(running) for _, running in fakes[1].started) == SIDE_BY_SIDE


def test_thirteen_trials_follow_from_their_numbers_alone_with_the_same_shared_values_for_every_model(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = RANDOM_TRIALS + SIDE_BY_SIDE - 1  # that is suggested from results, and ten of them are known
    one, other = (
        searched(monkeypatch, small_data, tmp_path / str(number), Fake(0, figure), trials=first + 3)
        for number, figure in enumerate((worth, lambda config: 1 - worth(config)))
    )
    values = [[trial["values"] for trial in trials] for trials in (one, other)]
    assert values[0][:first] == values[1][:first]
    assert values[0][first:] != values[1][first:]
    for model in ("dien", "dien:recbole"):
        config, space, out = compared_configs([model])[model], search_space(model), tmp_path / model
        alike = [key for key, choices in SHARED.items() if str(choices) == str(space[key])]
        trials = tune(
            small_data.path, model, config, space, out, trials=first, show_progress=False
        ).to_dict()["trials"]
        assert len(alike) == (5 if model == "dien" else 3)
        for trial, found in zip(trials, values[0], strict=False):
            assert {key: trial["values"][key] for key in alike}.items() <= found.items()


def test_results_steer_the_search_and_say_which_keys_matter(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = searched(monkeypatch, small_data, tmp_path / "out", Fake(0), trials=40)
    figures = [trial["valid_auc"] for trial in trials]
    assert statistics.fmean(figures[-10:]) > statistics.fmean(figures[1:RANDOM_TRIALS]) + 0.02
    importance = content(tmp_path / "out")["importance"]
    assert sum(importance.values()) == pytest.approx(1)
    assert importance["training.learning_rate"] + importance["training.batch_size"] > 0.5
    assert max(importance, key=lambda key: importance[key]) == "training.learning_rate"


def test_a_run_counts_when_its_process_has_ended_not_when_its_result_is_written(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, seen = tmp_path / "out", []

    class Early(Fake):
        def note(self, new: list[Job], waiting: list[Job]) -> None:
            for job in new:
                self.end(job, 0.5)
            statuses = [run["status"] for trial in content(out)["trials"] for run in trial["runs"]]
            seen.append(statuses.count("done"))

    searched(monkeypatch, small_data, out, Early(0), trials=3, seeds=2)
    assert seen == [0, 1, 2, 3, 4, 5, 6]


def test_more_trials_go_on_from_those_that_are_there(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = searched(monkeypatch, small_data, tmp_path / "once", Fake(0), trials=15)
    searched(monkeypatch, small_data, tmp_path / "twice", Fake(1), trials=6)
    fake = Fake(2)
    assert searched(monkeypatch, small_data, tmp_path / "twice", fake, trials=15) == once
    assert [number for number, _ in fake.started] == list(range(6, 15))


def test_a_failed_trial_is_left_out_of_the_search_and_tried_again_alone(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(config: RunConfig) -> float | None:
        return None if config.training.batch_size == 512 else worth(config)

    trials = searched(monkeypatch, small_data, tmp_path / "out", Fake(0, fragile), trials=16)
    failed = [trial["trial"] for trial in trials if trial["values"]["training.batch_size"] == 512]
    assert failed
    assert [trial["trial"] for trial in trials if trial["status"] == "failed"] == failed
    assert content(tmp_path / "out")["best"] not in failed
    fake = Fake(0)
    again = searched(monkeypatch, small_data, tmp_path / "out", fake, trials=16)
    assert [number for number, _ in fake.started] == failed
    assert [trial["values"] for trial in again] == [trial["values"] for trial in trials]
    assert {trial["status"] for trial in again} == {"done"}


def test_numbers_are_rounded_and_lie_in_their_range(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = searched(monkeypatch, small_data, tmp_path / "out", Fake(0), trials=12)
    rates = [trial["values"]["training.learning_rate"] for trial in trials]
    range_of_rates = spaces()["din"]["training.learning_rate"]
    assert all(rate in range_of_rates and rate == float(f"{rate:.3g}") for rate in rates)
    assert rates[0] == settled(RunConfig(), small_data).training.learning_rate
    config = load_config(tmp_path / "out/best.yaml")
    best = content(tmp_path / "out")["best"]
    assert config == without_seed(Run.open(tmp_path / f"out/runs/{best:03d}-0").config)
