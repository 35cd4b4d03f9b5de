"""A sample of lines that is even over time, has the newest, and is bounded in number and in bytes."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 1000
"""Lines that are kept."""
LARGEST = 64 << 20
"""Bytes that they have together; a single line may have more."""
FIRST_EVERY = 0.1
LAST_EVERY = 86_400 / MOST
"""Seconds between two lines, at first and at last: then the sample is of a day."""


class Sample:
    """Takes a line every so many seconds, at first often: the sample is soon of use.

    When it is full, every second line goes, and lines are taken half as often from then on. Once they are so
    far apart that it is of a day, the oldest goes for each new one.

    Args:
        lines: of a former sample, the oldest first. Where they are many, they are taken for that of a day.

    Attributes:
        every: seconds after which the next line is to come.
    """

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        self._lines: list[bytes] = []
        self._bytes = 0
        self.every = LAST_EVERY
        for line in lines:
            self.add(line)
        if len(self._lines) <= MOST // 2:
            self.every = FIRST_EVERY

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: bytes) -> None:
        """Take a line; others go where there is no room."""
        self._lines.append(line)
        self._bytes += len(line)
        while len(self._lines) > MOST or (self._bytes > LARGEST and len(self._lines) > 1):
            if self.every < LAST_EVERY:
                self.every = min(2 * self.every, LAST_EVERY)
                self._lines = self._lines[::-2][::-1]  # the newest stays
                self._bytes = sum(map(len, self._lines))
            else:
                self._bytes -= len(self._lines.pop(0))

    def spread(self, most: int) -> list[bytes]:
        """Give some of the lines, as far apart as may be, the oldest first and the newest among them."""
        number = len(self._lines)
        some = min(most, number)
        return [self._lines[number - 1 - number * place // some] for place in reversed(range(some))]

    def content(self) -> bytes:
        """Give all lines as one."""
        return b"".join(self._lines)
