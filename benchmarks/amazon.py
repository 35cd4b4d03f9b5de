"""Test AUC of models on Amazon reviews, recipe paper, mean ± std over seeds.

A seed redraws split, negatives and initialisation; within a seed all models get the same rows and negatives.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from dien import evaluate, fit
from dien.config import load_config
from dien.data.dataset import Dataset
from dien.data.recipes import paper
from dien.data.sources import amazon
from dien.data.writer import write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviews", type=Path, required=True)
    parser.add_argument("--meta", type=Path, required=True)
    parser.add_argument("--models", default="sum-pooling,dien", help="comma-separated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    log = amazon.read(arguments.reviews, arguments.meta)
    models = arguments.models.split(",")
    auc: dict[str, list[float]] = {model: [] for model in models}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            data = Path(folder) / f"data-{seed}"
            write(paper(log, seed=seed), data)
            for model in models:
                overrides = [f"model.name={model}", f"training.seed={seed}", *arguments.set]
                run = Path(folder) / f"{model}-{seed}"
                fit(Dataset.open(data), load_config(overrides=overrides), run, progress=False)
                auc[model].append(evaluate(run).auc)
                print(f"seed {seed} {model}: test AUC {auc[model][-1]:.4f}", flush=True)
    for model, values in auc.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{model}: {statistics.mean(values):.4f} ± {spread:.4f} over {len(values)} seeds")
    first = auc[models[0]]
    for model in models[1:]:
        gains = [b - a for a, b in zip(first, auc[model], strict=True)]
        each = ", ".join(f"{gain:+.4f}" for gain in gains)
        print(f"{model} over {models[0]}: {statistics.mean(gains):+.4f} (seed by seed {each})")


if __name__ == "__main__":
    main()
