"""What a light DIEN keeps of a booster's AUC, and how much faster it scores: Rocket Launching on DATA.

    python benchmarks/rocket.py DATA --seeds 5 [--set model.hint_weight=1 ...]

Trains three models a seed on the same rows and negatives: the booster alone, the light net alone (both plain
DIENs of the sizes that the configuration of `rocket` names), and the light net beside the booster. A seed
redraws initialisation, the order of rows and the negatives of training; each net is that of its best
validation epoch, and AUC and LogLoss are those of the test split. The booster beside the light net is scored
too, as it was in the light net's best epoch. With several DATA, as preparations with other seeds, each gets
all seeds.

The speed is measured with the models of the first seed, turn about: passes over the test split in batches of
1,024, and requests of 200 candidates in raw ids, each with the history of a user of the test split.

Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as `dien` does; OpenMP reads it when torch is loaded

import numpy as np
import torch
from torch import nn

from dien import Dataset, Scorer, evaluate, fit
from dien.config import RunConfig, load_config
from dien.data.batch import Batch
from dien.data.batches import Batches
from dien.models.model import Prediction
from dien.models.rocket import Rocket, RocketConfig
from dien.run import Run
from dien.training import FitResult, Metrics
from dien.training.evaluate import evaluate_model, evaluation_batches

CANDIDATES = 200
BOOSTER, LIGHT, ROCKET = NAMES = "booster alone", "light alone", "light with rocket"


def configurations(overrides: list[str]) -> dict[str, RunConfig]:
    """Configure each of the models, by its name in the table."""
    rocket = load_config(overrides=overrides, model="rocket")
    assert isinstance(rocket.model, RocketConfig)
    models = rocket.model.booster(), rocket.model.light(), rocket.model
    return {
        name: rocket.model_copy(update={"model": model}) for name, model in zip(NAMES, models, strict=True)
    }


def requests(data: Dataset, count: int, max_history: int) -> list[tuple[str, list[str], list[str]]]:
    """Draw requests in raw ids: a user of the test split, the history of an impression, random candidates."""
    random, test = np.random.default_rng(0), data.splits["test"]
    drawn = []
    for row in random.choice(len(test), count):
        user, end = int(test.user[row]), int(test.end[row])
        start = max(int(data.behaviours.offsets[user]), end - max_history)
        history = [data.item_ids.values[int(item)] for item in data.behaviours.item[start:end]]
        candidates = random.integers(1, len(data.item_ids.values), CANDIDATES)
        drawn.append((data.user_ids.values[user], history, data.item_ids.values.gather(candidates).to_list()))
    return drawn


def test_batches(data: Dataset, run: Run) -> Batches:
    """Give the batches of the test split for a run's model."""
    config = run.config.model
    return evaluation_batches(
        data,
        "test",
        config.max_history,
        config.matched_history,
        config.filter_by,
        config.filter_history,
        popularity=config.popularity,
    )


def speeds(runs: dict[str, Run], data: Dataset, passes: int, count: int) -> dict[str, tuple[float, float]]:
    """Measure rows/s and milliseconds a request of each model, medians of measurements taken turn about."""
    scorers = {name: Scorer(run) for name, run in runs.items()}
    batches = test_batches(data, next(iter(runs.values())))
    drawn = requests(data, count, next(iter(runs.values())).config.model.longest_history)
    rates: dict[str, list[float]] = {name: [] for name in runs}
    latencies: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(passes + 1):
        for name, scorer in scorers.items():
            start = time.perf_counter()
            evaluate_model(scorer.model, batches)
            if turn:  # the first warms up
                rates[name].append(batches.rows / (time.perf_counter() - start))
    warming = drawn[:10]
    for turn, request in enumerate([*warming, *drawn]):
        for name, scorer in scorers.items():
            start = time.perf_counter()
            scorer.score(*request)
            if turn >= len(warming):
                latencies[name].append(1000 * (time.perf_counter() - start))
    return {name: (statistics.median(rates[name]), statistics.median(latencies[name])) for name in runs}


class Beside(nn.Module):
    """The booster that was trained beside a light net, whose embeddings it reads."""

    calibration = None  # that of the run is the light net's

    def __init__(self, run: Run) -> None:
        super().__init__()
        model = run.load_model(training=True)
        assert isinstance(model, Rocket)
        self.nets = model.to("cuda" if torch.cuda.is_available() else "cpu")  # where evaluate computes

    def forward(self, batch: Batch) -> Prediction:
        """Predict a batch by the booster."""
        return self.nets.launch(batch).booster


