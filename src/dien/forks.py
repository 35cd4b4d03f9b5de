"""What a forked process may use: gunicorn --preload, multiprocessing's fork, workers of a DataLoader.

A fork copies the memory of a process and none of its threads, so a pool of threads that was in use before is
dead in the child, and whoever asks it for work waits for ever. There are two:

- torch's (OpenMP). A child gets one thread: with one, torch asks no pool. It may be set to more
  (``torch.set_num_threads``) where no torch ran before the fork.
- Polars'. No request, batch, training or evaluation asks it for work. What does, as preparing data and
  scoring a file, refuses to run in such a child (:func:`expect_polars`).

Importing ``dien`` is enough for both.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from dien.errors import DienError

_TASKS = Path("/proc/self/task")
_POOL = re.compile(r"polars-\d")

_runs = False  # whether Polars ran in this process when it last forked
_lost = False  # whether the threads of Polars were lost where this process was forked


def expect_polars(what: str) -> None:
    """Refuse to go on in a process that lacks the threads of Polars.

    Args:
        what: cannot be done, for the message.

    Raises:
        DienError: this process was forked from one in which Polars had run.
    """
    if _lost:
        raise DienError(
            f"{what}: this process was forked from one that had used Polars, whose threads it lacks: it "
            "would wait for ever; start it by spawn (multiprocessing.get_context('spawn')), or fork before"
        )


def _before() -> None:
    global _runs
    _runs = _polars_runs()


def _in_child() -> None:
    global _lost
    _lost = _lost or _runs
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def _polars_runs() -> bool:
    """Whether this process has threads of Polars; where the system does not tell, whether it has Polars."""
    if "polars" not in sys.modules:
        return False
    try:
        return any(_POOL.match((task / "comm").read_text()) for task in _TASKS.iterdir())
    except OSError:
        return True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_in_child)
