"""What a store of behaviours costs: appends a second, and the time of one append and of one read.

::

    python benchmarks/store.py memory: lmdb:/tmp/stores/a 'lmdb:/tmp/stores/b?durability=process' redis://localhost

Every user has a history first. Then threads append one behaviour after the other, each to a user drawn at
random, as a server does for ``POST /observe``; then one thread reads a history after the other.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from dien.serving.store import Behaviour, BehaviourStore, open_store

USERS, HISTORY, THREADS, SECONDS = 10_000, 100, (1, 16), 5.0


def behaviours(first: int, count: int) -> list[Behaviour]:
    return [
        Behaviour(70_000 + (n * 7919) % 50_000, 1_700_000_000 + n * 600, {}, f"e-{n}")
        for n in range(first, first + count)
    ]


def fill(store: BehaviourStore) -> float:
    """Give every user a history, and say how many behaviours a second that was."""
    started = time.perf_counter()
    for first in range(0, USERS, 200):
        store.append_many([(user, behaviours(0, HISTORY)) for user in range(first, first + 200)])
    return USERS * HISTORY / (time.perf_counter() - started)


def append(store: BehaviourStore, threads: int) -> list[float]:
    """Append for a while; the seconds of each append."""
    until = time.perf_counter() + SECONDS

    def work(thread: int) -> list[float]:
        draw, taken, number = random.Random(thread), [], 0
        while (started := time.perf_counter()) < until:
            number += 1
            new = Behaviour(number, 1_800_000_000 + number, {}, f"{threads}-{thread}-{number}")
            store.append(draw.randrange(USERS), [new])
            taken.append(time.perf_counter() - started)
        return taken

    with ThreadPoolExecutor(threads) as pool:
        return [seconds for taken in pool.map(work, range(threads)) for seconds in taken]


def read(store: BehaviourStore) -> list[float]:
    """Read histories; the seconds of each read."""
    draw, taken = random.Random(0), []
    for _ in range(5000):
        started = time.perf_counter()
        store.read([draw.randrange(USERS)], HISTORY)
        taken.append(time.perf_counter() - started)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("urls", nargs="+", help="stores, each empty at first")
    for url in parser.parse_args().urls:
        with closing(open_store(url, most=HISTORY)) as store:
            print(f"{url}\n  fill: {fill(store):,.0f} behaviours/s")
            for threads in THREADS:
                taken = append(store, threads)
                print(
                    f"  append, {threads} threads: {len(taken) / SECONDS:,.0f}/s, "
                    f"median {statistics.median(taken) * 1e3:.3f} ms, "
                    f"99 % {statistics.quantiles(taken, n=100)[98] * 1e3:.3f} ms"
                )
            taken = read(store)
            print(
                f"  read {HISTORY}: median {statistics.median(taken) * 1e3:.3f} ms, "
                f"99 % {statistics.quantiles(taken, n=100)[98] * 1e3:.3f} ms"
            )


if __name__ == "__main__":
    main()
