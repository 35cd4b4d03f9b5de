"""Folders that are made beside their place: what is under the name is whole, whatever killed whom."""

import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from dien import places
from dien.errors import DataError
from dien.places import claimed, owned, put_back

posix = pytest.mark.skipif(os.name != "posix", reason="signals")


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def put(path: Path, text: str, before: Callable[[Path], None] = lambda _: None) -> None:
    with claimed(path, DataError, replaces=True) as place, place.building() as new:
        (new / "inner").mkdir()
        (new / "inner" / "a").write_text(text)
        before(place.path)


def text(path: Path) -> str:
    return (path / "inner" / "a").read_text()


def killed(work: Callable[[], None]) -> None:
    """Do something in a child that has to kill itself on the way."""
    if (child := os.fork()) == 0:
        work()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def kill(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def without_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_exchange", lambda *_: False)


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_and_nothing_is_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        without_exchange(monkeypatch)
    for version in ("1", "2"):
        put(tmp_path / "deep" / "data", version)
        assert text(tmp_path / "deep" / "data") == version
    assert names(tmp_path / "deep") == ["data"]


def test_the_folder_is_under_its_name_at_every_moment_where_names_can_be_exchanged(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    (one / "a").touch()
    if not places._exchange(one, other):
        pytest.skip("this file system exchanges no names")
    assert (names(one), names(other)) == ([], ["a"])


@posix
@pytest.mark.parametrize("reader", [True, False])
def test_a_folder_that_was_moved_away_when_its_process_was_killed_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: bool
) -> None:
    put(tmp_path / "data", "old")
    without_exchange(monkeypatch)

    def rename(self: Path, target: Path, real=Path.rename) -> Path:
        if self.name == "new":
            kill()
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        killed(lambda: put(tmp_path / "data", "new"))
    assert not (tmp_path / "data").exists()
    with warnings.catch_warnings(record=True) as said:
        if reader:
            put_back(tmp_path / "data", DataError)
        else:
            put(tmp_path / "data", "newer")
    assert text(tmp_path / "data") == ("old" if reader else "newer")
    assert "put back as it was before a process was killed" in str(said[0].message)
    assert "removed; a process that was killed had left it" in str(said[1].message)
    assert names(tmp_path) == ["data"]


@posix
def test_what_a_killed_process_left_goes_with_the_next_and_with_a_word(tmp_path: Path) -> None:
    put(tmp_path / "data", "old")
    killed(lambda: put(tmp_path / "data", "new", kill))
    assert text(tmp_path / "data") == "old"
    left = set(names(tmp_path))
    kept = {"data", ".data.scratch", ".data.scratch.abc", ".data2.scratch.abcdefgh", "data.scratch.abcdefgh"}
    for name in kept - {"data"}:
        (tmp_path / name).mkdir()
    assert len(left) == 3
    with pytest.warns(UserWarning, match=r"\.data\.scratch\.[0-9a-f]{8}: removed; a process that was killed"):
        put(tmp_path / "data", "new")
    assert text(tmp_path / "data") == "new"
    assert set(names(tmp_path)) == kept


@posix
def test_whoever_owns_a_folder_tidies_up_and_keeps_others_from_it(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "data"
    killed(lambda: put(place, "new", kill))

    def found() -> list[str]:
        with owned(place, DataError):
            with pytest.raises(DataError, match="at work here"), owned(place, DataError):
                pass
            return names(place.parent)

    with pytest.warns(UserWarning, match="a process that was killed had left it"):
        assert found() == [".data.lock"]
    assert names(place.parent) == []


@posix
def test_a_folder_that_was_removed_after_it_was_replaced_does_not_come_back(tmp_path: Path) -> None:
    put(tmp_path / "data", "old")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "sync", lambda path: kill() if path == tmp_path else None)
        killed(lambda: put(tmp_path / "data", "new"))
    assert text(tmp_path / "data") == "new"
    for file in sorted((tmp_path / "data").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    (tmp_path / "data").rmdir()
    put_back(tmp_path / "data", DataError)
    assert not (tmp_path / "data").exists()


def test_a_folder_that_came_meanwhile_is_not_replaced_unasked(tmp_path: Path) -> None:
    def make() -> None:
        with claimed(tmp_path / "data", DataError) as place, place.building():
            (tmp_path / "data").mkdir()
            (tmp_path / "data" / "theirs").touch()

    with pytest.raises(OSError, match="not empty"):
        make()
    assert names(tmp_path) == ["data"]
    assert names(tmp_path / "data") == ["theirs"]


def test_a_link_stays_and_the_folder_that_it_names_is_replaced(tmp_path: Path) -> None:
    put(tmp_path / "disk" / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "real")
    put(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert text(tmp_path / "disk" / "real") == "new"
    assert names(tmp_path / "disk") == ["real"]


def test_all_that_is_in_a_new_folder_reaches_the_disk_before_its_name_and_then_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []

    def sync(path: Path) -> None:
        seen.append((path.name, (tmp_path / "data").exists()))

    with claimed(tmp_path / "data", DataError) as place, place.building() as new:
        (new / "inner").mkdir()
        (new / "inner" / "a").touch()
        monkeypatch.setattr(places, "sync", sync)
    assert set(seen[:-1]) == {("inner", False), ("a", False), ("new", False)}
    assert seen[-1] == (tmp_path.name, True)


@pytest.mark.parametrize("there", range(4))
@pytest.mark.parametrize("stops", [ValueError, KeyboardInterrupt])
def test_folders_above_that_were_made_go_again_when_the_work_fails_and_no_others(
    there: int, stops: type[BaseException], tmp_path: Path
) -> None:
    above = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    for folder in above[:there]:
        folder.mkdir()

    def fail(beside: Path | None = None) -> None:
        with claimed(above[-1] / "data", DataError) as place, place.building():
            assert above[-1].is_dir()
            if beside is not None:
                beside.touch()
            raise stops

    with pytest.raises(stops):
        fail()
    assert [folder.is_dir() for folder in above] == [number < there for number in range(3)]
    with pytest.raises(stops):
        fail(above[0] / "theirs")
    assert names(above[0]) == (["b", "theirs"] if there > 1 else ["theirs"])
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("gone", [1, 3])
def test_a_new_folder_above_that_another_process_removes_again_is_made_again(
    gone: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, left = tmp_path / "runs" / "new" / "data", [gone]

    def locked(path: Path, error: type[DataError], real=places.locked):
        if left[0]:
            left[0] -= 1
            places._remove_empty([path.parent, path.parent.parent])  # as a process does that fails now
        return real(path, error)

    monkeypatch.setattr(places, "locked", locked)
    put(place, "mine")
    assert text(place) == "mine"
    left[0] = 10**6
    with pytest.raises(DataError, match=r"cannot be written \(No such file"):
        put(tmp_path / "others" / "new" / "data", "theirs")
    assert names(tmp_path) == ["runs"]


def test_folders_above_a_name_too_long_are_not_left(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match="File name too long"),
        claimed(tmp_path / "a" / ("n" * 300) / "data", DataError),
    ):
        pass
    assert names(tmp_path) == []


def test_a_name_too_long_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="File name too long"), claimed(tmp_path / ("n" * 300), DataError):
        pass
    assert names(tmp_path) == []
