import json
import os
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import dien.data.writer as writer
from dien import places
from dien.data.dataset import Dataset
from dien.data.prepare import paper, temporal
from dien.data.prepare.prepared import Prepared
from dien.data.vocabulary import Ids
from dien.data.writer import check_free, write
from dien.errors import DataError
from tests.data.logs import random_log


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return paper(random_log(users=200, items=60, events=2000))


@pytest.fixture(scope="module")
def other() -> Prepared:
    return temporal(random_log(users=20, items=10, events=200))


def content(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_a_written_dataset_opens_with_the_same_content(prepared, tmp_path):
    write(prepared, tmp_path / "new" / "DATA")
    data = Dataset.open(tmp_path / "new" / "DATA")
    data.check()
    assert data.schema == prepared.schema
    assert data.negatives_sampled
    assert data.item_ids.values.equals(prepared.item_ids.values)
    assert data.user_ids.values.equals(prepared.user_ids.values)
    assert np.array_equal(data.popularity, prepared.popularity)
    for ours, theirs in ((data.items, prepared.items), (data.users, prepared.users)):
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    for name, vocabulary in prepared.vocabularies.items():
        assert data.vocabularies[name].values.equals(vocabulary.values)
        assert np.array_equal(data.vocabularies[name].counts, vocabulary.counts)
    groups = [(data.behaviours, prepared.behaviours)]
    groups += [(data.splits[name], split) for name, split in prepared.splits.items()]
    for ours, theirs in groups:
        for name, column in vars(theirs).items():
            assert np.array_equal(getattr(ours, name), column), name
    info = json.loads((data.path / "dataset.json").read_text(encoding="utf-8"))
    assert info == data.info.to_json()
    assert info["recipe"] == {"name": "paper", "seed": 0, "targets": "last"}
    assert info["sources"] == [{"name": "hand-made", "sha256": "0" * 64, "size": 1}]
    sizes = data.info.sizes.splits["test"]
    assert sizes.rows == 2 * sizes.positives


def test_the_same_log_and_options_give_the_same_bytes(prepared, tmp_path):
    again = paper(random_log(users=200, items=60, events=2000))
    write(prepared, tmp_path / "a")
    write(again, tmp_path / "b")
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_every_file_and_folder_reaches_the_disk(other, tmp_path, monkeypatch):
    synced = set()
    monkeypatch.setattr(os, "fsync", lambda handle: synced.add(os.fstat(handle).st_ino))
    write(other, tmp_path / "new" / "DATA")
    written = {path: path.stat().st_ino for path in (tmp_path, *tmp_path.rglob("*"))}
    assert [path for path, number in written.items() if number not in synced] == []


def test_a_path_that_exists_is_refused_and_not_touched(prepared, other, tmp_path):
    write(prepared, tmp_path / "DATA")
    before = content(tmp_path / "DATA")
    with pytest.raises(DataError, match=r"DATA: exists already; remove it or choose another path"):
        write(other, tmp_path / "DATA")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="no dataset folder"):
            check_free(tmp_path / "home", overwrite)
    assert content(tmp_path / "DATA") == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["DATA", "home"]


def test_a_file_of_ones_own_in_the_folder_is_not_lost(prepared, other, tmp_path):
    write(prepared, tmp_path / "DATA")
    (tmp_path / "DATA" / "items" / "notes.md").write_text("years of work")
    before = content(tmp_path / "DATA")
    with pytest.raises(DataError, match=r"notes\.md: is none of a dataset folder's files and would be lost"):
        write(other, tmp_path / "DATA", overwrite=True)
    assert content(tmp_path / "DATA") == before


def test_overwriting_replaces_the_whole_folder(prepared, other, tmp_path):
    write(prepared, tmp_path / "DATA")
    write(other, tmp_path / "DATA", overwrite=True)
    write(other, tmp_path / "fresh")
    assert content(tmp_path / "DATA") == content(tmp_path / "fresh")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["DATA", "fresh"]


@pytest.mark.parametrize("room", [0, 100, 300, 1000, 5000, 20_000])
def test_a_full_disk_leaves_nothing_behind(prepared, other, tmp_path, room):
    long_ids = Ids.of(pl.Series([os.urandom(500).hex() for _ in range(len(prepared.user_ids) - 1)]))
    prepared = replace(prepared, user_ids=long_ids)  # too large a Parquet file for every room
    write(other, tmp_path / "DATA")
    before = content(tmp_path / "DATA")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))  # no file may grow beyond
        with pytest.raises(DataError, match=r"new: could not be written: .*nothing is left of it"):
            write(prepared, tmp_path / "new")
        with pytest.raises(DataError, match="could not be written"):
            write(prepared, tmp_path / "DATA", overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.name for file in tmp_path.iterdir()] == ["DATA"]
    assert content(tmp_path / "DATA") == before


@pytest.mark.parametrize(
    "step", ["_save_array", "_info", "sync_tree", "exchange", "first rename", "second rename"]
)
def test_ctrl_c_leaves_nothing_new_and_restores_what_was_there(prepared, other, tmp_path, monkeypatch, step):
    write(other, tmp_path / "DATA")
    before = content(tmp_path / "DATA")
    renames = []

    def interrupt(*_):
        raise KeyboardInterrupt

    def rename(self, target, real=Path.rename):
        renames.append(target)
        if len(renames) == ["first rename", "second rename"].index(step) + 1:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        if "rename" in step:
            patch.setattr(places, "_exchange", lambda *_: False)
            patch.setattr(Path, "rename", rename)
        elif step == "exchange":
            patch.setattr(places, "_exchange", interrupt)
        else:
            patch.setattr(places if step == "sync_tree" else writer, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            write(prepared, tmp_path / "DATA", overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["DATA"]
    assert content(tmp_path / "DATA") == before


def test_a_folder_that_may_not_be_written_to_is_named(prepared, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file/DATA: could not be written"):
        write(prepared, tmp_path / "file" / "DATA")


def test_a_feature_without_a_known_value_is_noted_and_has_no_file(tmp_path):
    log = random_log(users=50, items=20, events=400)
    items = log.items.with_columns(category=None).cast({"category": str})
    write(paper(type(log)(log.events, items, log.users, log.sources)), tmp_path / "DATA")
    info = json.loads((tmp_path / "DATA" / "dataset.json").read_text())
    assert info["dropped_features"] == ["category"]
    assert not [name for name in content(tmp_path / "DATA") if "category" in name]


def test_a_written_folder_has_the_permissions_of_the_umask(prepared, tmp_path):
    mask = os.umask(0o022)
    try:
        write(prepared, tmp_path / "DATA")
    finally:
        os.umask(mask)
    assert (tmp_path / "DATA").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "array",
    [np.arange(6, dtype=np.int64), np.zeros((0, 3), np.float32), np.ones((3, 4), np.int8).T, np.array(True)],
)
def test_an_array_is_written_as_numpy_writes_it(array, tmp_path):
    writer.save_array(tmp_path / "a.npy", array)
    assert np.array_equal(np.load(tmp_path / "a.npy"), array)
    np.save(tmp_path / "b.npy", np.asarray(array, order="C"))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_array_for_whose_last_bytes_there_is_no_room_is_an_error():
    with pytest.raises(OSError, match="No space left on device"):
        writer.save_array(Path("/dev/full"), np.arange(3))
