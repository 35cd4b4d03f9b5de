"""--json of every command: one object on standard output and nothing else there, nothing of a failing one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import COMMANDS, WORKS
from tests.cli.running import dien

FAILS = {
    "prepare amazon": "--reviews none --meta none --out {out}",
    "prepare movielens-100k": "--out {data}",
    "prepare movielens-1m": "--out {data}",
    "prepare complete-journey": "--out {data}",
    "prepare table": "--interactions {log} --label clicked --out {out}",
    "prepare recbole": "none --out {out}",
    "prepare synthetic": "--users 60 --items 20 --days 4 --out {data}",
    "schema infer": "none.csv",
    "schema check": "none.yaml --interactions {log}",
    "inspect": "none",
    "train": "{data} --model dein --out {out}",
    "evaluate": "none",
    "score": "{run} none.jsonl --out {out}.jsonl",
    "explain": "none --user 1",
    "explore": "none",
    "serve": "none",
    "publish": "none --to {out}",
    "rollback": "none",
    "store load": "{data} --store sqlite:{out}",
    "export": "none --out {out}",
    "compare": "{data} --models dein --out {out}",
    "tune": "{data} --model dein --trials 1 --out {out}",
    "bench": "--shape none",
    "bench serve": "none",
    "convert-recbole": "none.pth --trust --out {out}",
}


def test_every_command_is_tried() -> None:
    commands = {" ".join(command) for command in COMMANDS}
    assert set(FAILS) == commands - {"schema list"}  # which takes nothing that could be wrong
    # One needs RecBole: tests/recbole. The others end with a signal: test_explore.py, tests/serving/http.
    assert set(WORKS) == commands - {"convert-recbole", "explore", "serve"}


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
