"""The most that kept extractor states could save of a request: the extractor's whole time.

    python benchmarks/kept_states.py

One thread, the time of the processor. A request is scored as it is, and with an extractor that has the
states of its history already, in turn; to look them up and to check them would cost more. The model is that
of benchmarks/request.py.
"""

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dien import Scorer
from dien.bench.load.drawn import draw
from request import made_run, timer

CANDIDATES = (1, 5, 20, 200)
HISTORY = (20, 100, 1000)


class Kept:
    """Gives the states of a history that it has seen, and asks the extractor for others.

    Args:
        extractor: method that is asked.
    """

    def __init__(self, extractor: Any) -> None:
        self._extractor, self._states = extractor, {}

    def __call__(self, behaviours: Any) -> torch.Tensor:
        """Give the states of packed histories."""
        key = float(behaviours.values[0, 0]), len(behaviours.values)
        if key not in self._states:
            self._states[key] = self._extractor(behaviours)
        return self._states[key]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # ids and times are drawn
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        scorer = Scorer.load(given.run or made_run(Path(folder)))
        extractor: Any = scorer.model.extractor
        ways = {"asked": extractor.states, "kept": Kept(extractor.states)}
        print("| candidates | " + " | ".join(f"history {t:,}" for t in HISTORY) + " |")
        print("| --- " * (1 + len(HISTORY)) + "|")
        for b in CANDIDATES:
            cells = []
            for t in HISTORY:
                some, measures = draw(scorer, b, t), {}
                for name, way in ways.items():
                    extractor.states = way
                    measures[name] = timer(scorer, some, time.thread_time)
                shares = []
                for _ in range(given.rounds):
                    taken = {}
                    for name, way in ways.items():
                        extractor.states = way
                        taken[name] = measures[name]()
                    shares.append(100 * (1 - taken["kept"] / taken["asked"]))
                extractor.states = ways["asked"]
                low, median, high = np.quantile(shares, [0.25, 0.5, 0.75])
                cells.append(f"{median:.0f} % ({low:.0f} to {high:.0f})")
            print(f"| {b} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
