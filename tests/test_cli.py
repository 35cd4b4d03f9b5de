"""The commands from outside: exit codes, one JSON object, errors that say how to mend them."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dien.config import MODELS
from dien.data.dataset import Dataset
from dien.run import Run

REVIEWS = [
    {"reviewerID": f"u{user}", "asin": f"i{(user * 7 + step) % 30}", "unixReviewTime": 86400 * step}
    for user in range(200)
    for step in range(2 + user % 5)
]
META = [f"{{'asin': 'i{item}', 'categories': [['Shop', 'Kind {item % 4}']]}}" for item in range(30)]


def dien(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dien", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def ok(*arguments: object) -> dict[str, Any]:
    """Run a command with --json and return its one object."""
    done = dien(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def write_amazon(folder: Path, reviews: list[str] | None = None) -> tuple[str, ...]:
    (folder / "reviews.json").write_text("\n".join(reviews or [json.dumps(r) for r in REVIEWS]) + "\n")
    (folder / "meta.json").write_text("\n".join(META) + "\n")
    return "--reviews", str(folder / "reviews.json"), "--meta", str(folder / "meta.json")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("amazon")
    ok("prepare", "amazon", *write_amazon(folder), "--out", folder / "data")
    return folder / "data"


def test_the_whole_way_from_reviews_to_scores(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained = ok("train", data, "--model", "dien", "--out", run, "--set", "training.epochs=1")
    assert trained["run"] == str(run)
    evaluated = ok("evaluate", run)
    assert 0 <= evaluated["auc"] <= 1
    assert evaluated["rows"] == Dataset.open(data).info.sizes.splits["test"].rows
    slices = ok("evaluate", run, "--slices")["slices"]
    assert sum(part["rows"] for name, part in slices.items() if name.startswith("item")) == evaluated["rows"]
    printed = dien("evaluate", run, "--slices").stdout
    assert all(name in printed for name in slices)
    assert f"rows {evaluated['rows']}" in " ".join(printed.replace(",", "").split())
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"user": "u1", "history": ["i1"], "candidates": ["i2", "i3"]}\n')
    scored = ok("score", run, requests, "--out", tmp_path / "scores.jsonl")
    assert (scored["requests"], scored["candidates"]) == (1, 2)
    assert len(json.loads((tmp_path / "scores.jsonl").read_text())["scores"]) == 2


@pytest.mark.parametrize("model", ["gru+agru", "dien:authors", "wide-deep", "rocket"])
def test_a_model_of_the_papers_tables_is_trained_by_its_name_and_scored(
    model: str, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    ok("train", data, "--model", model, "--out", run, "--set", "training.epochs=1")
    assert Run.open(run).config.model == MODELS[model]
    assert 0 <= ok("evaluate", run)["auc"] <= 1


def test_without_json_a_command_prints_a_table_and_where_the_result_lies(data: Path) -> None:
    done = dien("prepare", "amazon", *write_amazon(data.parent), "--out", data.parent / "other")
    assert done.returncode == 0, done.stderr
    assert "train rows" in done.stdout
    assert done.stdout.strip().endswith(f"dataset folder: {data.parent / 'other'}")


def test_the_same_command_writes_the_same_bytes(data: Path) -> None:
    again = data.parent / "again"
    ok("prepare", "amazon", *write_amazon(data.parent), "--out", again)
    files = sorted(path.relative_to(data) for path in data.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for file in files:
        assert (data / file).read_bytes() == (again / file).read_bytes(), file


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("train",),
        ("evaluate", "run", "--split", "all"),
        ("prepare", "amazon", "--out", "x"),
        ("prepare", "complete-journey", "--out", "x", "--targets", "all"),
        ("prepare", "complete-journey", "--out", "x", "--recipe", "paper", "--negatives", "2"),
        ("prepare", "complete-journey", "--out", "x", "--valid-from", "yesterday"),
    ],
)
def test_wrong_usage_exits_with_2_and_prints_nothing_on_standard_output(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = dien(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert not list(tmp_path.iterdir())


BAD_LOGS = {
    "no JSON": ([*map(json.dumps, REVIEWS[:3]), "{"], r"reviews.json:4: "),
    "no asin": (['{"reviewerID": "u", "unixReviewTime": 1}'], r"reviews.json:1: .*asin"),
    "negative time": (
        [json.dumps(REVIEWS[0]), '{"reviewerID": "u", "asin": "i", "unixReviewTime": -1}'],
        r"reviews.json:2: .*unixReviewTime",
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


def test_data_that_exists_is_left_alone(data: Path) -> None:
    before = (data / "dataset.json").read_bytes()
    done = dien("prepare", "amazon", *write_amazon(data.parent), "--out", data)
    assert done.returncode == 1
    assert "exists already" in done.stderr
    assert (data / "dataset.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "nowhere", "--out", "run"), "nowhere"),
        (("train", "{data}", "--out", "run", "--model", "dein"), "unknown model 'dein'"),
        (("train", "{data}", "--out", "run", "--set", "model.hidden=3"), "hidden"),
        (("train", "{data}", "--out", "run", "--set", "training.epochs"), "key=value"),
        (("train", "{data}", "--out", "run", "--config", "none.yaml"), "none.yaml"),
        (("evaluate", "nowhere"), "nowhere"),
        (("score", "nowhere", "r.jsonl", "--out", "s.jsonl"), "nowhere"),
    ],
)
def test_what_cannot_be_used_is_named_without_a_traceback(
    data: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = dien(*(a.format(data=data) for a in arguments), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_a_run_is_not_trained_over(data: Path, small_run: Run) -> None:
    done = dien("train", data, "--out", small_run.path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_control_c_leaves_no_data_behind(tmp_path: Path) -> None:
    many = [json.dumps(review) for review in REVIEWS] * 4000
    arguments = write_amazon(tmp_path, many)
    command = [sys.executable, "-m", "dien", "prepare", "amazon", *arguments, "--out", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list(tmp_path.glob(".data*")):
            time.sleep(0.05)  # until it has begun
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert {path.name for path in tmp_path.iterdir()} == {"reviews.json", "meta.json"}


def test_a_full_disk_is_reported_and_leaves_nothing(data: Path, tmp_path: Path) -> None:
    """A file size limit stands for the full disk: writing fails in the same place."""
    arguments = write_amazon(tmp_path)
    prepare = f"'{sys.executable}' -m dien prepare amazon {' '.join(arguments)} --out '{tmp_path}/data'"
    command = f"ulimit -f 4; exec {prepare}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "could not be written" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"reviews.json", "meta.json"}


@pytest.mark.parametrize("command", ["amazon", "table"])
def test_help_says_which_recipe_or_split_an_option_is_of(command: str) -> None:
    shown = dien("prepare", command, "--help").stdout
    words = {"amazon": ("[paper]", "[temporal]"), "table": ("[time]", "[no label]")}[command]
    assert all(word in shown for word in words)
