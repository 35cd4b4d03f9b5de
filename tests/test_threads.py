"""One thread within a block, and for the calling thread alone."""

import ctypes
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from dien.threads import _libraries, one_thread


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    if _libraries() is None:
        pytest.skip("torch runs on an OpenMP library that is not found")
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(threads)


def of_mkl() -> int:
    """Threads that MKL takes for a product, 1 where torch has no MKL."""
    found = getattr(ctypes.PyDLL(torch._C.__file__), "MKL_Get_Max_Threads", None)
    return 1 if found is None else found()


def test_the_calling_thread_computes_with_one_and_then_as_before() -> None:
    before = of_mkl()
    for _ in range(2):
        with one_thread():
            assert (torch.get_num_threads(), of_mkl()) == (1, 1)
            with one_thread():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
        assert (torch.get_num_threads(), of_mkl()) == (3, before)


def test_after_an_exception_it_computes_as_before() -> None:
    def fail() -> None:
        with one_thread():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == 3


def test_other_threads_keep_theirs_also_those_that_begin_meanwhile() -> None:
    with ThreadPoolExecutor(1) as early, ThreadPoolExecutor(1) as late:
        assert early.submit(torch.get_num_threads).result() == 3
        with one_thread():
            assert early.submit(torch.get_num_threads).result() == 3
            assert late.submit(torch.get_num_threads).result() == 3


def test_a_thread_that_begins_with_the_block_has_one_in_it_and_then_as_many_as_others() -> None:
    def work() -> tuple[int, int]:
        with one_thread():
            inside = torch.get_num_threads()
        return inside, torch.get_num_threads()

    with ThreadPoolExecutor(1) as fresh:
        assert fresh.submit(work).result() == (1, 3)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the system does not list threads")
def test_a_parallel_operation_starts_no_thread_within_the_block() -> None:
    def threads() -> set[str]:
        return {task.name for task in Path("/proc/self/task").iterdir()}

    def work() -> int:
        """Count the threads that a large operation adds; torch's pool is each calling thread's own."""
        before = threads()
        torch.ones(1 << 20).sin_()
        return len(threads() - before)  # another one may have ended meanwhile

    def with_one() -> int:
        with one_thread():
            return work()

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        assert one.submit(with_one).result() == 0
        assert other.submit(work).result() == 2


def test_where_no_library_is_found_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dien.threads._libraries", lambda: None)
    with one_thread():
        assert torch.get_num_threads() == 3
