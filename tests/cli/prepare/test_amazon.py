"""Amazon reviews from the command line: the same bytes again, bad lines named, whole or not at all."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.amazon import REVIEWS, write_amazon
from tests.cli.running import command, dien, ok


def test_without_json_a_command_prints_a_table_and_where_the_result_lies(tmp_path: Path) -> None:
    done = dien("prepare", "amazon", *write_amazon(tmp_path), "--out", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert "train rows" in done.stdout
    assert done.stdout.strip().endswith(f"dataset folder: {tmp_path / 'data'}")


def test_the_same_command_writes_the_same_bytes(amazon_data: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    ok("prepare", "amazon", *write_amazon(amazon_data.parent), "--out", again)
    files = sorted(path.relative_to(amazon_data) for path in amazon_data.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for file in files:
        assert (amazon_data / file).read_bytes() == (again / file).read_bytes(), file


BAD_LOGS = {
    "no JSON": ([*map(json.dumps, REVIEWS[:3]), "{"], r"reviews.json: line 4: "),
    "no asin": (['{"reviewerID": "u", "unixReviewTime": 1}'], r"reviews.json: line 1: .*asin"),
    "negative time": (
        [json.dumps(REVIEWS[0]), '{"reviewerID": "u", "asin": "i", "unixReviewTime": -1}'],
        r"reviews.json: line 2: .*unixReviewTime",
    ),
}


@pytest.mark.parametrize("case", BAD_LOGS)
def test_a_bad_line_fails_with_its_file_and_number_and_leaves_no_data(case: str, tmp_path: Path) -> None:
    lines, message = BAD_LOGS[case]
    done = dien("prepare", "amazon", *write_amazon(tmp_path, lines), "--out", tmp_path / "data")
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.search(message, done.stderr), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"reviews.json", "meta.json"}


def test_skip_bad_tolerates_and_reports_so_many_lines(tmp_path: Path) -> None:
    lines = [*map(json.dumps, REVIEWS), "{", "["]
    arguments = ("prepare", "amazon", *write_amazon(tmp_path, lines), "--out", tmp_path / "data")
    assert dien(*arguments, "--skip-bad", 1).returncode == 1
    assert ok(*arguments, "--skip-bad", 2)["excluded"]["bad review lines"] == 2


def test_a_truncated_gzip_an_empty_file_and_a_missing_one_are_named(tmp_path: Path) -> None:
    arguments = write_amazon(tmp_path)
    meta, out = arguments[2:], ("--out", tmp_path / "data")
    whole = gzip.compress((tmp_path / "reviews.json").read_bytes())
    (tmp_path / "cut.json.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.json").touch()
    for name, word in (
        ("cut.json.gz", "truncated"),
        ("empty.json", "empty"),
        ("none.json", "cannot be read"),
    ):
        done = dien("prepare", "amazon", "--reviews", tmp_path / name, *meta, *out)
        assert done.returncode == 1
        assert name in done.stderr
        assert word in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_dataset_folder_that_exists_is_left_alone(amazon_data: Path) -> None:
    before = (amazon_data / "dataset.json").read_bytes()
    done = dien("prepare", "amazon", *write_amazon(amazon_data.parent), "--out", amazon_data)
    assert done.returncode == 1
    assert "exists already" in done.stderr
    assert (amazon_data / "dataset.json").read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_control_c_leaves_no_data_behind(tmp_path: Path) -> None:
    arguments = write_amazon(tmp_path, [json.dumps(review) for review in REVIEWS] * 4000)
    line = command("prepare", "amazon", *arguments, "--out", tmp_path / "data")
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list(tmp_path.glob(".data*")):
            time.sleep(0.05)  # until it has begun
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert {path.name for path in tmp_path.iterdir()} == {"reviews.json", "meta.json"}


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    """A file size limit stands for the full disk: writing fails in the same place."""
    arguments = write_amazon(tmp_path)
    prepare = f"'{sys.executable}' -m dien prepare amazon {' '.join(arguments)} --out '{tmp_path}/data'"
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 4; exec {prepare}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "could not be written" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"reviews.json", "meta.json"}
