"""Work for processes, which import it."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import torch

from dien.data.ragged import to_offsets
from dien.errors import DataError
from dien.serving.scored import ChunkCounts
from dien.serving.writing import lists_of


def doubled(task: Any) -> Any:
    return task * 2


def fails(task: int) -> int:
    if task == 3:
        raise DataError("shop.csv: row 3: found nothing")
    return task


def breaks(task: int) -> int:
    return task // 0


def dies(task: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return task


def threads(_: int) -> int:
    return torch.get_num_threads()


def ignores_ctrl_c(_: int) -> bool:
    os.kill(os.getpid(), signal.SIGINT)
    return multiprocessing.parent_process() is not None


class Unreadable:
    """Work that no other process can read."""

    def __call__(self, task: Any) -> Any:
        return task

    def __reduce__(self) -> tuple[Any, ...]:
        return fails, (3,)


@dataclass(frozen=True)
class Squares:
    """Requests whose scores are squares, without a model."""

    run: Path
    total: int
    at_once: int = 3
    version: str = "one"
    bad: int = -1
    """The request that cannot be read."""
    torn: int = -1
    """The request that the system refuses to read."""
    full: int = -1
    """The request whose scores find no room."""

    @property
    def scorer(self) -> Any:
        run = SimpleNamespace(path=self.run, version=self.version)
        return SimpleNamespace(run=run, data=None, device="cpu", base_rate=None)

    def read(self, whole: Mapping[int, int]) -> Iterator[tuple[int, range]]:
        for number, start in enumerate(range(0, self.total, self.at_once)):
            chunk = range(start, min(start + self.at_once, self.total))
            if self.bad in chunk:
                raise DataError(f"squares: row {self.bad}: found nothing")
            if self.torn in chunk:
                raise OSError(5, "Input/output error")
            if number not in whole:
                yield number, chunk
            else:
                assert whole[number] == len(chunk)

    def score(self, chunk: Any, found: ChunkCounts) -> pl.DataFrame:
        if self.full in chunk:
            raise OSError(28, "No space left on device")
        found.counts.requests += len(chunk)
        found.counts.candidates += sum(k % 3 for k in chunk)
        found.counts.times = {"seconds": len(chunk)}
        found.columns.add(f"column {chunk[0] % 2}")
        lengths = pl.Series([k % 3 for k in chunk], dtype=pl.Int64).to_numpy()
        squares = pl.Series([float(k * k + j) for k in chunk for j in range(k % 3)], dtype=pl.Float64)
        assert to_offsets(lengths)[-1] == len(squares)
        ids = [f'u{k}, "x"' if k % 5 else None for k in chunk]
        return pl.DataFrame(
            {"extra": 1, "user": pl.Series(ids, dtype=pl.String), "scores": lists_of(squares, lengths)}
        )
