"""Scoring chunk by chunk, in this process or several, with parts that a later command can go on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from dien.data.dataset import Dataset
from dien.data.readers.text_format import TextFormat
from dien.errors import DataError
from dien.files import not_written
from dien.progress import Progress
from dien.serving.parts import Part, PartFiles, kept_parts
from dien.serving.scored import ChunkCounts
from dien.serving.scorer import Scorer
from dien.serving.workers import StoppedError, in_processes
from dien.serving.writing import expect_place


class Chunks(Protocol):
    """What is scored, a chunk at a time; it is pickled for other processes."""

    @property
    def scorer(self) -> Scorer:
        """The model."""

    def read(self, whole: Mapping[int, int]) -> Iterator[tuple[int, Any]]:
        """Read chunks in order, in the first process.

        Args:
            whole: the chunks that are scored already, by number, with their requests, impressions or pairs.

        Yields:
            The numbers of the others, and what :meth:`score` takes.

        Raises:
            DataError: something in it is not as expected.
        """

    def score(self, chunk: Any, found: ChunkCounts) -> pl.DataFrame:
        """Score a chunk, in whichever process.

        Args:
            chunk: what was read.
            found: where to count.

        Returns:
            Rows of the file of scores, which may have other columns besides.
        """


@dataclass(frozen=True)
class Wanted:
    """How chunks are scored, and where their scores go.

    Attributes:
        out: the file to write or replace.
        jobs: processes that score, with one thread each; 1 for this one alone, with as many as torch has.
        resume: whether to go on with what a call that was stopped has left beside ``out``.
        progress: called with the number of requests, impressions or pairs just scored.
    """

    out: Path
    jobs: int
    resume: bool
    progress: Progress | None


def score_chunks(
    chunks: Chunks,
    wanted: Wanted,
    columns: pa.Schema,
    of_others: Mapping[str, Path],
    begun: Mapping[str, Any],
) -> ChunkCounts:
    """Score all chunks into a file, whole or not at all.

    Args:
        chunks: what is scored.
        wanted: how, and where to.
        columns: of the file.
        of_others: what is read, by what it is: files, and folders with all that is in them.
        begun: what is scored, as JSON has it; who goes on must be told the same.

    Raises:
        DataError: ``out`` cannot be written or must not be replaced, or its parts are of something else.
        StoppedError: a process was killed or cannot be started, or the system refuses to read what is scored.
    """
    if not isinstance(wanted.jobs, int) or wanted.jobs < 1:
        raise ValueError(f"jobs is {wanted.jobs!r}; expected a whole number of processes, at least 1")
    scorer, out = chunks.scorer, wanted.out
    form = expect_place(out, of_others, scorer.run.path)
    begun = {**begun, **_of_scorer(scorer), "columns": columns.names}
    total, kept = ChunkCounts(), False
    try:
        with kept_parts(out, form, columns, begun, wanted.resume) as parts:
            kept = bool(parts.whole)
            before = {number: part.found.counts.requests for number, part in parts.whole.items()}
            if before and wanted.progress:
                wanted.progress(sum(before.values()))
            work, tasks = _PartOf(chunks, parts.files), _read(chunks, before)
            for part in map(work, tasks) if wanted.jobs == 1 else in_processes(work, tasks, wanted.jobs):
                parts.add(part)
                kept = True
                if wanted.progress:
                    wanted.progress(part.found.counts.requests)
            parts.join(out)
            for _, part in sorted(parts.whole.items()):
                total.add(part.found)
    except OSError as error:
        how = ", then go on with --resume (from Python resume=True)" if kept else ""
        raise DataError(f"{not_written(out, error)}{how}") from error
    return total


def _read(chunks: Chunks, whole: Mapping[int, int]) -> Iterator[tuple[int, Any]]:
    """Read chunks; an error of the system is not taken for one in writing, nor for one in what is read."""
    try:
        yield from chunks.read(whole)
    except OSError as error:
        raise StoppedError(
            f"what is scored could not be read ({error}); mend that, and go on with --resume (from Python "
            "resume=True)"
        ) from error


def file_told(path: Path, text: TextFormat) -> dict[str, Any]:
    """Tell a file that is scored from another, or from what it was before."""
    try:
        found = path.stat()
    except OSError:  # reading it says what is wrong
        return {}
    return {"bytes": found.st_size, "modified": found.st_mtime_ns, "format": asdict(text)}


@dataclass(frozen=True)
class _PartOf:
    """Scores chunks into parts.

    Attributes:
        chunks: what is scored.
        files: of the parts.
    """

    chunks: Chunks
    files: PartFiles

    def __call__(self, task: tuple[int, Any]) -> Part:
        """Score a chunk, given with its number."""
        (number, chunk), found = task, ChunkCounts()
        return Part(number, self.files.write(number, self.chunks.score(chunk, found)), found)


def _told(dataset: Dataset) -> str:
    """Tell a dataset from another, or from what it was before."""
    text = json.dumps(dataset.info.to_json(), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _of_scorer(scorer: Scorer) -> dict[str, Any]:
    return {
        "dien": version("dien"),
        "run": scorer.run.version,
        "data": None if scorer.data is None else _told(scorer.data),
        "device": str(scorer.device),
        "base_rate": scorer.base_rate,
    }
