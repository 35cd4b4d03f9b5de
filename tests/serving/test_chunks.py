"""Scoring chunk by chunk: the same file by any number of processes and however often it was stopped."""

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.working import Squares

from dien.errors import DataError, DienError
from dien.progress import Progress
from dien.serving.chunks import Wanted, score_chunks
from dien.serving.scored import ChunkCounts, ScoredFile
from dien.serving.workers import StoppedError

COLUMNS = pa.schema([("user", pa.large_string()), ("scores", pa.large_list(pa.float64()))])
KINDS = ("jsonl", "csv", "parquet")


def scored(
    out: Path,
    total: int = 11,
    jobs: int = 1,
    resume: bool = False,
    progress: Progress | None = None,
    size: int = 1,
    **squares: Any,
) -> ChunkCounts:
    chunks = Squares(out.parent / "run", total, **squares)
    return score_chunks(chunks, Wanted(out, jobs, resume, progress), COLUMNS, {}, {"input": {"bytes": size}})


def rows_in(out: Path) -> list[dict[str, Any]]:
    if out.suffix == ".parquet":
        return pl.read_parquet(out).to_dicts()
    if out.suffix == ".csv":
        cells = pl.read_csv(out, schema={"user": pl.String, "scores": pl.String}).to_dicts()
        return [row | {"scores": json.loads(row["scores"])} for row in cells]
    return [json.loads(line) for line in out.read_text().splitlines()]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def expected(total: int) -> list[dict[str, Any]]:
    return [
        {
            "user": f'u{k}, "x"' if k % 5 else None,
            "scores": [float(k * k + j) for j in range(k % 3)],
        }
        for k in range(total)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("total", [0, 1, 3, 11])
def test_every_row_is_written_in_order_and_nothing_is_left_beside_the_file(
    tmp_path: Path, kind: str, total: int
) -> None:
    out = tmp_path / f"s.{kind}"
    found = scored(out, total)
    assert rows_in(out) == expected(total)
    assert found.counts.requests == total
    assert found.counts.times == ({"seconds": total} if total else {})
    assert names_in(tmp_path) == [out.name]


@pytest.mark.parametrize("kind", KINDS)
def test_several_processes_write_the_same_bytes_and_come_to_the_same(tmp_path: Path, kind: str) -> None:
    outs = [tmp_path / f"{jobs}.{kind}" for jobs in (1, 3)]
    one, several = (scored(out, 23, jobs) for out, jobs in zip(outs, (1, 3), strict=True))
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert one == several
    assert not multiprocessing.active_children()


def test_no_more_processes_are_started_than_there_are_chunks_and_none_is_no_number_of_them(
    tmp_path: Path,
) -> None:
    seen: list[int] = []
    scored(
        tmp_path / "s.jsonl", 5, 100, progress=lambda _: seen.append(len(multiprocessing.active_children()))
    )
    assert max(seen) <= 2
    for jobs in (0, -1, 1.5):
        with pytest.raises(ValueError, match=rf"jobs is {jobs!r}; expected a whole number"):
            scored(tmp_path / "s.jsonl", jobs=jobs)  # type: ignore[arg-type]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_in_what_is_read_leaves_nothing(tmp_path: Path, jobs: int) -> None:
    (out := tmp_path / "s.jsonl").write_text("from before")
    with pytest.raises(DataError, match="row 10: found nothing"):
        scored(out, jobs=jobs, bad=10)
    assert out.read_text() == "from before"
    assert names_in(tmp_path) == [out.name]
    assert not multiprocessing.active_children()


class StopError(BaseException):
    """As Ctrl-C."""


def stopping_after(requests: int, stop: Callable[[], object]) -> Progress:
    left = requests

    def progress(now: int) -> None:
        nonlocal left
        before, left = left, left - now
        if left <= 0 < before:
            stop()

    return progress


def ctrl_c() -> None:
    raise StopError


def kill_a_process() -> None:
    process = multiprocessing.active_children()[0]
    os.kill(process.pid or 0, 9)
    process.join()


@pytest.mark.parametrize(("jobs", "stop"), [(1, ctrl_c), (2, ctrl_c), (2, kill_a_process)])
def test_what_was_stopped_is_gone_on_with_and_no_process_is_left(
    tmp_path: Path, jobs: int, stop: Callable[[], object]
) -> None:
    (out := tmp_path / "s.parquet").write_text("from before")
    total = 40
    with pytest.raises((StopError, DienError), match=r"^$|signal 9.*--resume"):
        scored(out, total, jobs, progress=stopping_after(6, stop))
    assert not multiprocessing.active_children()
    assert out.read_text() == "from before"
    told: list[int] = []
    found = scored(out, total, 1, resume=True, progress=told.append)
    assert told[0] >= 6
    assert sum(told) == total
    whole = tmp_path / "whole.parquet"
    assert found == scored(whole, total)
    assert out.read_bytes() == whole.read_bytes()
    assert names_in(tmp_path) == [out.name, whole.name]


def test_a_full_disk_says_how_to_go_on_where_something_was_done(tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    with pytest.raises(DataError, match=r"s\.csv: could not be written .*make room on the disk$"):
        scored(out, full=1)
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"make room on the disk, then go on with --resume"):
        scored(out, full=7)
    scored(out, resume=True)
    assert rows_in(out) == expected(11)


def stopped(out: Path) -> Path:
    with pytest.raises(StopError):
        scored(out, progress=stopping_after(6, ctrl_c))
    return out.with_name(out.name + ".parts")


def test_what_was_stopped_is_not_thrown_away_without_being_asked(tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    folder = stopped(out)
    with pytest.raises(DataError, match=r"s\.jsonl\.parts: has the scores of 6 requests .*--resume.*remove"):
        scored(out)
    for path in folder.iterdir():
        path.unlink()
    scored(out)  # an empty folder is nothing to lose
    assert rows_in(out) == expected(11)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"size": 2}, "begun with input.bytes = 1, not 2"),
        ({"version": "two"}, "begun with run = 'one', not 'two'"),
    ],
)
def test_something_else_than_what_was_stopped_is_refused_by_name(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    out = tmp_path / "s.jsonl"
    stopped(out)
    with pytest.raises(DataError, match=rf"{said}; go on with what it was begun with, or remove the folder"):
        scored(out, resume=True, **changed)
    scored(out, resume=True)
    assert rows_in(out) == expected(11)


def test_going_on_with_nothing_starts_from_the_beginning(tmp_path: Path) -> None:
    scored(tmp_path / "s.jsonl", resume=True)
    assert rows_in(tmp_path / "s.jsonl") == expected(11)


def test_a_folder_or_link_of_someone_else_at_the_place_of_the_parts_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    parts = tmp_path / "s.jsonl.parts"
    parts.mkdir()
    (parts / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match=r"parts: holds thesis\.tex; .*move it, or choose another --out"):
        scored(out)
    parts.rename(tmp_path / "elsewhere")
    parts.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="parts: is no folder"):
        scored(out, resume=True)
    assert (tmp_path / "elsewhere" / "thesis.tex").read_text() == "years of work"


