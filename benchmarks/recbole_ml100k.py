"""RecBole's DIEN and this package's, in RecBole on the ml-100k it ships: test AUC and seconds an epoch.

    make bench-recbole

Ratings of 4 and more are clicks, all others are not; RecBole's split of each user's ratings by time, its
trainer and evaluator, its configuration of DIEN. The contestants take turns by epoch, over the same batches,
until their validation AUC has not risen for as many epochs as --patience says. RecBole's DIEN runs without
the anomaly detection that RecBole turns on; --as-shipped also times an epoch with it.

Prints Markdown, and with --json writes every epoch's figures to a file.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as `dien` does; OpenMP reads it when torch is loaded

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.sequential_recommender import dien as original
from recbole.trainer import Trainer
from recbole.utils import init_seed

from dien.recbole import DIEN

SETTINGS = {
    "threshold": {"rating": 4},
    "train_neg_sample_args": None,
    "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "TO", "group_by": "user", "mode": "labeled"},
    "metrics": ["AUC", "LogLoss"],
    "valid_metric": "AUC",
    "metric_decimal_place": 6,
    "state": "ERROR",
}
CONTESTANTS = {
    "RecBole's DIEN": (original.DIEN, {}),
    "dien": (DIEN, {}),
    "dien, `dien_preset: paper`": (DIEN, {"dien_preset": "paper"}),
}


class Contestant:
    """A model in training with one seed.

    Attributes:
        epochs: figures of each epoch so far: seconds, validation and test results.
        running: whether it still trains.
    """

    def __init__(self, model: type, settings: dict[str, Any], seed: int) -> None:
        config = Config(model="DIEN", dataset="ml-100k", config_dict=SETTINGS | settings | {"seed": seed})
        init_seed(seed, config["reproducibility"])
        self.train, self.valid, self.test = data_preparation(config, create_dataset(config))
        init_seed(seed, config["reproducibility"])
        self.trainer = Trainer(config, model(config, self.train.dataset).to(config["device"]))
        self.trainer.eval_collector.data_collect(self.train)
        self.epochs: list[dict[str, float]] = []
        self.running = True

    def epoch(self, *, anomaly: bool = False) -> float:
        """Train for an epoch; returns the seconds it took."""
        start = time.perf_counter()
        with torch.autograd.set_detect_anomaly(anomaly):
            self.trainer._train_epoch(self.train, len(self.epochs))
        return time.perf_counter() - start

    def step(self, patience: int) -> None:
        """Train for an epoch, evaluate, and stop where it has not got better for long enough."""
        seconds = self.epoch()
        start = time.perf_counter()
        valid = self.trainer.evaluate(self.valid, load_best_model=False)
        evaluation = time.perf_counter() - start
        test = self.trainer.evaluate(self.test, load_best_model=False)
        self.epochs.append(
            {
                "seconds": seconds,
                "evaluation": evaluation,
                "valid": valid["auc"],
                "auc": test["auc"],
                "logloss": test["logloss"],
            }
        )
        self.running = len(self.epochs) - 1 - self.best < patience

    @property
    def best(self) -> int:
        """The epoch of the highest validation AUC, the first such."""
        return max(range(len(self.epochs)), key=lambda e: self.epochs[e]["valid"])


def compare(seed: int, patience: int, most: int) -> dict[str, list[dict[str, float]]]:
    """Train every contestant with a seed, turn about; returns its epochs."""
    contestants = {name: Contestant(*given, seed) for name, given in CONTESTANTS.items()}
    for epoch in range(most):
        for name, contestant in contestants.items():
            if contestant.running:
                contestant.step(patience)
                figures = contestant.epochs[-1]
                print(
                    f"seed {seed}, epoch {epoch}, {name}: {figures['seconds']:.1f} s, validation AUC "
                    f"{figures['valid']:.4f}, test AUC {figures['auc']:.4f}",
                    file=sys.stderr,
                    flush=True,
                )
    return {name: contestant.epochs for name, contestant in contestants.items()}


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{deviation}"


def quartiles(values: list[float]) -> str:
    """Median, and the quartiles where there are enough values."""
    if len(values) < 2:
        return f"{values[0]:.1f}"
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def table(results: list[dict[str, list[dict[str, float]]]]) -> str:
    """Render results, one a seed, as Markdown; test figures are those of the best validation epoch."""
    lines = [
        "| | test AUC | test LogLoss | best epoch | s an epoch | s a validation | times as fast |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in CONTESTANTS:
        runs = [result[name] for result in results]
        best = [max(range(len(run)), key=lambda e, run=run: run[e]["valid"]) for run in runs]
        chosen = [run[epoch] for run, epoch in zip(runs, best, strict=True)]
        ratios = [
            theirs["seconds"] / ours["seconds"]
            for result in results
            for theirs, ours in zip(result["RecBole's DIEN"], result[name], strict=False)
        ]
        cells = [
            name,
            spread([epoch["auc"] for epoch in chosen]),
            spread([epoch["logloss"] for epoch in chosen]),
            ", ".join(str(epoch + 1) for epoch in best),
            quartiles([epoch["seconds"] for run in runs for epoch in run]),
            quartiles([epoch["evaluation"] for run in runs for epoch in run]),
            quartiles(ratios),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--patience", type=int, default=3, help="epochs without a better validation AUC")
    parser.add_argument("--epochs", type=int, default=50, help="at most so many (default 50)")
    parser.add_argument("--as-shipped", action="store_true", help="time RecBole with anomaly detection, too")
    parser.add_argument("--json", type=Path, help="file for every epoch's figures")
    parser.add_argument("--of", type=Path, nargs="+", help="train nothing: print the table of such files")
    given = parser.parse_args()
    if given.of:
        print(table([result for file in given.of for result in json.loads(file.read_text())]))
        return
    path = given.json.resolve() if given.json else None
    sys.argv = sys.argv[:1]  # RecBole reads settings from it
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)

    results = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # RecBole writes to where it is started
        for seed in given.seeds:
            results.append(compare(seed, given.patience, given.epochs))
            if path:  # complete after every seed
                path.write_text(json.dumps(results, indent=1) + "\n")
        print(table(results))
        if given.as_shipped:
            seconds = Contestant(original.DIEN, {}, 1).epoch(anomaly=True)
            print(f"\nRecBole's DIEN as shipped, with anomaly detection: {seconds:.1f} s an epoch.")
    print(f"\n{torch.get_num_threads()} threads, torch {torch.__version__}.")


if __name__ == "__main__":
    main()
