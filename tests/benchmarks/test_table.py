import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import table  # noqa: E402

sys.path.remove(str(BENCHMARKS))

from tests.cli.running import dien  # noqa: E402

LOG = ["synthetic", "--users", "60", "--items", "30", "--days", "20", "--per-day", "1"]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Run the commands of dien here, which is quick."""

    def run(command, check):
        assert command[: len(table.DIEN)] == table.DIEN
        done = dien(*command[len(table.DIEN) :])
        print(done.stderr, file=sys.stderr)
        if done.returncode and check:
            raise subprocess.CalledProcessError(done.returncode, command)

    monkeypatch.setattr(table, "subprocess", SimpleNamespace(run=run))


def make_table(monkeypatch, out, prepare, *options):
    """Run the command as from a shell, but for its own process."""
    monkeypatch.setattr(sys, "argv", ["table.py", *options, "--out", str(out), "--", *prepare])
    table.main()


def files(out):
    return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


def test_a_table_is_made_gone_on_with_and_not_taken_for_that_of_other_data(tmp_path, monkeypatch):
    out, config = tmp_path / "out", tmp_path / "c.yaml"
    config.write_text("training: {epochs: 1}\nmodel: {embedding_size: 4}\n")
    options = "--models", "sum-pooling", "--config", str(config), "--jobs", "1"
    make_table(monkeypatch, out, LOG, *options)
    (run,) = json.loads((out / "table/comparison.json").read_text())["runs"]
    assert (run["status"], run["epochs"]) == ("done", 1)
    assert run["data"] == str((out / "data-0").resolve())
    made = files(out)

    with pytest.raises(SystemExit, match=r"--users 60 .*, not .*--users 61 .*choose another --out"):
        make_table(monkeypatch, out, ["synthetic", "--users", "61", *LOG[3:]], *options)
    assert files(out) == made

    left = []
    monkeypatch.setattr(table, "run", lambda *command: left.append(command[:2]))
    make_table(monkeypatch, out, LOG, *options)
    assert left == [("compare", out / "data-0")]
    assert files(out) == made


@pytest.fixture
def prepared(monkeypatch):
    """What dien prepare is given; nothing is run."""
    given = []
    monkeypatch.setattr(table, "run", lambda *command: given.append(command))
    return given


def test_data_of_unknown_preparation_are_refused_with_what_would_adopt_them(tmp_path, monkeypatch, prepared):
    (tmp_path / "data-0").mkdir()
    with pytest.raises(SystemExit, match="has DATA, and no prepare") as refusal:
        make_table(monkeypatch, tmp_path, LOG)
    assert [path.name for path in tmp_path.iterdir()] == ["data-0"]
    (tmp_path / "prepare.json").write_text(str(refusal.value).partition("prepare.json: ")[2])
    make_table(monkeypatch, tmp_path, LOG)
    assert [words[0] for words in prepared] == ["compare"]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (["--seed", "3"], "say with --data how many"),
        (["--seed=3"], "say with --data how many"),
        (["--out", "x"], "OUT is named before the --; its DATA are OUT/data-SEED"),
        (["--append=x"], "each prepared whole; leave it out"),
    ],
)
def test_what_is_not_for_dien_prepare_here_is_refused_and_said_where_it_belongs(
    tmp_path, monkeypatch, prepared, capsys, own, expected
):
    with pytest.raises(SystemExit):
        make_table(monkeypatch, tmp_path, [*LOG, *own])
    errors = capsys.readouterr().err
    assert f"{own[0].partition('=')[0]} is not for dien prepare here: " in errors
    assert expected in errors
    assert not prepared
    assert not list(tmp_path.iterdir())


def test_arguments_with_which_no_data_came_about_can_be_mended(tmp_path, monkeypatch):
    with pytest.raises(subprocess.CalledProcessError):
        make_table(monkeypatch, tmp_path, [*LOG, "--per-dya", "2"])
    commands = []
    monkeypatch.setattr(table, "run", lambda *command: commands.append(command))
    make_table(monkeypatch, tmp_path, LOG)
    assert commands[0] == ("prepare", *LOG, "--seed", 0, "--out", tmp_path / "data-0")
    (tmp_path / "data-0").mkdir()
    make_table(monkeypatch, tmp_path, LOG)  # which is what is there now
    with pytest.raises(SystemExit, match="the DATA there are prepared with"):
        make_table(monkeypatch, tmp_path, [*LOG, "--per-dya", "2"])


def test_data_of_files_that_have_changed_are_not_put_into_one_table(tmp_path, monkeypatch, capfd):
    log, run = tmp_path / "log", table.run
    log.mkdir()
    events = [f"u{k % 7},i{k % 5},{k}\n" for k in range(200)]
    (log / "1.csv").write_text("user,item,time\n" + "".join(events))
    prepare = ["table", "--interactions", str(log / "*.csv"), "--warmup", "0"]
    monkeypatch.setattr(table, "run", lambda *command: command[0] == "prepare" and run(*command))
    make_table(monkeypatch, log / "out", prepare)
    made = files(log / "out")
    (log / "1.csv").write_text("user,item,time\n" + "".join(events[1:]))
    monkeypatch.setattr(table, "run", run)
    with pytest.raises(subprocess.CalledProcessError):
        make_table(monkeypatch, log / "out", prepare, "--data", "2", "--models", "sum-pooling")
    assert "data-1: sources is " in capfd.readouterr().err
    assert not (log / "out/table").exists()
    assert made.items() <= files(log / "out").items()
