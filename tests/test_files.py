"""Files that are written beside their place and renamed into it."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from dien import files
from dien.errors import DienError
from dien.files import is_unfinished, remove_unfinished, replacing, sync, write_text


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_text_file_is_written_with_its_line_ends_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one\r\ntwo\n")
    assert (tmp_path / "a.txt").read_bytes() == b"one\r\ntwo\n"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_keeps_its_content_when_writing_it_anew_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with suppress(KeyboardInterrupt), replacing(path) as new:
        new.write_text("half of what")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


def test_a_link_under_the_temporary_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "precious").write_text("kept")
    monkeypatch.setattr(files, "_numbers", iter([7, 7]))
    with replacing(tmp_path / "a.txt") as new:
        guessed = new
    guessed.symlink_to(tmp_path / "precious")
    with pytest.raises(DienError, match=r"a.txt: could not be written \(File exists\)"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "precious").read_text() == "kept"


@pytest.mark.skipif(os.name != "posix", reason="there are no such rights")
def test_a_file_for_its_owner_alone_is_so_before_anything_is_written(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.txt", 0o600) as new:
        assert new.stat().st_mode & 0o077 == 0
    assert (tmp_path / "a.txt").stat().st_mode & 0o077 == 0


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as last:
        last.write_text("whole")
        with replacing(path) as first:
            first.write_text("whole as well")
        assert path.read_text() == "whole as well"
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["a.txt"]


def test_a_link_stays_and_the_file_that_it_names_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a.txt")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "new"
    assert names(tmp_path / "real") == ["a.txt"]


def test_a_pipe_in_the_place_of_a_file_is_an_error_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DienError, match=r"it is a device or a pipe\); choose the path of a file"):
        write_text(tmp_path / "pipe", "")
    assert (tmp_path / "pipe").is_fifo()
    assert names(tmp_path) == ["pipe"]


def test_what_a_killed_process_has_left_is_recognised_and_removed_and_nothing_else_is(tmp_path: Path) -> None:
    left = replacing(tmp_path / ("long name " * 9))
    assert is_unfinished(left.__enter__())
    for name in ("a.new", ".hidden", "b.txt"):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    assert names(tmp_path) == [".hidden", "a.new", "b.txt"]


@pytest.mark.skipif(os.name != "posix", reason="Windows locks no file that others write")
def test_what_a_killed_process_left_of_a_file_goes_when_the_file_is_written_again_and_nothing_else_does(
    tmp_path: Path,
) -> None:
    if (child := os.fork()) == 0:
        with replacing(tmp_path / "a.txt"):
            os._exit(0)
    os.waitpid(child, 0)
    (left,) = names(tmp_path)
    kept = [".a.txt.1-x.new", ".b.txt.1-1.new", "a.txt.1-1.new"]
    for name in kept:
        (tmp_path / name).touch()
    with pytest.warns(UserWarning, match=f"{left}: removed; a process that was killed had left it"):
        write_text(tmp_path / "a.txt", "")
    assert names(tmp_path) == sorted([*kept, "a.txt"])


def test_the_text_of_a_file_reaches_the_disk_before_its_name_and_the_name_before_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[object] = []
    replace = Path.replace

    def watched(path: Path, target: Path) -> Path:
        happened.append("renamed")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", watched)
    monkeypatch.setattr(os, "fsync", lambda handle: happened.append(os.fstat(handle).st_ino))
    write_text(tmp_path / "a.txt", "text")
    assert happened == [(tmp_path / "a.txt").stat().st_ino, "renamed", tmp_path.stat().st_ino]


def test_a_folder_that_cannot_be_synced_is_no_error_and_a_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").touch()

    def as_windows(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", as_windows)
    sync(tmp_path)
    with pytest.raises(PermissionError):
        sync(tmp_path / "a")


def test_a_file_has_the_permissions_that_the_process_gives_to_new_files(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "")
    (tmp_path / "b.txt").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("missing/a.txt", "make its folder first"), ("x" * 300, "choose a shorter name")],
)
def test_a_file_that_cannot_be_written_is_named_with_what_helps(
    tmp_path: Path, name: str, remedy: str
) -> None:
    with pytest.raises(DienError, match=remedy) as error:
        write_text(tmp_path / name, "")
    assert str(tmp_path / name) in str(error.value)
    assert "--resume" not in str(error.value)


def test_a_folder_in_the_place_of_a_file_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DienError, match="a folder has this name"):
        write_text(tmp_path / "a", "")
    assert names(tmp_path) == ["a"]
