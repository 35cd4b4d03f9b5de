"""``dien publish`` and ``dien rollback``: what they print, and their exit codes."""

import json
from pathlib import Path

import pytest

from dien.run import Run
from tests.cli.running import dien, ok
from tests.serving.publish.putting import changed


@pytest.fixture(scope="module")
def other(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return changed(small_run.path, tmp_path_factory.mktemp("other") / "run", 0.5)


def test_publish_prints_what_it_found_and_rollback_where_it_went(
    small_run: Run, other: Path, tmp_path: Path
) -> None:
    shop, requests = tmp_path / "shop", tmp_path / "requests.jsonl"
    requests.write_text(
        '{"user": "u1", "history": ["1"], "candidates": ["2", "3"], "times": [1], "time": 2}\n'
    )
    first = ok("publish", small_run.path, "--to", shop)
    assert first["published"] is True
    assert first["before"] is None
    done = dien("publish", other, "--to", shop, "--margin", "1", "--requests", requests)
    assert done.returncode == 0, done.stderr
    for said in (
        "AUC of the new model",
        "AUC of the current model",
        "difference",
        "mean difference of scores",
    ):
        assert said in done.stdout
    assert done.stdout.splitlines()[-1] == f"published: {other} in {shop}"
    assert dien("publish", other, "--to", shop).stdout.splitlines()[-1].startswith("nothing to do: ")

    listed = dien("rollback", shop, "--list").stdout
    assert listed.index("current") < listed.index("before")  # the newest first
    assert ok("rollback", shop, "--list")["version"] == Run.open(other).version
    back = ok("rollback", shop)
    assert back["version"] == first["version"]
    assert back["rolled_back"] == Run.open(other).version
    again = dien("rollback", shop)
    assert again.returncode == 1
    assert "no model was current before" in again.stderr
    assert ok("rollback", shop, "--to", back["rolled_back"])["version"] == back["rolled_back"]
    assert dien("rollback", shop, "--to", "x", "--list").returncode == 2


def test_a_refusal_has_exit_code_1_the_reason_and_the_figures(
    small_run: Run, other: Path, tmp_path: Path
) -> None:
    shop, requests = tmp_path / "shop", tmp_path / "requests.jsonl"
    requests.write_text('{"user": "u1", "history": ["1"], "candidates": ["2"], "device": "phone"}\n')
    ok("publish", small_run.path, "--to", shop)
    done = dien("publish", other, "--to", shop, "--margin", "1", "--requests", requests, "--json")
    assert done.returncode == 1
    assert "1 of 1 requests of" in done.message
    assert "line 1: device" in done.message
    found = json.loads(done.stdout)
    assert found["published"] is False
    assert found["gate"]["drift"]["refused"] == 1
    assert ok("rollback", shop, "--list")["version"] == small_run.version
    forced = dien("publish", other, "--to", shop, "--margin", "1", "--requests", requests, "--force")
    assert forced.returncode == 0
    assert "refused by the gate: 1 of 1 requests" in " ".join(forced.stdout.split())
    assert forced.stdout.splitlines()[-1].startswith("published (forced): ")


def test_a_command_for_a_run_names_the_run_folder_of_a_folder_of_published_models(
    small_run: Run, tmp_path: Path
) -> None:
    ok("publish", small_run.path, "--to", tmp_path / "shop")
    done = dien("evaluate", tmp_path / "shop")
    assert done.returncode == 1
    assert f"the run folder of the current one is {(tmp_path / 'shop').resolve() / 'models'}" in done.stderr


@pytest.mark.parametrize(
    "wrong", [("--margin", "-1"), ("--margin", "nan"), ("--most-drift", "x"), ("--keep", "0")]
)
def test_a_limit_that_is_none_is_wrong_usage(wrong: tuple[str, str], small_run: Run, tmp_path: Path) -> None:
    assert dien("publish", small_run.path, "--to", tmp_path / "shop", *wrong).returncode == 2
