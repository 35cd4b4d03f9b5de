"""The command that scores: requests, a split or pairs; what does not go together is said in a sentence."""

import json
from pathlib import Path

import pytest

from dien.run import Run
from tests.cli.running import dien, ok


def test_a_split_and_pairs_are_scored_from_the_command_line(small_run: Run, tmp_path: Path) -> None:
    found = ok("score", small_run.path, "--split", "test", "--out", tmp_path / "split.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "split.jsonl").read_text().splitlines()]
    assert found["requests"] == len(rows) > 0
    pairs = "".join(f"{row['user']},{item},{row['time']}\n" for row in rows for item in row["candidates"])
    (tmp_path / "pairs.csv").write_text("user,item,time\n" + pairs)
    data = small_run.info.data
    done = dien(
        *("score", small_run.path, "--pairs", tmp_path / "pairs.csv", "--data", data),
        *("--out", tmp_path / "pairs.jsonl"),
    )
    assert done.returncode == 0, done.stderr
    assert f"pairs {found['candidates']:,}" in " ".join(done.stdout.split())
    assert "missing context hour" in " ".join(done.stdout.split())


def test_values_that_are_not_known_are_printed(small_run: Run, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"user": "u1", "item": "1", "hour": "25"}\n' * 2)
    done = dien("score", small_run.path, "--pairs", pairs, "--out", tmp_path / "s.jsonl")
    assert "unknown values of hour 2" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "found nothing to score; give one of REQUESTS, --split and --pairs"),
        ("{file} --split test", "found REQUESTS and --split; give one of"),
        ("--split test --pairs {file}", "found --split and --pairs; give one of"),
        ("{file} --data {data}", "--data is of --split and --pairs; for REQUESTS"),
        ("--split test --catalogue {data}", "--catalogue is of REQUESTS; with --split give --data"),
    ],
)
def test_what_does_not_go_together_is_said_in_a_sentence(
    arguments: str, said: str, small_run: Run, tmp_path: Path
) -> None:
    given = arguments.format(file=tmp_path / "r.jsonl", data=small_run.info.data).split()
    done = dien("score", small_run.path, *given, "--out", tmp_path / "s.jsonl")
    assert done.returncode == 2
    assert said in done.message


def test_pairs_in_place_of_requests_are_refused_with_the_option(small_run: Run, tmp_path: Path) -> None:
    for name, text in (("p.jsonl", '{"user": 1, "item": 2}\n'), ("p.csv", "user,item,time\n1,2,3\n")):
        (tmp_path / name).write_text(text)
        done = dien("score", small_run.path, tmp_path / name, "--out", tmp_path / "s.jsonl")
        assert done.returncode == 1
        assert "score them by --pairs" in done.message


def test_a_base_rate_holds_for_requests_a_split_and_pairs(small_run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"user": "u1", "history": [], "candidates": ["1"], "hour": "3"}\n')
    (tmp_path / "p.jsonl").write_text('{"user": "nobody", "item": "1", "hour": "3"}\n')
    for what in ([tmp_path / "r.jsonl"], ["--split", "test"], ["--pairs", tmp_path / "p.jsonl"]):
        found = []
        for rate in ([], ["--base-rate", "0.01"]):
            said = ok("score", small_run.path, *what, *rate, "--out", tmp_path / "s.jsonl")
            assert said.get("base_rate") == (0.01 if rate else None)
            row = json.loads((tmp_path / "s.jsonl").read_text().splitlines()[0])
            found.append(row["score"] if "score" in row else row["scores"][0])
        assert found[1] < found[0] / 5


def test_jobs_and_resume_are_options_and_the_scores_stay_the_same(small_run: Run, tmp_path: Path) -> None:
    for name, more in (("one", []), ("two", ["--jobs", "2", "--resume"])):
        ok("score", small_run.path, "--split", "test", "--out", tmp_path / f"{name}.csv", *more)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    done = dien("score", small_run.path, "--split", "test", "--out", tmp_path / "s.csv", "--jobs", "0")
    assert done.returncode == 2
