"""Reading a folder that somebody else may have made."""

import errno
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dien.errors import DataError
from dien.files import not_read
from dien.folders import Folder, release
from tests.data.datasets import Dataset, random_prepared, stored


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "mine").mkdir()
    return Folder(tmp_path / "mine", DataError, "make it again")


@given(arrays(np.int32, st.integers(0, 50)), st.booleans())
def test_an_array_comes_back_mapped_or_read(tmp_path_factory: pytest.TempPathFactory, array, mapped) -> None:
    path = tmp_path_factory.mktemp("array")
    np.save(path / "a.npy", array)
    found = Folder(path, DataError, "").array("a.npy", np.int32, None, mapped=mapped)
    assert np.array_equal(found, array)
    release(found)
    assert np.array_equal(found, array)
    assert not mapped or not found.flags.writeable


def test_an_array_that_is_read_stays_when_its_file_is_cut_short(folder: Folder) -> None:
    np.save(folder.path / "a.npy", np.arange(10_000))
    found = folder.array("a.npy", np.int64, 10_000, mapped=False)
    os.truncate(folder.path / "a.npy", 0)
    assert found.sum() == 9_999 * 5_000


def test_an_array_outlives_the_name_its_mapping_was_given(folder: Folder) -> None:
    np.save(folder.path / "a.npy", np.arange(10_000))
    part = folder.array("a.npy", np.int64, 10_000)[5_000:]
    gc.collect()
    assert part[0] == 5_000


@pytest.fixture
def _few_descriptors() -> Iterator[None]:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 8, before[1]))  # noqa: PTH208
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("_few_descriptors")
def test_a_dataset_of_more_files_than_may_be_open_opens(tmp_path: Path) -> None:
    data = stored(random_prepared(), tmp_path / "data")
    assert sum(file.is_file() for file in data.path.rglob("*")) > 40
    data.check()


def test_a_link_is_followed_where_it_stays_in_the_folder(folder: Folder, tmp_path: Path) -> None:
    (folder.path / "a").write_text("mine")
    (folder.path / "b").symlink_to("a")
    assert folder.text("b") == "mine"
    (tmp_path / "link").symlink_to(folder.path)
    assert Folder(tmp_path / "link", DataError, "").text("b") == "mine"
    (tmp_path / "c").write_text("of somebody else")
    (folder.path / "c").symlink_to("../c")
    (folder.path / "up").symlink_to("..")
    for name in ("c", "up/c"):
        with pytest.raises(DataError, match=f"{name}: is a link that leads out of"):
            folder.text(name)


def test_what_is_no_file_is_refused_and_not_waited_for(folder: Folder) -> None:
    os.mkfifo(folder.path / "pipe")
    (folder.path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(DataError, match=f"{name}: is a {name}, expected a file; make it again"):
            folder.read(name)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.EACCES, "right to read"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOMEM, "ulimit -v"),
        (errno.EIO, "disk"),
        (errno.EINVAL, "make it again"),
    ],
)
def test_advice_fits_why_a_file_cannot_be_read(
    folder: Folder, code: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    (folder.path / "a").touch()
    monkeypatch.setattr("dien.folders.os.open", fails)
    with pytest.raises(DataError, match=advice) as raised:
        folder.read("a")
    assert ("make it again" in str(raised.value)) == (advice == "make it again")
    assert "ulimit -v" in not_read(folder.path, MemoryError(), "make it again")


def test_a_folder_that_is_exchanged_while_it_is_opened_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data"
    stored(random_prepared(seed=1), path)
    other = stored(random_prepared(seed=2, users=11), tmp_path / "other")
    opened = Dataset._open

    def exchanged_meanwhile(where: Folder) -> Dataset:
        data = opened(where)
        if other.path.exists():
            path.rename(tmp_path / "old")
            other.path.rename(path)
        return data

    monkeypatch.setattr(Dataset, "_open", exchanged_meanwhile)
    data = Dataset.open(path)
    assert data.info.sizes.users == 11
    data.check()
