"""The Makefile's targets: what they need is asked for before anything is done."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make")


def dry_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--dry-run", "REVIEWS=", "META=", *arguments]
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")  # of the make test that runs this
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    return subprocess.run(
        command, cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("given", [[], ["REVIEWS=a.gz"], ["META=b.gz"]])
def test_bench_without_its_files_names_them_with_an_example_and_does_nothing(given: list[str]) -> None:
    done = dry_run("bench", *given)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = (line for line in done.stderr.splitlines() if "needs" in line)
    assert "make bench needs REVIEWS and META" in line
    assert "make bench REVIEWS=reviews_Beauty_5.json.gz META=meta_Beauty.json.gz" in line


def test_bench_hands_its_files_to_the_table() -> None:
    done = dry_run("bench", "REVIEWS=a.gz", "META=b.gz")
    assert done.returncode == 0
    assert "amazon --reviews a.gz --meta b.gz" in done.stdout