def test_a_folder_of_someone_else_whose_files_have_names_of_parts_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    parts = tmp_path / "s.csv.parts"
    parts.mkdir()
    (parts / "1.csv").write_text("years of work")
    for resume in (False, True):
        with pytest.raises(DataError, match=r"parts: holds 1\.csv and no begun\.json; .*another --out"):
            scored(out, resume=resume)
    assert (parts / "1.csv").read_text() == "years of work"


def test_an_error_of_the_system_in_reading_is_told_as_such_and_what_is_done_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    with pytest.raises(StoppedError, match=r"what is scored could not be read \(.*Input/output error\)"):
        scored(out, torn=7)
    told: list[int] = []
    scored(out, resume=True, progress=told.append)
    assert told[0] == 6
    assert rows_in(out) == expected(11)


def test_a_disk_that_is_full_before_more_is_done_says_how_to_go_on_too(tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    stopped(out)
    with pytest.raises(DataError, match=r"make room on the disk, then go on with --resume"):
        scored(out, resume=True, full=7)


def test_a_link_and_a_name_as_long_as_can_be_have_their_parts_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    long = "s" * 249 + ".jsonl"
    (tmp_path / "s.jsonl").symlink_to(tmp_path / "there" / long)
    seen: list[str] = []
    scored(tmp_path / "s.jsonl", progress=lambda _: seen.extend(names_in(tmp_path / "there")))
    assert any(name.endswith(".parts") for name in seen)
    assert rows_in(tmp_path / "s.jsonl") == expected(11)
    assert names_in(tmp_path / "there") == [long]


def test_two_at_a_time_for_one_file_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    with pytest.raises(DataError, match="another process is at work here"):
        scored(out, progress=lambda _: scored(out) and None)


State = tuple[dict[str, bytes], str]
"""Files by their path, and which of them is being synced: its end may be lost."""


@cache
def states(folder: Path, kind: str) -> list[State]:
    """Give what lies on the disk whenever something is about to be synced, and at the end."""
    folder.mkdir()
    found: list[State] = []

    def look(handle: int) -> None:
        found.append((files_in(folder), str(Path(f"/proc/self/fd/{handle}").readlink().relative_to(folder))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", look)
        scored(folder / f"s.{kind}")
    return [*found, (files_in(folder), "")]


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def decoded(lines: list[bytes]) -> list[Any]:
    """Give the lines of JSON that are whole."""
    found = []
    for line in lines:
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


@contextmanager
def restored(folder: Path, files: dict[str, bytes]) -> Iterator[None]:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    yield
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.filterwarnings("ignore:.*a process that was killed had left it")
@given(kind=st.sampled_from(KINDS), at=st.integers(0, 1000), lost=st.integers(0, 400))
def test_whenever_the_power_fails_the_rest_is_scored_and_the_file_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, kind: str, at: int, lost: int
) -> None:
    base = tmp_path_factory.getbasetemp() / "power"
    base.mkdir(exist_ok=True)
    known = states(base / f"undisturbed-{kind}", kind)
    (*_, (last, _)) = known
    files, synced = known[at % len(known)]
    if synced in files:
        files = files | {synced: files[synced][: max(0, len(files[synced]) - lost)]}
    listed = len(decoded(files.get(f"s.{kind}.parts/parts.jsonl", b"").splitlines()))
    folder = base / "after"
    folder.mkdir(exist_ok=True)
    with restored(folder, files):
        told: list[int] = []
        found = scored(folder / f"s.{kind}", resume=True, progress=told.append)
        assert files_in(folder) == last
        assert sum(told) == 11
        assert len(told) - bool(listed) == 4 - listed  # chunks that are scored, of four
        assert found.counts == ScoredFile(requests=11, candidates=10, times={"seconds": 11})
