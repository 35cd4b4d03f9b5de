"""Days 1 to 6 and then 7 from where they left off, against 1 to 7 at once: AUC on day 8, and seconds.

Both see the same logs, rows, validation and test rows; only the seed of the training differs between repeats.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def dien(*arguments: object) -> dict:
    """Run a command and read its one JSON object."""
    command = [sys.executable, "-m", "dien", *map(str, arguments), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Make a log of eight days, prepare and train both ways, print AUC and seconds of each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        dien(
            "prepare",
            "synthetic",
            "--users",
            options.users,
            "--items",
            500,
            "--days",
            8,
            "--per-day",
            6,
            "--log",
            log,
        )
        (folder / "schema.yaml").write_text(
            "interactions: {label: label}\nfeatures: {item: {category: }, context: {hour: }}\n"
        )
        tables = ("--items", log / "items.parquet", "--users", log / "users.parquet")
        tables += ("--schema", folder / "schema.yaml")
        late = ("--valid-from", "2024-01-08", "--test-from", "2024-01-08T12:00:00")

        def days(first: int, last: int) -> list[object]:
            paths = [log / "interactions" / f"day=2024-01-0{day}" for day in range(first, last + 1)]
            return [part for path in paths for part in ("--interactions", path)]

        dien("prepare", "table", *days(1, 8), *tables, *late, "--out", folder / "at-once")
        early = ("--valid-from", "2024-01-06T12:00:00", "--test-from", "2024-01-06T18:00:00")
        dien("prepare", "table", *days(1, 6), *tables, *early, "--out", folder / "grown")
        settings = ("--set", f"training.epochs={options.epochs}", "--set", "training.batch_size=512")
        settings += ("--set", "training.learning_rate=0.004", "--set", "model.max_history=30")
        for seed in range(options.seeds):
            dien("train", folder / "grown", "--out", folder / f"first-{seed}", "--seed", seed, *settings)
        dien("prepare", "table", *days(7, 8), *tables, *late, "--append", folder / "grown")
        results: dict[str, list[float]] = {"days 1-6, then 7": [], "days 1-7 at once": []}
        for seed in range(options.seeds):
            warm, cold = folder / f"warm-{seed}", folder / f"cold-{seed}"
            start = ("--from", folder / f"first-{seed}")
            seconds = {
                "warm": dien("train", folder / "grown", *start, "--out", warm, "--seed", seed, *settings)[
                    "seconds"
                ],
                "cold": dien("train", folder / "at-once", "--out", cold, "--seed", seed, *settings)[
                    "seconds"
                ],
            }
            results["days 1-6, then 7"].append(dien("evaluate", warm)["auc"])
            results["days 1-7 at once"].append(dien("evaluate", cold)["auc"])
            print(f"seed {seed}: {results}, {seconds}", flush=True)
        for name, aucs in results.items():
            spread = statistics.stdev(aucs) if len(aucs) > 1 else 0.0
            print(f"{name}: {statistics.mean(aucs):.4f} ± {spread:.4f}")


if __name__ == "__main__":
    main()
