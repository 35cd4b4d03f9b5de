"""What the influences of all behaviours of a request cost, beside one scoring of it.

    python benchmarks/explain.py                        # models with their defaults, one thread
    python benchmarks/explain.py --max-history 100      # every behaviour a step, and not the newest 50
    python benchmarks/explain.py --models dien --histories 1000

For each model, 200 candidates and 100 and 1,000 behaviours: Scorer.score, dien.explain.influence, and the
same by scoring each variant of the request anew (naive_influence), in turn, round after round, in processor
time of this thread, which other work on the machine changes little. The ratios are of each round: median
(quartiles). Each model is trained on a made log first, or --runs names finished runs: their weights change
little, their histories and items how many variants are alike.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dien import Scorer
from dien.bench.load.drawn import draw
from dien.explain.influence import influence, naive_influence
from dien.serving import Request


def made_runs(folder: Path, models: Sequence[str], max_history: int | None) -> list[Path]:
    """Prepare a small log and train each model on it, to read so many steps; None for its default."""
    data = folder / "data"
    log = ["synthetic", "--users", "300", "--items", "20000", "--days", "5", "--out", str(data)]
    commands = [["prepare", *log]]
    runs = [folder / name.replace(":", "-") for name in models]
    for name, run in zip(models, runs, strict=True):
        keys = ["--set", "training.epochs=1"]
        if max_history is not None:
            keys += ["--set", f"model.max_history={max_history}"]
        commands.append(["train", str(data), "--model", name, *keys, "--out", str(run)])
    for command in commands:
        subprocess.run([sys.executable, "-m", "dien", *command], check=True, capture_output=True)
    return runs


def milliseconds(work: Callable[[], Any]) -> float:
    """Time one call in processor time of this thread."""
    start = time.thread_time()
    work()
    return 1e3 * (time.thread_time() - start)


def spread(values: Sequence[float], digits: int) -> str:
    """Write the median and the quartiles."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def measure(scorer: Scorer, candidates: int, history: int, rounds: int) -> str:
    """Measure a run: a row of the table."""
    given = draw(scorer, candidates, history, rounds)
    of_round: list[tuple[float, float, float]] = []
    for request in (given[0], *given):  # the first warms up
        checked = scorer.check(Request(**request))
        one = float(np.median([milliseconds(lambda: scorer.score(**request)) for _ in range(9)]))  # noqa: B023
        fast = milliseconds(lambda: influence(scorer, checked))  # noqa: B023
        naive = milliseconds(lambda: naive_influence(scorer, checked))  # noqa: B023
        of_round.append((one, fast, naive))
    one_, fast_, naive_ = np.array(of_round[1:]).T
    cells = spread(one_, 2), spread(fast_, 0), spread(fast_ / one_, 1), spread(naive_ / one_, 0)
    return f"| {scorer.run.path.name} | {history:,} | " + " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="dien,din,sum-pooling,gru+augru")
    parser.add_argument("--runs", type=Path, nargs="*", default=[])
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--histories", default="100,1000")
    parser.add_argument("--max-history", type=int, help="steps of every model; default: each its own")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # ids and times are drawn
    torch.set_num_threads(given.threads)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    print(f"{given.threads} thread(s), {given.candidates} candidates\n")
    print("| model | behaviours | score, ms | influence, ms | influence / score | naive / score |")
    print("| --- " * 6 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for run in given.runs or made_runs(Path(folder), given.models.split(","), given.max_history):
            for history in map(int, given.histories.split(",")):
                row = measure(Scorer.load(run), given.candidates, history, given.rounds)
                print(f"{row} |", flush=True)


if __name__ == "__main__":
    main()
