"""Reloads under load: two models in turn, broken runs in between; who asks meanwhile must notice nothing.

    python benchmarks/reload.py --run runs/shop                 # 200 reloads, 20 broken runs among them
    python benchmarks/reload.py --run runs/shop --reloads 20 --broken 2

A server of its own serves a link that leads to a copy of the run, to one with other weights, or to a broken
one. Requests come at random times. Of one answer in five the scores are compared with those of the model that
the answer names. Memory is the server's resident set, after every tenth of the reloads.
"""

import argparse
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors.torch import save_file

from dien import Scorer
from dien.bench.load import Load, Records, Target, poisson, started, summary
from dien.bench.load.alone import rate_alone
from dien.bench.load.drawn import as_http, draw
from dien.data.batches import cores
from dien.run import RESULT, WEIGHTS, Run
from dien.tensors import read_tensors, with_checksum

TOKEN = "token of this benchmark"
KEEP = 5
DIFFERENCE = 1e-5
WARM_UPS = 10
"""Reloads before memory is measured: the first take memory that the next use again."""


def with_other_weights(run: Path) -> None:
    """Make the model another: its scores differ."""
    tensors, texts = read_tensors(Run.open(run).folder, WEIGHTS)
    changed = {name: 0.9 * tensor for name, tensor in tensors.items()}
    save_file(changed, run / WEIGHTS, with_checksum(changed, texts))


def cut(run: Path) -> None:
    """Cut the weights short."""
    content = (run / WEIGHTS).read_bytes()
    (run / WEIGHTS).write_bytes(content[: len(content) // 2])


BROKEN: list[Callable[[Path], None]] = [
    shutil.rmtree,
    lambda run: (run / RESULT).unlink(),
    cut,
    lambda run: shutil.rmtree(run / "vocabularies"),
]


def copies(run: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """Copy a run: two that can be served, and some that cannot."""
    good, broken = [folder / "a", folder / "b"], [folder / f"broken-{k}" for k in range(len(BROKEN))]
    for copy in good + broken:
        shutil.copytree(run, copy)
    with_other_weights(good[1])
    for copy, spoil in zip(broken, BROKEN, strict=True):
        spoil(copy)
    return good, broken


def link(served: Path, run: Path) -> None:
    """Have the link lead to a run, in one step."""
    new = served.with_name("new")
    new.symlink_to(run)
    new.replace(served)


class Reloads(threading.Thread):
    """Reloads again and again, and notes what came of it."""

    def __init__(
        self, target: Target, served: Path, good: list[Path], broken: list[Path], n: int, spoilt: int
    ) -> None:
        super().__init__()
        self._target, self._served, self._good, self._broken = target, served, good, broken
        self._number, self._spoilt = n, spoilt
        self.loaded = self.refused = 0
        self.megabytes: list[float | None] = []
        self.amiss: list[str] = []

    def run(self) -> None:
        """Reload; every so often a broken run."""
        every = max(1, self._number // self._spoilt) if self._spoilt else self._number + 1
        for number in range(self._number):
            self.reload(self._good[number % 2], 200)
            if number % every == every - 1 and self.refused < self._spoilt:
                self.reload(self._broken[self.refused % len(self._broken)], 422)
            if number % max(1, self._number // 10) == 0:
                self.megabytes.append(self._target.usage().megabytes)

    def reload(self, run: Path, expected: int) -> dict[str, Any]:
        """Have the server load a run."""
        link(self._served, run)
        status, body = self._target.ask("POST", "/reload", Authorization=f"Bearer {TOKEN}")
        self.loaded += status == 200
        self.refused += status == 422
        if status != expected:
            self.amiss.append(f"{run.name}: {status} {body.decode()}")
        found: dict[str, Any] = json.loads(body)
        return found


@contextmanager
def serving(run: Path, folder: Path) -> Iterator[tuple[Target, Path, list[Path], list[Path]]]:
    """Serve a link to copies of a run."""
    good, broken = copies(run, folder)
    served, token = folder / "served", folder / "token"
    link(served, good[0])
    token.write_text(TOKEN)
    with started(served, cores(), ["--reload-token-file", str(token)]) as target:
        yield target, served, good, broken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--reloads", type=int, default=200)
    parser.add_argument("--broken", type=int, default=20)
    parser.add_argument("--load", type=float, default=0.3, help="of the rate of the scorer alone")
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--history", type=int, default=100)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(given.run, Path(folder)) as (target, served, good, broken),
    ):
        scorers = [Scorer.load(run) for run in good]
        requests = draw(scorers[0], given.candidates, given.history)
        rate = given.load * rate_alone(scorers[0], requests, cores(), 3)
        reloads = Reloads(target, served, good, broken, given.reloads, given.broken)
        versions = [reloads.reload(run, 200)["version"] for run in good]
        for number in range(WARM_UPS):
            reloads.reload(good[number % 2], 200)
        expected = {
            version: [scorer.score(**request) for request in requests]
            for version, scorer in zip(versions, scorers, strict=True)
        }
        differ = np.abs(expected[versions[0]][0] - expected[versions[1]][0]).max()
        assert differ > DIFFERENCE, "the two models give the same scores"
        reloads.loaded = 0
        bodies, loads, checked, wrong = as_http(requests), list[Records](), 0, 0
        reloads.start()
        while reloads.is_alive():
            due = poisson(rate, 5, len(loads))
            loads.append(Load(target.address, bodies, due, timeout=30, keep=KEEP).run())
            for answer in loads[-1].answers:
                if answer.status == 200:
                    found = msgspec.json.decode(answer.body)
                    of_it = expected[found["model"]][answer.request % len(requests)]
                    checked += 1
                    wrong += bool(np.abs(np.array(found["scores"]) - of_it).max() > DIFFERENCE)
        reloads.join()
        result = {
            "loaded": reloads.loaded,
            "refused": reloads.refused,
            "amiss": reloads.amiss,
            "load": summary(loads, deadline=1),
            "answers_checked": checked,
            "answers_wrong": wrong,
            "megabytes": reloads.megabytes,
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
