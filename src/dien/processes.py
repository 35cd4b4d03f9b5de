"""Processes that work for this one: started without its memory, and ended when it ends, however that is."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Any

_POLARS = "POLARS_MAX_THREADS"


def fresh_processes(preload: Sequence[str]) -> Any:
    """Give the context of ``multiprocessing`` whose processes have none of this one's threads and locks.

    Args:
        preload: modules that each of them needs. Where the system forks, they are imported once, by a server
            that forks the processes and never computes itself.
    """
    methods = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload(list(preload))
    return context


def start(process: BaseProcess) -> None:
    """Start a process whose Polars has one thread, where nobody has said how many; it reads that once."""
    said = _POLARS in os.environ
    if not said:
        os.environ[_POLARS] = "1"
    try:
        process.start()
    finally:
        if not said:
            del os.environ[_POLARS]


def end_with_parent() -> None:
    """Have this process end when the one that started it has ended, also where that was killed."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def how_it_ended(process: BaseProcess, option: str) -> str:
    """Say how a process ended that has not said so itself.

    Args:
        process: which is awaited.
        option: that says how many there are at a time.
    """
    process.join()
    code = process.exitcode or 0
    if code >= 0:
        return f"its process ended with exit code {code}"
    hint = f" (killed, often for want of memory; try fewer {option})" if code == -9 else ""
    return f"its process ended by signal {-code}{hint}"


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
