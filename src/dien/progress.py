"""How long work tells its caller that it goes on; what is shown of it is the caller's business."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int], None]
"""Called now and then with the number of rows, rounds or bytes (on disk, compressed or not) just done."""
