"""What a request costs through Scorer.score, raw ids to probabilities, by candidates and length of history.

    python benchmarks/request.py            # the table, one thread
    python benchmarks/request.py --beside 2 # 200 candidates, 100 behaviours, beside two busy processes

Without --run a DIEN (the defaults, but for model.max_history=1000) is trained on a made log first; weights
change no time. Each cell is the median (and quartiles) over rounds of the median of requests that differ. The
table is of the time of the processor, which other work on the machine hardly changes.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dien import Scorer
from dien.bench.load.drawn import draw
from dien.serving import scorer as scoring

CANDIDATES = (1, 20, 200, 500, 2000)
HISTORY = (0, 20, 100, 300, 1000)
DIFFERENT = 8
LEAST = 0.3
"""Seconds of a measurement, about."""
BUSY = [sys.executable, "-c", "while True: pass"]


def made_run(folder: Path) -> Path:
    """Prepare a small log and train on it."""
    log = ["synthetic", "--users", "300", "--items", "20000", "--days", "5", "--out", str(folder / "data")]
    train = ["--set", "training.epochs=1", "--set", "model.max_history=1000", "--out", str(folder / "run")]
    for command in (["prepare", *log], ["train", str(folder / "data"), "--model", "dien", *train]):
        subprocess.run([sys.executable, "-m", "dien", *command], check=True, capture_output=True)
    return folder / "run"


def timer(scorer: Scorer, given: Sequence[dict[str, Any]], clock: Callable[[], float]) -> Callable[[], float]:
    """Warm up, and make what measures the milliseconds of a request."""

    def each() -> Iterator[float]:
        for request in given:
            start = clock()
            scorer.score(**request)
            yield 1e3 * (clock() - start)

    list(each())
    passes = max(1, round(LEAST / (1e-3 * sum(each()))))
    return lambda: statistics.median(one for _ in range(passes) for one in each())


def spread(values: Sequence[float]) -> str:
    """Write the median and the quartiles."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


def table(scorer: Scorer, rounds: int) -> None:
    """Print milliseconds by candidates and history."""
    torch.set_num_threads(1)
    timers = {
        (b, t): timer(scorer, draw(scorer, b, t, DIFFERENT), time.thread_time)
        for b in CANDIDATES
        for t in HISTORY
    }
    found: dict[tuple[int, int], list[float]] = {shape: [] for shape in timers}
    for _ in range(rounds):
        for shape, measure in timers.items():
            found[shape].append(measure())
    print("| candidates | " + " | ".join(f"history {t:,}" for t in HISTORY) + " |")
    print("| --- " * (1 + len(HISTORY)) + "|")
    for b in CANDIDATES:
        print(f"| {b:,} | " + " | ".join(spread(found[b, t]) for t in HISTORY) + " |")


@contextmanager
def beside(processes: int) -> Iterator[None]:
    """Keep this many processes busy."""
    with ExitStack() as stack:
        others = [stack.enter_context(subprocess.Popen(BUSY)) for _ in range(processes)]
        try:
            yield
        finally:
            for other in others:
                other.send_signal(signal.SIGKILL)


def neighbours(scorer: Scorer, rounds: int, processes: int) -> None:
    """Print milliseconds of a request alone and beside other processes, by how many threads it takes."""
    measure = timer(scorer, draw(scorer, 200, 100, DIFFERENT), time.perf_counter)
    limits = {"one": scoring.STEPS_OF_ONE_THREAD, str(torch.get_num_threads()): -1}
    found: dict[tuple[str, int], list[float]] = {(of, n): [] for of in limits for n in (0, processes)}
    for _ in range(rounds):
        for of, n in found:
            scoring.STEPS_OF_ONE_THREAD = limits[of]
            with beside(n):
                time.sleep(0.2)
                found[of, n].append(measure())
    print(f"| threads | alone, ms | beside {processes} busy processes | ratio |\n| --- | --- | --- | --- |")
    for of in limits:
        alone, other = found[of, 0], found[of, processes]
        ratio = spread([b / a for a, b in zip(alone, other, strict=True)])
        print(f"| {of} | {spread(alone)} | {spread(other)} | {ratio} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--beside", type=int, default=0, metavar="N")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # ids and times are drawn
    with tempfile.TemporaryDirectory() as folder:
        scorer = Scorer.load(given.run or made_run(Path(folder)))
        if given.beside:
            neighbours(scorer, given.rounds, given.beside)
        else:
            table(scorer, given.rounds)


if __name__ == "__main__":
    main()
