"""A log with hostile names and a user of 1,000 behaviours, runs of it, and an explorer that serves them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import polars as pl
import uvicorn

from dien.data.log import Log
from dien.explore.app import create_app
from dien.explore.explorer import Explorer

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
LONG = "u-long"


def explored_log() -> Log:
    """40 users of some 20 purchases and one of 1,000, of 60 items; item ``i1`` has a hostile name."""
    rng = np.random.default_rng(0)
    users = [f"u-{u}" for u in rng.integers(0, 40, 800)] + [LONG] * 1000
    items = [f"i{item}" for item in (rng.random(1800) ** 2 * 60).astype(int)]
    times = np.concatenate(
        [rng.integers(1_000_000, 9_000_000, 800), np.sort(rng.integers(10**6, 9 * 10**6, 1000))]
    )
    order = np.argsort(times, kind="stable")
    ids = [f"i{k}" for k in range(60)]
    return Log(
        events=pl.DataFrame({"user": users, "item": items, "time": times})[order],
        items=pl.DataFrame(
            {
                "item": ids,
                "category": [f"<b>kind</b> {k % 5}" for k in range(60)],
            }
        ),
        names=pl.DataFrame(
            {"item": ids, "name": [HOSTILE if k == 1 else f"Soap no. {k}" for k in range(60)]}
        ),
        users=pl.DataFrame({"user": sorted({*users})}),
        sources=(),
    )


@contextmanager
def served(explorer: Explorer) -> Iterator[str]:
    """Serve an explorer in a thread; yields its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(explorer, "127.0.0.1"), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
