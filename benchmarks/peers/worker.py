"""A contestant in a process and an environment of its own: ``python worker.py CONTESTANT``.

A line of JSON on standard input, ``{"shape": NAME}``, asks for one measurement; the answer is a line of JSON
on standard output with the seconds of one step, or with what went wrong. Nothing is computed in between.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout

from shapes import SHAPES, draw

LEAST = 0.3  # seconds a measurement lasts, in whole steps
MODULES = {
    "dien": "ours",
    "recbole": "recbole_peer",
    "recbole-as-shipped": "recbole_peer",
    "torch-rechub": "torch_rechub_peer",
    "fuxictr": "fuxictr_peer",
    "deepctr-torch": "deepctr_torch_peer",
    "deepctr": "deepctr_peer",
}


def timed(step: Callable[[], object], times: int) -> float:
    """Seconds of a step, over so many."""
    start = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - start) / times


def main() -> None:
    name, answers = sys.argv[1], sys.stdout
    with redirect_stdout(sys.stderr):  # peers print
        contestant = importlib.import_module(MODULES[name])
        ready, step, times = "", None, 1
        for line in sys.stdin:
            asked = json.loads(line)["shape"]
            try:
                if asked != ready:
                    ready, step = "", None  # the model before makes room
                    step = contestant.prepare(name, SHAPES[asked], draw(SHAPES[asked]))
                    ready = asked
                    timed(step, 2)
                    times = max(1, round(LEAST / timed(step, 1)))
                answer = {"seconds": timed(step, times)}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
