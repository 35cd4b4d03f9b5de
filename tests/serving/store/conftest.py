"""Stores of every kind, each empty."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from dien.serving.store import BehaviourStore, open_store

Opened = Callable[..., BehaviourStore]


@pytest.fixture(params=["memory"], scope="session")
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Open an empty store of a kind, as often as a test likes."""
    with ExitStack() as stack:

        def fresh(**options: int) -> BehaviourStore:
            return stack.enter_context(closing(open_store("memory:", **options)))

        yield fresh
