"""Keeps a sample of the requests that were scored in a file, for warm-up and replay.

A thread writes it, beside its place and renamed, so that it is whole at any moment. Whoever is being scored
waits for no disk.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from dien.errors import ConfigError
from dien.files import not_read, not_written, replacing
from dien.serving.http.sample import LARGEST, MOST, Sample
from dien.serving.recorded import to_line
from dien.serving.request import Request

WRITE_EVERY = 10.0
"""Seconds between two writings of the file; what came since the last is lost when the process is killed."""
MOST_WAITING = 64
"""Requests that may wait to be taken into the sample; where the disk hangs, others are left out."""
CLOSE_SECONDS = 10.0
"""Seconds that the end of the server waits for the last writing: a disk may hang."""


class Recorder:
    """A sample of requests in memory, and the thread that writes it.

    Args:
        file: to write, for its owner alone: it holds ids of users.
        sample: what it holds so far.
        told: told in a sentence that the file cannot be written, once until it can be again.
        wrote: told of each writing whether it went well.
    """

    def __init__(
        self, file: Path, sample: Sample, told: Callable[[str], None], wrote: Callable[[bool], None]
    ) -> None:
        self._file, self._sample, self._told, self._wrote = file, sample, told, wrote
        self._lock = threading.Lock()  # of the sample
        self._offered: SimpleQueue[tuple[Request, bool] | None] = SimpleQueue()
        self._due = 0.0
        self._fails = False
        self._thread = threading.Thread(target=self._work, name="recording", daemon=True)
        self._thread.start()

    def offer(self, requests: Sequence[Request], stored: Sequence[bool]) -> None:
        """Take one of the requests of a call that was scored, where it is time for one. Never waits.

        Args:
            requests: with their histories.
            stored: of each, whether a store gave the history.
        """
        now = time.monotonic()
        if now >= self._due and self._offered.qsize() < MOST_WAITING:
            self._due = now + self._sample.every
            self._offered.put(random.choice(list(zip(requests, stored, strict=True))))

    def spread(self, most: int) -> list[bytes]:
        """Give some of what was recorded, as lines, spread over time."""
        with self._lock:
            return self._sample.spread(most)

    def close(self) -> None:
        """Write what is not written yet, and end the thread."""
        self._offered.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        changed, written, ends = False, time.monotonic(), False
        while not ends:
            left = written + WRITE_EVERY - time.monotonic()
            try:
                offered = self._offered.get(timeout=max(0.0, left) if changed else None)
            except Empty:
                pass
            else:
                ends = offered is None
                if offered is not None:
                    changed |= self._took(*offered)
            if changed and (ends or time.monotonic() >= written + WRITE_EVERY):
                changed, written = not self._written(), time.monotonic()

    def _took(self, request: Request, stored: bool) -> bool:
        try:
            line = to_line(request, stored)
        except Exception as error:  # a thread that ends would record nothing ever after
            self._failed(error)
            return False
        with self._lock:
            self._sample.add(line)
        return True

    def _written(self) -> bool:
        try:
            with replacing(self._file, 0o600) as new:
                new.write_bytes(self._sample.content())
        except Exception as error:  # likewise
            self._failed(error)
            return False
        before, self._fails = self._fails, False
        if before:
            self._told(f"{self._file}: requests are recorded again")
        self._wrote(True)
        return True

    def _failed(self, error: Exception) -> None:
        before, self._fails = self._fails, True
        if not before:
            self._told(f"requests are not recorded: {not_written(self._file, error)}")
        self._wrote(False)


def read_sample(file: Path) -> Sample:
    """Read what a server has recorded before.

    Args:
        file: as of :class:`Recorder`; it need not be there.

    Raises:
        ConfigError: the file holds something else, which would be overwritten, or cannot be read.
    """
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    try:
        if not file.is_file():  # where something else stands in its place, the first writing says so
            return Sample()
        if (size := file.stat().st_size) > 2 * LARGEST:
            raise ConfigError(f"{file}: found {size:,} bytes{_MEND}")
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(not_read(file, error, "choose another path for --record")) from error
    if len(lines) > MOST:
        raise ConfigError(
            f"{file}: found {len(lines):,} lines, which are more than the {MOST:,} of a sample{_MEND}"
        )
    for number, line in enumerate(lines, 1):
        try:
            found = decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"{file}: line {number}: {error}{_MEND}") from error
        if not {"history", "candidates"} <= found.keys():
            raise ConfigError(f"{file}: line {number}: found {', '.join(found) or 'nothing'}{_MEND}")
    return Sample(line + b"\n" for line in lines)


_MEND = (
    "; expected requests that a server has recorded, one a line: --record writes the file anew; choose "
    "another path"
)
