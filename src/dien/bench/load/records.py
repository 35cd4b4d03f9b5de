"""What became of each request of a load."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

UNANSWERED = 0
"""In the place of a status, where no answer came: the connection broke, or time was up."""


@dataclass(frozen=True)
class Answer:
    """An answer that was kept whole.

    Attributes:
        request: its number, of those that were sent.
        status: of HTTP.
        body: as it came.
    """

    request: int
    status: int
    body: bytes


@dataclass(frozen=True)
class Records:
    """The ``N`` requests of a load, in the order of their arrivals; times are seconds from its begin.

    Attributes:
        due: ``[N]`` when each was to be sent.
        sent: ``[N]`` when it was; NaN where it never was.
        done: ``[N]`` when its answer was there; NaN where there was none.
        status: ``[N]`` of HTTP, :data:`UNANSWERED` where there was none.
        queue: ``[N]`` seconds in the server's queue, as its ``Server-Timing`` says; NaN where it does not.
        score: ``[N]`` seconds that it was scored, likewise.
        answers: those that were kept.
        reasons: why requests have no answer, and how many for each.
        connections: that were opened.
        cpu: seconds of a processor that the generator took.
        wall: seconds from the begin to the last answer.
    """

    due: NDArray[np.float64]
    sent: NDArray[np.float64]
    done: NDArray[np.float64]
    status: NDArray[np.int64]
    queue: NDArray[np.float64]
    score: NDArray[np.float64]
    answers: list[Answer] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    connections: int = 0
    cpu: float = 0.0
    wall: float = 0.0

    @property
    def latency(self) -> NDArray[np.float64]:
        """``[N]`` seconds from when a request was due: what the generator was late counts, too."""
        return self.done - self.due

    @property
    def late(self) -> NDArray[np.float64]:
        """``[N]`` seconds that a request was sent after it was due."""
        return self.sent - self.due
