"""Hold dien against other implementations: seconds of a step, taken in turns, as ratios with their spread.

    python benchmarks/peers/install.py
    python benchmarks/peers/compare.py --peers recbole,torch-rechub --shapes core,hidden-64 --out F.json

Each contestant lives in a process and an environment of its own, with two threads. In a round every one is
asked once; a ratio is a peer's seconds over ours in the same round. Medians and quartiles over rounds.
"""

import argparse
import ast
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from install import installed, python_of
from shapes import GROUPS, SHAPES, Shape
from worker import MODULES

HERE = Path(__file__).parent
OURS = "dien"
PEERS = tuple(name for name in MODULES if name != OURS)
PAUSE = 0.05  # seconds in which threads that wait spinning go to sleep

Seconds = dict[str, list[float]]
"""Of a step, by contestant, round after round."""


def environment(name: str) -> str:
    """Name of a peer's environment: RecBole's two contestants share one."""
    return name.removesuffix("-as-shipped")


class Contestant:
    """A worker process, asked for the seconds of a step."""

    def __init__(self, name: str) -> None:
        self.name, self.trouble = name, ""
        python = sys.executable if name == OURS else str(python_of(environment(name)))
        self._process = subprocess.Popen(
            [python, "worker.py", name],
            cwd=HERE,
            env=os.environ | {"OMP_NUM_THREADS": "2"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, shape: str) -> float | None:
        """Measure once; None where that did not work, of which `trouble` then tells."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps({"shape": shape}), file=self._process.stdin, flush=True)
            answer = json.loads(self._process.stdout.readline() or '{"error": "the process has ended"}')
        except BrokenPipeError:
            answer = {"error": "the process has ended"}
        self.trouble = answer.get("error", "")
        return answer.get("seconds")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def measure(
    shape: str, names: Iterable[str], rounds: int, contestant: Callable[[str], Contestant] = Contestant
) -> Seconds:
    """Take a shape's measurements in turns; processes live for one shape, and so does their memory.

    Whoever fails is reported on standard error and left out of the result, also when it fails late.
    """
    contestants = [contestant(name) for name in names]
    seconds: Seconds = {each.name: [] for each in contestants}

    def ask(each: Contestant) -> float | None:
        time.sleep(PAUSE)
        found = each.seconds(shape)
        if found is None:
            print(f"{shape}: {each.name} is left out: {each.trouble}", file=sys.stderr)
            each.close()
            seconds.pop(each.name)
        return found

    try:
        for each in contestants:
            ask(each)  # prepares and warms up
        for turn in range(rounds):
            for each in contestants:
                if each.name in seconds and (found := ask(each)) is not None:
                    seconds[each.name].append(found)
            print(f"{shape}: round {turn + 1} of {rounds}", file=sys.stderr)
        return seconds
    finally:
        for each in contestants:
            each.close()


def table(shape: Shape, seconds: Seconds) -> str:
    """Show the median milliseconds, rows a second, and ratio to ours with its quartiles, as Markdown."""
    lines = [
        f"**{shape.about}**",
        "",
        "| | ms a batch | rows/s | times ours (quartiles) |",
        "| --- | --- | --- | --- |",
    ]
    for name, own in seconds.items():
        median = statistics.median(own)
        ratio = ""
        if name != OURS and OURS in seconds:
            ratios = [a / b for a, b in zip(own, seconds[OURS], strict=True)]
            low, middle, high = (
                statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
            )
            ratio = f"{middle:.1f} ({low:.1f} to {high:.1f})"
        lines.append(f"| {name} | {median * 1e3:,.1f} | {shape.rows / median:,.0f} | {ratio} |")
    return "\n".join([*lines, ""])


def notes(names: Iterable[str]) -> str:
    """Tell what each peer is and where it differs, as the head of its file has it, in a Markdown list."""
    modules: dict[str, list[str]] = {}
    for name in names:
        modules.setdefault(MODULES[name], []).append(name)
    lines = []
    for module, own in modules.items():
        text = ast.get_docstring(ast.parse((HERE / f"{module}.py").read_text())) or ""
        lines.append(f"- {', '.join(own)}: {' '.join(text.split())}")
    return "\n".join([*lines, ""])


def machine() -> dict[str, object]:
    """Say where it was measured."""
    model = platform.processor()
    if (file := Path("/proc/cpuinfo")).exists():
        named = [line for line in file.read_text().splitlines() if line.startswith("model name")]
        model = named[0].split(":")[1].strip() if named else model
    return {"processor": model, "cores": os.cpu_count(), "system": platform.platform()}


def some_of(known: Iterable[str], groups: dict[str, Iterable[str]]) -> Callable[[str], list[str]]:
    """Make what reads names with commas between them, each one that is known or a group of such."""

    def read(text: str) -> list[str]:
        names: dict[str, None] = {}  # in order, none twice
        for name in text.split(","):
            if name not in groups and name not in known:
                raise argparse.ArgumentTypeError(
                    f"{name!r}: expected some of {', '.join([*groups, *known])}, commas between"
                )
            names |= dict.fromkeys(groups.get(name, [name]))
        return list(names)

    return read


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peers",
        type=some_of(PEERS, {"all": PEERS, "none": ()}),
        default="all",
        help="names with commas between, all, or none (ours alone)",
    )
    parser.add_argument(
        "--shapes",
        type=some_of(SHAPES, {name: tuple(group) for name, group in GROUPS.items()}),
        default="core",
        help=f"names or groups with commas between; groups are {', '.join(GROUPS)}",
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--out", type=Path, help="JSON of every measurement, written after each shape")
    options = parser.parse_args()
    peers = [name for name in options.peers if installed(environment(name))]
    for name in options.peers:
        if name not in peers:
            print(f"{name} is left out: not installed, see install.py", file=sys.stderr)
    results = {}
    for shape in options.shapes:
        results[shape] = measure(shape, [OURS, *peers], options.rounds)
        print(table(SHAPES[shape], results[shape]), flush=True)
        if options.out:
            options.out.write_text(json.dumps({"machine": machine(), "seconds": results}, indent=2) + "\n")
    print(notes(peers))


if __name__ == "__main__":
    main()
