"""One Scorer for many: threads, and processes forked after it was used."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from tests.forking import in_child

from dien.run import Run
from dien.serving import Request, Scorer
from dien.threads import one_thread

TOLERANCE = 1e-6  # a forked process computes with one thread, in another order


def answers(scorer: Scorer, requests: list[dict[str, Any]]) -> list[NDArray[np.float64]]:
    return [scorer.score(**request) for request in requests]


def expect_equal(found: list[NDArray[np.float64]], expected: list[NDArray[np.float64]]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)


def test_eight_threads_score_what_one_scores(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    requests = rich_requests[:15]
    expected = answers(rich_scorer, requests)
    fresh = Scorer(rich_scorer.run)  # its dictionaries are built by the threads
    together = threading.Barrier(8)

    def work(_: int) -> list[NDArray[np.float64]]:
        together.wait()
        return answers(fresh, requests)

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(work, range(8)):
            expect_equal(found, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_four_forked_workers_score_what_the_process_before_them_scored(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    requests = rich_requests[:15]
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        pl.DataFrame({"a": [1, 1]}).group_by("a").len()
        expected = answers(rich_scorer, requests)
        untouched = Scorer(rich_scorer.run)
        with ThreadPoolExecutor(4) as pool:
            workers = [pool.submit(in_child, lambda: answers(rich_scorer, requests)) for _ in range(2)]
            workers += [pool.submit(in_child, lambda: answers(untouched, requests)) for _ in range(2)]
            for worker in workers:
                expect_equal(worker.result(), expected)
        expect_equal(answers(rich_scorer, requests), expected)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_forked_worker_loads_a_run_and_scores_in_threads_of_its_own(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    def work() -> list[NDArray[np.float64]]:
        mine = Scorer.load(rich_scorer.run.path)
        with ThreadPoolExecutor(2) as pool:
            parts = [pool.submit(answers, mine, rich_requests[k : k + 5]) for k in (0, 5)]
            return [score for part in parts for score in part.result()]

    expect_equal(in_child(work), answers(rich_scorer, rich_requests[:10]))


def test_a_request_is_computed_with_one_thread_and_many_with_all_that_torch_has(rich_run: Run) -> None:
    scorer, request = Scorer(rich_run), Request(user="u1", history=["i1"] * 6, candidates=["i2"])
    seen: list[int] = []
    scorer.model.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread():
            if torch.get_num_threads() == 3:
                pytest.skip("torch runs on an OpenMP library that is not found")
        scorer.score_many([request])
        scorer.score_many([msgspec.structs.replace(request, candidates=["i2"] * (1 << 15))])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert seen[0] == 1
    assert set(seen[1:]) == {3}
