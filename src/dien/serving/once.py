"""What a scorer says once in its life, to whichever of its threads comes first."""

from __future__ import annotations

import sys


class Once:
    """Tells the first who asks from all others."""

    def __init__(self) -> None:
        self._first: dict[str, object] = {}

    def is_first(self, name: str) -> bool:
        """Whether nobody has asked for this name before; of threads that ask at once, one is first."""
        mine = object()
        return self._first.setdefault(name, mine) is mine  # in one step: no lock that a fork could keep


def depth_of_caller() -> int:
    """Count the frames to the code that called this package, as ``stacklevel`` of a warning counts them."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("dien."):
        frame, depth = frame.f_back, depth + 1
    return depth
