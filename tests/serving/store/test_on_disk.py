"""The store on disk: what is acknowledged outlives what was promised, and what fails leaves it as it was."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import lmdb
import pytest
from tests.serving.store.appending import appending

from dien.errors import StoreError
from dien.serving.store import Behaviour, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    return f"lmdb:{tmp_path / 'store'}"


@pytest.mark.parametrize("durability", ["process", "machine"])
def test_what_was_acknowledged_outlives_a_process_that_is_killed(store: str, durability: str) -> None:
    url, acknowledged = f"{store}?durability={durability}", set[str]()
    with subprocess.Popen(appending(url, 4, 100_000), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            acknowledged.add(line.split()[1])
            if len(acknowledged) == 50:
                process.kill()
        # What it said between our last look and its end counts, too.
    assert process.returncode == -signal.SIGKILL
    assert len(acknowledged) >= 50
    with closing(open_store(url, most=100_000)) as opened:
        kept = opened.read([f"user {n}" for n in range(3)], 100_000)
        events = [one.event for behaviours in kept for one in behaviours]
        assert acknowledged <= set(events)
        assert len(events) == len(set(events))
        assert opened.append("new", [Behaviour("x")]).added == 1


def test_a_store_that_is_full_says_so_and_goes_on(store: str) -> None:
    with closing(open_store(f"{store}?size=1MiB", most=100_000)) as opened, ThreadPoolExecutor(1) as pool:
        users, big = 0, [Behaviour("x" * 500) for _ in range(100)]
        opened.append("first", [Behaviour("a")])
        says = "nothing of this was written; it is full at 1,048,576 bytes"
        while (failed := pool.submit(opened.append, f"user {users}", big)).exception() is None:
            users += 1
        assert says in str(failed.exception())
        assert users > 5
        kept = opened.read(["first", *(f"user {user}" for user in range(users + 1))], 1000)
        assert list(map(len, kept)) == [1, *[100] * users, 0]
        assert opened.append("first", [Behaviour("b")]).added == 1  # what is small has room
        assert opened.forget("user 0")
    with closing(open_store(f"{store}?size=8MiB", most=100_000)) as opened:
        assert opened.append("user 0", big).added == 100


def test_a_change_that_does_not_fit_fails_alone_among_those_written_with_it(store: str) -> None:
    with closing(open_store(f"{store}?size=1MiB", most=100_000)) as opened, ThreadPoolExecutor(8) as pool:
        huge = pool.submit(opened.append, "huge", [Behaviour("x" * 500) for _ in range(3000)])
        small = [pool.submit(opened.append, f"user {n}", [Behaviour(n)]) for n in range(50)]
        assert sum(one.result().added for one in small) == 50
        assert isinstance(huge.exception(), StoreError)
        assert list(map(len, opened.read(["huge", *map("user {}".format, range(50))], 9))) == [0, *[1] * 50]


def test_a_full_disk_leaves_the_store_as_it_was(store: str, tmp_path: Path) -> None:
    with closing(open_store(store, most=100_000)) as opened:
        opened.append("first", [Behaviour("a")])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = (tmp_path / "store/data.mdb").stat().st_size
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10_000, hard))  # no file may grow beyond
            with pytest.raises(StoreError, match=r"could not be written: .*see whether the disk is full"):
                opened.append("huge", [Behaviour("x" * 500) for _ in range(3000)])
            assert [one.item for one in opened.read(["first", "huge"], 9)[0]] == ["a"]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert opened.read(["huge"], 9) == [[]]
        assert opened.append("first", [Behaviour("b")]).added == 1
    with closing(open_store(store)) as opened:
        assert [one.item for one in opened.read(["first"], 9)[0]] == ["a", "b"]


def test_a_damaged_record_is_refused_alone_and_can_be_forgotten(store: str, tmp_path: Path) -> None:
    open_store(store).close()
    with lmdb.open(str(tmp_path / "store")) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"=bad", b"\x01nonsense")
    with closing(open_store(store)) as opened, ThreadPoolExecutor(8) as pool:
        done = [pool.submit(opened.append, user, [Behaviour("x")]) for user in ["bad", "a", "b", "c"] * 8]
        assert [one.exception() is None for one in done] == [False, True, True, True] * 8
        with pytest.raises(StoreError, match="the record of user 'bad' is damaged"):
            opened.read(["a", "bad"], 9)
        assert opened.forget("bad")
        assert list(map(len, opened.read(["bad", "a", "b", "c"], 9))) == [0, 8, 8, 8]


def test_a_file_that_is_cut_short_is_refused_before_it_is_read(store: str, tmp_path: Path) -> None:
    with closing(open_store(store)) as opened:
        opened.append_many([(user, [Behaviour("x" * 400)]) for user in range(200)])
    file = tmp_path / "store/data.mdb"
    os.truncate(file, file.stat().st_size - 4096)
    with pytest.raises(StoreError, match=r"data\.mdb is cut short"):
        open_store(store)
    file.write_bytes(b"nothing of LMDB" * 1000)
    with pytest.raises(StoreError, match="cannot be opened as a behaviour store"):
        open_store(store)


def test_a_folder_that_holds_other_things_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(StoreError, match=r"other things than a behaviour store, as dataset\.json"):
        open_store(f"lmdb:{tmp_path}")
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(f"lmdb:{tmp_path / 'dataset.json'}")
    assert [file.name for file in tmp_path.iterdir()] == ["dataset.json"]


def test_two_processes_append_to_one_store(store: str) -> None:
    with closing(open_store(store, most=100_000)) as opened:
        other = subprocess.Popen(appending(store, 2, 60), stdout=subprocess.DEVNULL)
        for step in range(60):
            opened.append(f"user {step % 3}", [Behaviour(step, step, {}, f"mine-{step}")])
        assert other.wait() == 0
        assert sum(map(len, opened.read([f"user {n}" for n in range(3)], 1000))) == 180


def test_a_store_that_is_open_in_this_process_is_not_opened_twice(store: str) -> None:
    with closing(open_store(store)), pytest.raises(StoreError, match="already open"):
        open_store(store)


def test_a_forked_process_is_told_to_open_the_store_itself(store: str) -> None:
    with closing(open_store(store)) as opened:
        child = os.fork()
        if not child:
            try:
                opened.append("u", [Behaviour("x")])
            except StoreError as error:
                os._exit(7 if "before this process was forked" in str(error) else 1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_what_is_not_synced_at_each_commit_is_synced_soon(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dien.serving.store.group_commit._SECONDS", 0.01)
    with closing(open_store(f"{store}?durability=process")) as opened:
        writer, synced = opened._writer, list[tuple[int, bool]]()  # type: ignore[attr-defined]

        class Watched:
            """The folder of LMDB, with a note of each sync: of which change, and whether by force."""

            def __init__(self, environment: lmdb.Environment) -> None:
                self.begin, self._environment = environment.begin, environment

            def sync(self, force: bool) -> None:
                self._environment.sync(force)
                synced.append((self._environment.info()["last_txnid"], force))

        before = writer._environment.info()["last_txnid"]
        writer._environment = Watched(writer._environment)
        for number in range(1, 3):
            opened.append("u", [Behaviour("x")])
            for _ in range(1000):
                if len(synced) == number:
                    break
                time.sleep(0.01)
            assert synced[number - 1 :] == [(before + number, True)]
