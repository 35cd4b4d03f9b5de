"""What samples are made with: random events, times, and files of text and JSON lines."""

import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROWS = 600
"""Events of a sample, where no other number is asked for; of pages, candidates are more."""
START = 1_650_000_000  # 2022-04-15 05:20:00 UTC
_SPAN = 1_200_000  # seconds: the events of a sample are of two weeks


class Draw(random.Random):
    """What a sample is drawn with.

    Args:
        name: the sample's, from which all that is drawn follows.
        rows: how many events it has.
    """

    def __init__(self, name: str, rows: int) -> None:
        super().__init__(name)
        self.rows = rows
        self.users = range(1, rows // 10 + 1)


Make = Callable[[Path, Draw], int | None]
SAMPLES: dict[str, Make] = {}
"""What writes the files of a sample into a folder; it returns its candidates where they are not its rows."""


def sample(name: str) -> Callable[[Make], Make]:
    """Register what writes the sample of a data set, by the name of its ready schema."""

    def add(make: Make) -> Make:
        SAMPLES[name] = make
        return make

    return add


def events(draw: Draw, share: float = 0.4) -> Iterator[tuple[int, int, int, int]]:
    """A tenth as many users, items from 1 to 40, times and random clicks, in order of time."""
    for k in range(draw.rows):
        user, item = draw.choice(draw.users), draw.randrange(1, 41)
        yield user, item, START + k * _SPAN // draw.rows, int(draw.random() < share)


def when(time: int, format: str) -> str:
    """Write a time, in seconds since 1970, by a format."""
    return datetime.fromtimestamp(time, timezone.utc).strftime(format)


def write_text(
    path: Path,
    header: str,
    rows: Iterator[Sequence[Any]] | list[Any],
    separator: str = ",",
    encoding: str = "utf-8",
) -> None:
    """Write text with columns; without a header where it is empty."""
    path.parent.mkdir(exist_ok=True)
    lines = [header] if header else []
    lines += [separator.join(map(str, row)) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding=encoding)


def write_json(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write JSON lines, packed where the name says so."""
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text, 1) if path.suffix == ".gz" else text)
