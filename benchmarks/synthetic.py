"""How much of what can be known each model gets: synthetic logs of drifting interests, several seeds.

Every model sees the same rows; the seed is of initialisation and order. The share is of the distance from 0.5
to the best AUC any model can reach, which the log states.

    dien prepare synthetic --users 30000 --items 500 --days 30 --per-day 2 --out data/synthetic
    python benchmarks/synthetic.py data/synthetic
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from dien import Dataset, evaluate, fit
from dien.config import load_config
from dien.training import truth_share

SETTINGS = [
    "training.batch_size=512", "training.learning_rate=0.004", "model.max_history=30",
    "model.matches=false",  # what the models make of a history alone
]  # fmt: skip


def main() -> None:
    """Train every model with every seed, and print mean ± standard deviation."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", default="dien,din,sum-pooling")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    data = Dataset.open(options.data)
    found: dict[str, list[float]] = {name: [] for name in options.models.split(",")}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            for name, aucs in found.items():
                overrides = [f"model.name={name}", f"training.seed={seed}", *SETTINGS]
                config = load_config(overrides=[*overrides, f"training.epochs={options.epochs}"])
                run = Path(folder, f"{name}-{seed}")
                fit(data, config, run)
                auc = evaluate(run, data).auc
                assert auc is not None
                aucs.append(auc)
                print(f"seed {seed}  {name}  {auc:.4f}", flush=True)
    print(f"best possible  {data.info.truth.best_auc['test']:.4f}")
    for name, aucs in found.items():
        spread = statistics.stdev(aucs) if len(aucs) > 1 else 0.0
        share = truth_share(data.info.to_json(), "test", statistics.mean(aucs))["share_of_best"]
        print(f"{name}  {statistics.mean(aucs):.4f} ± {spread:.4f}  {share:.1%}")


if __name__ == "__main__":
    main()
