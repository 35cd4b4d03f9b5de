"""Seconds, peak memory and disk of a log of ten impressions a user, from writing it to an epoch of DIEN.

python benchmarks/scale.py --users 10000000 --folder scale
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

SCHEMA = "interactions: {label: label}\nfeatures: {item: {category: }, context: {hour: }}\n"


def run(name: str, made: Path, *arguments: object) -> None:
    """Run a command and print what it cost; the peak is the largest resident set, mapped files included."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "dien", *map(str, arguments)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
    seconds, peak = time.perf_counter() - started, usage.ru_maxrss / 1e6  # Linux counts in KiB
    print(f"{name}: {seconds:.0f} s, peak {peak:.1f} GB, {size / 1e9:.1f} GB on disk", flush=True)


def main() -> None:
    """Write a log, prepare it, train an epoch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, required=True, help="must not exist; stays")
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True)
    (folder / "schema.yaml").write_text(SCHEMA)
    log, data = folder / "log", folder / "data"
    sizes = ("--users", options.users, "--items", 200_000, "--days", 7, "--per-day", 10 / 7)
    run("write the log", log, "prepare", "synthetic", *sizes, "--log", log)
    tables = ("--items", log / "items.parquet", "--users", log / "users.parquet")
    tables += ("--schema", folder / "schema.yaml")
    run(
        "prepare table",
        data,
        "prepare",
        "table",
        "--interactions",
        log / "interactions",
        *tables,
        "--out",
        data,
    )
    settings = ("training.epochs=1", "training.batch_size=4096", "training.checkpoint_steps=1000000")
    overrides = [part for setting in settings for part in ("--set", setting)]
    run("train", folder / "run", "train", data, "--model", "dien", *overrides, "--out", folder / "run")


if __name__ == "__main__":
    main()
