"""One writer at a time, the other is told who it is, and a lock ends with its process."""

import errno
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

from dien import lock
from dien.errors import DataError
from dien.lock import hidden_beside, locked

posix = pytest.mark.skipif(os.name != "posix", reason="signals")

HOLD = """
import sys, time
from pathlib import Path
from dien.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    """Start a process that has the lock of a path until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_second_process_is_told_which_one_is_at_work_and_may_follow_it(tmp_path: Path) -> None:
    with holder(tmp_path / "data") as other:
        with pytest.raises(DataError) as error, locked(tmp_path / "data", DataError):
            pass
        assert f"{tmp_path / 'data'}: another process is at work here (process {other.pid} on " in str(
            error.value
        )
        assert ", since 20" in str(error.value)
        other.communicate("")
    with locked(tmp_path / "data") as holds:
        assert holds
        assert names(tmp_path) == [".data.lock"]
    assert names(tmp_path) == []


@posix
def test_the_lock_of_a_killed_process_is_free_and_its_file_goes_with_the_next(tmp_path: Path) -> None:
    with holder(tmp_path / "data") as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert names(tmp_path) == [".data.lock"]
    with locked(tmp_path / "data"):
        pass
    assert names(tmp_path) == []


def test_whoever_waits_comes_next(tmp_path: Path) -> None:
    with holder(tmp_path / "data") as other:
        assert other.stdin is not None
        other.stdin.close()
        with locked(tmp_path / "data", wait=60) as holds:
            assert holds


def test_a_link_and_what_it_names_have_one_lock(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with (
        locked(tmp_path / "data"),
        pytest.raises(DataError, match="at work"),
        locked(tmp_path / "link", DataError),
    ):
        pass


def test_two_folders_do_not_wait_for_each_other_however_long_their_names(tmp_path: Path) -> None:
    one, other = tmp_path / ("x" * 254 + "a"), tmp_path / ("x" * 254 + "b")
    with locked(one), locked(other):
        assert len(names(tmp_path)) == 2
    assert len(hidden_beside(tmp_path / ("é" * 120), ".lock").name.encode()) < 130


@posix
def test_a_child_that_ends_leaves_the_lock_with_its_parent(tmp_path: Path) -> None:
    with locked(tmp_path / "data"):
        if (child := os.fork()) == 0:
            try:
                with locked(tmp_path / "data"):
                    os._exit(1)
            except Exception:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with pytest.raises(DataError), locked(tmp_path / "data", DataError):
            pass


@pytest.mark.parametrize("there", ["link", "pipe", "folder"])
def test_what_stands_in_the_place_of_the_lock_is_refused_and_stays(tmp_path: Path, there: str) -> None:
    (tmp_path / "precious").write_text("kept")
    place = tmp_path / ".data.lock"
    if there == "link":
        place.symlink_to(tmp_path / "precious")
    elif there == "pipe":
        os.mkfifo(place)
    else:
        place.mkdir()
    with pytest.raises(DataError, match="data: cannot be written"), locked(tmp_path / "data", DataError):
        pass
    assert (tmp_path / "precious").read_text() == "kept"
    assert names(tmp_path) == [".data.lock", "precious"]


def test_a_folder_beside_which_nothing_can_be_made_is_locked_from_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()

    def refuse(path: Path, flags: int, real=lock.open_unfollowed) -> int:
        if path.parent == tmp_path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags)

    monkeypatch.setattr(lock, "open_unfollowed", refuse)
    with locked(tmp_path / "data", DataError):
        assert names(tmp_path / "data") == [".lock"]
        with pytest.raises(DataError, match="at work here \\(process"), locked(tmp_path / "data", DataError):
            pass
    assert names(tmp_path / "data") == []
    with pytest.raises(DataError, match="new: cannot be written"), locked(tmp_path / "new", DataError):
        pass


def test_a_file_system_without_locks_is_named_and_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(handle: int) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "take", none)
    with pytest.warns(UserWarning, match="has no locks"), locked(tmp_path / "data") as holds:
        assert not holds
    assert names(tmp_path) == []


def test_a_lock_whose_file_cannot_be_removed_is_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "no")

    with locked(tmp_path / "data"):
        monkeypatch.setattr(Path, "unlink", refused)
    monkeypatch.undo()
    with locked(tmp_path / "data") as holds:
        assert holds
    assert not names(tmp_path)


def test_on_windows_a_byte_beyond_the_text_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def locking(handle: int, mode: int, size: int) -> None:
        assert os.lseek(handle, 0, os.SEEK_CUR) > 1000
        fcntl.flock(handle, mode)

    windows = types.SimpleNamespace(locking=locking, LK_NBLCK=fcntl.LOCK_EX | fcntl.LOCK_NB)
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    monkeypatch.setattr(sys, "platform", "win32")
    with locked(tmp_path / "data", DataError):
        with pytest.raises(DataError, match="at work"), locked(tmp_path / "data", DataError):
            pass
        assert (tmp_path / ".data.lock").stat().st_size < 1000
    assert names(tmp_path) == []
