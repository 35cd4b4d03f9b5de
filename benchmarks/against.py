"""What a command of dien costs in two checkouts: pairs of runs, one after the other, and the ratio new/old.

Processor time of the whole process, start included, and its peak memory, with one thread: neither depends
much on what else the machine does. Both start from compiled modules, as an installed package does. ``{out}``
in the command is a folder that is removed after each run.

    python benchmarks/against.py ../old --pairs 9 -- prepare table --interactions log.csv --out {out}
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
THREADS = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS")


def environment_of(checkout: Path, compiled: Path) -> dict[str, str]:
    """Make the environment in which the source of a checkout runs, with one thread.

    Args:
        checkout: the folder with src/dien.
        compiled: folder of compiled modules.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    paths = {"PYTHONPATH": str(checkout / "src"), "PYTHONPYCACHEPREFIX": str(compiled)}
    return {**kept, **dict.fromkeys(THREADS, "1"), **paths}


def cost(environment: dict[str, str], command: list[str]) -> tuple[float, float]:
    """Run a command.

    Args:
        environment: of the process.
        command: words for dien.

    Returns:
        Seconds of processor time, and the peak of resident memory in MiB.
    """
    folder = Path(tempfile.mkdtemp())
    words = [word.replace("{out}", str(folder / "out")) for word in command]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "dien", *words], cwd=folder, env=environment, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{environment['PYTHONPATH']}: failed\n{(folder / 'said').read_text()}")
    shutil.rmtree(folder)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024  # Linux counts in KiB


def expect_source(checkout: Path, environment: dict[str, str]) -> None:
    """Refuse a checkout whose source is not what would run."""
    program = [sys.executable, "-c", "import dien; print(dien.__file__)"]
    found = subprocess.run(
        program, env=environment, check=True, capture_output=True, text=True, cwd="/"
    ).stdout
    if not Path(found.strip()).is_relative_to(checkout / "src"):
        raise SystemExit(f"{checkout}: python runs {found.strip()}; expected a checkout with src/dien")


def main() -> None:
    """Run the pairs, and print a line for each and the ratios at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path, help="a checkout, as git worktree add makes it")
    parser.add_argument("--new", type=Path, default=HERE, help="another one; else this one")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("command", nargs="+", help="for dien, after --")
    options = parser.parse_args()
    checkouts = [options.old.resolve(), options.new.resolve()]
    compiled = tempfile.TemporaryDirectory()
    environments = [environment_of(checkout, Path(compiled.name)) for checkout in checkouts]
    for checkout, environment in zip(checkouts, environments, strict=True):
        expect_source(checkout, environment)
        cost(environment, options.command)  # compiles, and has the files in memory
    found = []
    for pair in range(options.pairs):
        order = [0, 1] if pair % 2 else [1, 0]  # neither is always the second, with files in memory
        costs = {which: cost(environments[which], options.command) for which in order}
        found.append(costs)
        (old, old_peak), (new, new_peak) = costs[0], costs[1]
        print(f"old {old:.2f} s {old_peak:.0f} MiB, new {new:.2f} s {new_peak:.0f} MiB", flush=True)
    for place, what in enumerate(("processor time", "peak memory")):
        ratios = [costs[1][place] / costs[0][place] for costs in found]
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        print(f"{what}, new/old: {middle:.3f} (quartiles {low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
