"""Run something in a forked process; what hangs there fails."""

import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import Any

SECONDS = 120  # far beyond what anything here takes


def in_child(work: Callable[[], Any]) -> Any:
    """Give what ``work`` returns in a forked process.

    Raises:
        RuntimeError: it raised there; the message is the traceback.
        TimeoutError: it did not end.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        try:
            result = pickle.dumps((True, work()))
        except BaseException:  # nothing of the tests may go on here
            result = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(result)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise TimeoutError(f"the forked process ended by {os.waitstatus_to_exitcode(status)}")
    fine, value = pickle.loads(result)
    if not fine:
        raise RuntimeError(value)
    return value
