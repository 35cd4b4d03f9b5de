"""Stores of every kind, each empty."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count

import pytest
from tests.serving.store.redis_server import RedisServer

from dien.serving.store import BehaviourStore, open_store

Opened = Callable[..., BehaviourStore]


@pytest.fixture(params=["memory", "lmdb", "lmdb, process", "redis"], scope="session")
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """Open an empty store of a kind, as often as a test likes."""
    folder, number = tmp_path_factory.mktemp("stores"), count()
    urls = {
        "memory": "memory:",
        "lmdb": "lmdb:{folder}/{number}?size=1GiB",
        "lmdb, process": "lmdb:{folder}/{number}?durability=process",
    }
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        urls["redis"] = server.url
    with ExitStack() as stack:

        def fresh(**options: int) -> BehaviourStore:
            if request.param == "redis":
                server.clear()
            url = urls[request.param].format(folder=folder, number=next(number))
            return stack.enter_context(closing(open_store(url, **options)))

        yield fresh


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Start a server, which keeps nothing when it ends."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server
