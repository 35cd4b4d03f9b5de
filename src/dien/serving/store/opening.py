"""A store by its URL."""

from __future__ import annotations

from dien.errors import ConfigError
from dien.serving.store.behaviours import BehaviourStore
from dien.serving.store.in_memory import MemoryStore

MOST = 1000
"""Behaviours of a user that a store keeps unless told otherwise."""
_EXPECTED = "memory:"


def open_store(url: str, *, most: int = MOST) -> BehaviourStore:
    """Open a behaviour store.

    Args:
        url: ``memory:``, in the memory of the process.
        most: behaviours of a user that are kept, the newest.

    Raises:
        ConfigError: it is no URL of a store.
        ValueError: ``most`` is below 1.
    """
    if url == "memory:":
        return MemoryStore(most)
    raise ConfigError(f"store: {url!r}, expected {_EXPECTED}")
