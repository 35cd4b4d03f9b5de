"""Processes that do one kind of work, a task at a time, with one thread each."""

from __future__ import annotations

import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import pyarrow as pa
import torch

from dien.errors import DienError
from dien.processes import end_with_parent, fresh_processes, how_it_ended, start

Task = TypeVar("Task")
Result = TypeVar("Result")


class StoppedError(DienError):
    """Work was stopped by something that has nothing to do with what it is done on."""


def in_processes(work: Callable[[Task], Result], tasks: Iterable[Task], processes: int) -> Iterator[Result]:
    """Do tasks in processes that end with this one, however it ends.

    A task is read when one of them will soon want it: two for each process are held at most.

    Args:
        work: is pickled, once for each process.
        tasks: are read in this process.
        processes: at most; one is started when there is a task that no other can take.

    Yields:
        Results, as they come.

    Raises:
        StoppedError: a process ended, as by ``kill -9``, or none can be started.
        Exception: what ``work`` or reading a task has raised; all processes are ended then.
    """
    context = fresh_processes([__name__, "dien.serving"])
    waiting, source, is_read = deque[Task](), iter(tasks), False
    workers: list[_Worker] = []
    try:
        while True:
            idle = [worker for worker in workers if not worker.busy]
            while waiting and (idle or len(workers) < processes):
                if not idle:
                    workers.append(_Worker(context, work))
                    idle.append(workers[-1])
                idle.pop().begin(waiting.popleft())
            busy = [worker for worker in workers if worker.busy]
            if is_read and not busy:
                return
            wants_more = not is_read and len(waiting) < processes
            for ready in wait([worker.connection for worker in busy], 0 if wants_more else None):
                yield next(worker for worker in busy if worker.connection is ready).result()
            if wants_more:
                try:
                    waiting.append(next(source))
                except StopIteration:
                    is_read = True
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
            worker.connection.close()


class _Worker:
    """A process, seen from the one that has started it.

    Args:
        context: of multiprocessing.
        work: what it does.

    Attributes:
        process: itself.
        connection: to it.
        busy: whether it has a task.
    """

    process: BaseProcess
    connection: Connection

    def __init__(self, context: Any, work: Callable[[Any], Any]) -> None:
        try:
            self.connection, theirs = context.Pipe()
            with theirs:
                self.process = context.Process(target=_work, args=(theirs,), daemon=True)
                start(self.process)
        except (EOFError, OSError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise StoppedError(
                f"scoring: a process could not be started ({reason}); try fewer --jobs, and go on with "
                "--resume (from Python resume=True)"
            ) from error
        self.busy = False
        self._send(work)

    def begin(self, task: Any) -> None:
        """Give it a task.

        Raises:
            StoppedError: it has ended.
        """
        self._send(task)
        self.busy = True

    def result(self) -> Any:
        """Take the result of its task.

        Raises:
            StoppedError: it has ended.
            Exception: what the task has raised.
        """
        try:
            done, found = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        self.busy = False
        if not done:
            raise found
        return found

    def _send(self, what: Any) -> None:
        try:
            self.connection.send(what)
        except OSError as error:
            raise self._ended() from error

    def _ended(self) -> StoppedError:
        ended = how_it_ended(self.process, "--jobs")
        return StoppedError(f"scoring: {ended}; go on with --resume (from Python resume=True)")


def _work(connection: Connection) -> None:
    """Do tasks in this process until there are no more, and send the result of each, or what it raised."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process ends them
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    work: Callable[[Any], Any] | None = None
    while True:
        try:
            work = work or connection.recv()
            task = connection.recv()
        except EOFError:
            return
        except BaseException as error:
            connection.send((False, _sendable(error)))
            with suppress(EOFError, OSError):  # a task that is being sent must not find a closed pipe
                while True:
                    connection.recv_bytes()
            return
        try:
            done, found = True, work(task)
        except BaseException as error:  # a panic of Polars is no Exception
            done, found = False, _sendable(error)
        connection.send((done, found))


def _sendable(error: BaseException) -> BaseException:
    """Give an error as another process can raise it."""
    if isinstance(error, DienError | OSError | MemoryError):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()[-10_000:]}")