def spread(values: list[float], digits: int = 4) -> str:
    """Mean and standard deviation."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


@dataclass
class Found:
    """What a net came to, a figure for each DATA and seed."""

    auc: list[float] = field(default_factory=list)
    log_loss: list[float] = field(default_factory=list)
    valid_auc: list[float] = field(default_factory=list)
    best_epochs: list[int] = field(default_factory=list)

    def add(self, metrics: Metrics, result: FitResult) -> None:
        """Add a run.

        Raises:
            SystemExit: its validation or test rows all have the same label.
        """
        if metrics.auc is None or metrics.log_loss is None or result.valid_auc is None:
            raise SystemExit("the validation or the test split has labels of one kind; prepare more rows")
        self.auc.append(metrics.auc)
        self.log_loss.append(metrics.log_loss)
        self.valid_auc.append(result.valid_auc)
        self.best_epochs.append(result.best_epoch)


def table(
    found: dict[str, Found],
    speed: dict[str, tuple[float, float]],
    parameters: dict[str, tuple[int, int]],
) -> str:
    """Render results as Markdown."""
    lines = [
        "| | test AUC | over light alone | kept of the booster's | LogLoss | valid AUC | best epochs "
        f"| parameters | beside embeddings | rows/s | ms a request of {CANDIDATES} |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    rate, latency = speed[BOOSTER]
    for name in NAMES:
        net = found[name]
        kept = [100 * (a - 0.5) / (b - 0.5) for a, b in zip(net.auc, found[BOOSTER].auc, strict=True)]
        gains = [a - b for a, b in zip(net.auc, found[LIGHT].auc, strict=True)]
        cells = [
            name,
            spread(net.auc),
            "" if name == LIGHT else spread(gains),
            "" if name == BOOSTER else f"{spread(kept, 1)} %",
            spread(net.log_loss),
            spread(net.valid_auc),
            " ".join(map(str, net.best_epochs)),
            *(f"{number:,}" for number in parameters[name]),
            f"{speed[name][0]:,.0f} ({speed[name][0] / rate:.2f} x)",
            f"{speed[name][1]:.2f} ({latency / speed[name][1]:.2f} x)",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as model.gru=agru")
    parser.add_argument("--passes", type=int, default=7, help="over the test split, for the rate")
    parser.add_argument("--requests", type=int, default=200, help="for the latency")
    parser.add_argument("--out", type=Path, help="folder to keep the RUNs in, and to go on from")
    given = parser.parse_args()
    found = {name: Found() for name in NAMES}
    of_booster: list[float | None] = []
    first: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number, folder in enumerate(given.data):
            data = Dataset.open(folder)
            for seed in range(given.seeds):
                for name, config in configurations([*given.set, f"training.seed={seed}"]).items():
                    out = (given.out or Path(scratch)) / f"{name.replace(' ', '-')}-{number}-{seed}"
                    result = fit(data, config, out, resume=True, show_progress=False)
                    run = Run.open(out)
                    found[name].add(evaluate(run, data), result)
                    if name == ROCKET:
                        batches = test_batches(data, run)
                        of_booster.append(evaluate_model(Beside(run), batches).auc)
                    first.setdefault(name, run)
                latest = ", ".join(f"{name} {net.auc[-1]:.4f}" for name, net in found.items())
                print(f"{folder}, seed {seed}: test AUC {latest}", file=sys.stderr, flush=True)
        parameters = {}
        for name, run in first.items():
            sizes = {n: p.numel() for n, p in run.load_model().named_parameters()}
            beside = sum(size for n, size in sizes.items() if not n.startswith("inputs."))
            parameters[name] = sum(sizes.values()), beside
        speed = speeds(first, Dataset.open(given.data[0]), given.passes, given.requests)
    print(table(found, speed, parameters))
    print(f"\nThe booster beside the light net: test AUC {spread(of_booster)}.")
    gains = [a - b for a, b in zip(found[ROCKET].auc, found[LIGHT].auc, strict=True)]
    print(f"Light with rocket over light alone, one by one: {', '.join(f'{gain:+.4f}' for gain in gains)}.")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}.")


if __name__ == "__main__":
    main()
