"""Names as people and programs give them to folders: printed as they are, or refused with a sentence."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import command, dien

_LOG = "user,item,time\n" + "".join(f"u{k % 5},i{k % 7},{1_700_000_000 + k * 60}\n" for k in range(60))


@pytest.mark.parametrize("name", ["data[v2]", "x[/red]", "[link=a]b", ":smile:", "a\x1b[31mb", "a\u202eb"])
def test_a_name_is_printed_as_it_is_or_written_out_where_a_terminal_would_obey_it(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "log.csv").write_text(_LOG)
    out = tmp_path / name
    out.parent.mkdir(exist_ok=True, parents=True)
    done = dien("prepare", "table", "--interactions", tmp_path / "log.csv", "--out", out)
    assert done.returncode == 0, done.stderr
    shown = str(out).replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert done.stdout.splitlines()[-1] == f"dataset folder: {shown}"
    done = dien("prepare", "table", "--interactions", tmp_path / "log.csv", "--out", out)
    assert done.returncode == 1
    assert f"error: {shown}: " in done.stderr


def test_a_name_that_is_not_utf8_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    odd = Path(os.fsdecode(os.fsencode(folder) + b"/\xff.csv"))
    try:
        odd.write_text(_LOG)
    except OSError:
        pytest.skip("this system has no such names")
    for given, code, says in ((odd, 2, "a path in UTF-8"), (folder, 1, "the name is not UTF-8")):
        done = dien("prepare", "table", "--interactions", given, "--out", tmp_path / "data")
        assert done.returncode == code
        assert says in done.message


def test_standard_output_of_ascii_has_other_characters_written_out(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(_LOG)
    line = command("prepare", "table", "--interactions", tmp_path / "log.csv", "--out", tmp_path / "é")
    # A terminal of ASCII, while names of files are UTF-8.
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("/\\xe9")
