"""Processes that do one kind of work: every result, bounded tasks, and an end whatever happens."""

import multiprocessing
import os
from collections.abc import Iterator

import numpy as np
import pytest
from tests.serving import working

from dien.errors import DataError
from dien.serving import workers
from dien.serving.workers import StoppedError, in_processes


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("tasks", "processes"), [(0, 2), (1, 3), (9, 2)])
def test_every_task_is_done_once(tasks: int, processes: int) -> None:
    found = list(in_processes(working.doubled, range(tasks), processes))
    assert sorted(found) == [2 * task for task in range(tasks)]


def test_tasks_and_results_larger_than_a_pipe_pass_and_two_for_each_process_are_held_at_most() -> None:
    begun, ended = 0, 0

    def tasks() -> Iterator[np.ndarray]:
        nonlocal begun
        for number in range(12):
            begun += 1
            assert begun - ended <= 2 * 2
            yield np.full(1 << 18, number)

    sums = []
    for one in in_processes(working.doubled, tasks(), 2):
        ended += 1
        sums.append(int(one[0]))
    assert sorted(sums) == [2 * number for number in range(12)]


def test_what_work_raises_is_raised_here() -> None:
    with pytest.raises(DataError, match=r"^shop\.csv: row 3: found nothing$"):
        list(in_processes(working.fails, range(9), 2))
    with pytest.raises(RuntimeError, match=r"(?s)ZeroDivisionError.*in breaks"):
        list(in_processes(working.breaks, range(9), 2))


def test_what_reading_the_work_raises_is_raised_here_though_a_task_is_larger_than_a_pipe() -> None:
    with pytest.raises(DataError, match=r"^shop\.csv: row 3: found nothing$"):
        list(in_processes(working.Unreadable(), (np.full(1 << 18, number) for number in range(4)), 1))


def test_a_process_that_cannot_be_started_is_an_error_that_says_what_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(workers, "start", fails)
    with pytest.raises(
        StoppedError, match=r"not be started \(Resource temporarily unavailable\); try fewer --jobs"
    ):
        list(in_processes(working.doubled, range(9), 2))


def test_what_reading_a_task_raises_ends_the_processes() -> None:
    def tasks() -> Iterator[int]:
        yield 1
        raise DataError("row 2")

    with pytest.raises(DataError, match="row 2"):
        list(in_processes(working.doubled, tasks(), 2))


def test_a_process_that_is_killed_is_an_error_that_says_how_to_go_on() -> None:
    with pytest.raises(
        StoppedError, match=r"ended by signal 9 \(killed, .* fewer --jobs\); go on with --resume"
    ):
        list(in_processes(working.dies, range(9), 2))


def test_a_process_that_is_killed_while_it_waits_is_an_error_too() -> None:
    def tasks() -> Iterator[int]:
        yield 1
        for process in multiprocessing.active_children():
            os.kill(process.pid or 0, 9)
            process.join()
        yield 2

    with pytest.raises(StoppedError, match="signal 9"):
        list(in_processes(working.doubled, tasks(), 1))


def test_each_process_has_one_thread_and_leaves_ctrl_c_to_the_first() -> None:
    assert list(in_processes(working.threads, range(1), 1)) == [1]
    assert list(in_processes(working.ignores_ctrl_c, range(3), 1)) == [True] * 3
