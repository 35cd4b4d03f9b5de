"""--json of every command: one object on standard output and nothing else there, nothing of a failing one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dien.bench import SHAPES, Shape, subject
from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.sources import complete_journey, movielens
from dien.run import Run
from tests.cli.amazon import write_amazon
from tests.cli.commands import COMMANDS
from tests.cli.running import dien

SMALL = "--set model.hidden_size=4 --set model.max_history=5 --set training.epochs=1"
INTER = "user_id:token\titem_id:token\tlabel:float\ttimestamp:float\n"

# Each command by what it prints where, then its last words; {} is replaced by what the fixture has.
WORKS = {
    "prepare amazon": "{amazon} --out {out}",
    "prepare movielens-100k": "--out {out}",
    "prepare movielens-1m": "--out {out}",
    "prepare complete-journey": "--out {out}",
    "prepare table": "--interactions {log} --out {out}",
    "prepare recbole": "{atomic} --out {out}",
    "prepare synthetic": "--users 60 --items 20 --days 4 --out {out}",
    "schema infer": "{log}",
    "inspect": "{data}",
    "train": f"{{data}} {SMALL} --out {{out}}",
    "evaluate": "{run} --slices",
    "score": "{run} {requests} --out {out}.jsonl",
    "compare": "{data} --models sum-pooling --set training.epochs=1 --out {out}",
    "tune": "{data} --model sum-pooling --trials 1 --set training.epochs=1 --out {out}",
    "bench": "--shape mean-15 --rounds 1",
}
FAILS = {
    "prepare amazon": "--reviews none --meta none --out {out}",
    "prepare movielens-100k": "--out {data}",
    "prepare movielens-1m": "--out {data}",
    "prepare complete-journey": "--out {data}",
    "prepare table": "--interactions {log} --label clicked --out {out}",
    "prepare recbole": "none --out {out}",
    "prepare synthetic": "--users 60 --items 20 --days 4 --out {data}",
    "schema infer": "none.csv",
    "inspect": "none",
    "train": "{data} --model dein --out {out}",
    "evaluate": "none",
    "score": "{run} none.jsonl --out {out}.jsonl",
    "compare": "{data} --models dein --out {out}",
    "tune": "{data} --model dein --trials 1 --out {out}",
    "bench": "--shape none",
    "convert-recbole": "none.pth --trust --out {out}",
}


@pytest.fixture
def fill(
    small_log: Log, small_data: Dataset, small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], list[str]]:
    """Put paths in place of the names in braces; nothing is fetched and nothing large is measured."""
    monkeypatch.setattr(complete_journey, "read", lambda: small_log)
    monkeypatch.setattr(movielens, "read", lambda edition, cache, on_terms: small_log)
    monkeypatch.setitem(SHAPES, "mean-15", Shape("16 rows", 16, mean=15))
    monkeypatch.setattr(subject, "LEAST", 0.001)
    events = small_log.events
    events.write_csv(tmp_path / "log.csv")
    atomic = tmp_path / "atomic"
    atomic.mkdir()
    lines = [f"{user}\t{item}\t{time % 2}\t{time}\n" for user, item, time, _ in events.iter_rows()]
    (atomic / "atomic.inter").write_text(INTER + "".join(lines))
    (tmp_path / "requests.jsonl").write_text('{"user": "u1", "history": ["1"], "candidates": ["2", "3"]}\n')
    paths = {
        "amazon": " ".join(write_amazon(tmp_path)),
        "log": tmp_path / "log.csv",
        "atomic": atomic,
        "requests": tmp_path / "requests.jsonl",
        "data": small_data.path,
        "run": small_run.path,
        "out": tmp_path / "out",
    }
    return lambda arguments: arguments.format(**paths).split()


def test_every_command_is_tried() -> None:
    commands = {" ".join(command) for command in COMMANDS}
    assert set(FAILS) == commands
    assert set(WORKS) == commands - {"convert-recbole"}  # needs RecBole: tests/recbole


@pytest.mark.parametrize("command", WORKS)
def test_with_json_a_command_prints_one_object(command: str, fill: Callable[[str], list[str]]) -> None:
    done = dien(*command.split(), *fill(WORKS[command]), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert isinstance(found, dict)
    assert found
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", FAILS)
def test_a_failing_command_says_why_on_standard_error_and_prints_no_object(
    command: str, fill: Callable[[str], list[str]]
) -> None:
    done = dien(*command.split(), *fill(FAILS[command]), "--json")
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.splitlines()[-1].startswith("error: ")


def test_the_draft_of_a_schema_is_in_its_object(fill: Callable[[str], list[str]], tmp_path: Path) -> None:
    printed = dien("schema", "infer", *fill("{log}")).stdout
    drafted: dict[str, Any] = json.loads(dien("schema", "infer", *fill("{log}"), "--json").stdout)
    assert drafted["file"] is None
    assert drafted["text"] == printed
    assert drafted["schema"]["interactions"] == {"user": "user", "item": "item", "time": "time"}
    out = tmp_path / "schema.yaml"
    drafted = json.loads(dien("schema", "infer", *fill("{log}"), "--out", out, "--json").stdout)
    assert drafted["file"] == str(out)
    assert out.read_text() == printed
