"""What another busy process on one of the cores does to training, by how long threads spin before they sleep.

    python benchmarks/neighbour.py

torch's OpenMP threads wait for each other at the end of every operation. libgomp's are first spinning,
GOMP_SPINCOUNT times; 300000 is its own choice, 1000 that of the commands of dien. `dien bench` is run with
either, alone and then beside a process that keeps a core busy. Printed are medians and quartiles over rounds.
"""

import argparse
import json
import os
import subprocess
import sys

SPINS = (300_000, 1_000)
BUSY = [sys.executable, "-c", "while True: pass"]


def milliseconds(spins: int, rounds: int) -> dict[str, float]:
    """Of a training step of 1,024 rows: median, low and high."""
    command = [sys.executable, "-m", "dien", "bench", "--shape", "mean-15", "--rounds", str(rounds), "--json"]
    environment = os.environ | {"GOMP_SPINCOUNT": str(spins)}
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    step: dict[str, float] = json.loads(found.stdout)["shapes"]["mean-15"]["train"]["milliseconds"]
    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    alone = {spins: milliseconds(spins, rounds) for spins in SPINS}
    with subprocess.Popen(BUSY) as neighbour:
        beside = {spins: milliseconds(spins, rounds) for spins in SPINS}
        neighbour.kill()
    print("| GOMP_SPINCOUNT | alone, ms a step | beside a busy process |\n| --- | --- | --- |")
    for spins in SPINS:
        cells = [
            f"{step['median']:,.1f} ({step['low']:,.1f} to {step['high']:,.1f})"
            for step in (alone[spins], beside[spins])
        ]
        print(f"| {spins:,} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
