import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import table  # noqa: E402

sys.path.remove(str(BENCHMARKS))

LOG = ["synthetic", "--users", "60", "--items", "30", "--days", "20", "--per-day", "1"]


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


@pytest.mark.parametrize("own", [["--seed", "3"], ["--seed=3"], ["--out", "x"]])
def test_what_the_command_gives_dien_prepare_itself_is_refused(tmp_path, monkeypatch, prepared, capsys, own):
    with pytest.raises(SystemExit):
        make_table(monkeypatch, tmp_path, [*LOG, *own])
    assert f"{own[0].partition('=')[0]} of dien prepare is given here" in capsys.readouterr().err
    assert not prepared
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["{}", "--interactions={}"])
def test_files_that_are_not_what_they_were_are_refused_by_name(tmp_path, monkeypatch, prepared, form):
    log = tmp_path / "log"
    (log / "days").mkdir(parents=True)
    (log / "days/1.csv").write_text("user,item\n")
    prepare = ["table", form.format(log), "--warmup", "0"]
    make_table(monkeypatch, tmp_path / "out", prepare)
    make_table(monkeypatch, tmp_path / "out", prepare)
    (log / "days/1.csv").write_text("user,item,time\n")
    with pytest.raises(SystemExit, match=r"prepared with files.*1\.csv '.{64}', not '.{64}'"):
        make_table(monkeypatch, tmp_path / "out", prepare)
