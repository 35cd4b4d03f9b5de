"""A store by its URL."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl

from dien.errors import ConfigError
from dien.serving.store.behaviours import BehaviourStore
from dien.serving.store.in_memory import MemoryStore
from dien.serving.store.urls import without_password

MOST = 1000
"""Behaviours of a user that a store keeps unless told otherwise."""
_URLS = "memory:, lmdb:PATH, redis://HOST:PORT/DB"
_SERVERS = ("redis", "rediss", "valkey", "valkeys")
_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_LEAST_SIZE = 1 << 20


def open_store(url: str, *, most: int = MOST) -> BehaviourStore:
    """Open a behaviour store.

    Args:
        url: where it is (docs/behaviour-store.md): ``memory:``, in the memory of the process;
            ``lmdb:PATH``, a folder on disk, which is made where there is none.
            ``lmdb:PATH?durability=process&size=8GiB`` has the options of
            :class:`~dien.serving.store.on_disk.DiskStore`.
            ``redis://HOST:PORT/DB`` or ``valkey://...``, a server for several machines; with ``rediss`` or
            ``valkeys`` by TLS.
        most: behaviours of a user that are kept, the newest.

    Raises:
        ConfigError: it is no URL of a store, or the libraries of the extra ``serve`` are not installed.
        StoreError: it cannot be opened.
        ValueError: ``most`` is below 1.
    """
    scheme, _, rest = url.partition(":")
    if url == "memory:":
        return MemoryStore(most)
    if scheme == "lmdb" and rest.partition("?")[0]:
        return _on_disk(url, rest, most)
    if scheme in _SERVERS and rest.startswith("//"):
        return _on_valkey(url, most)
    raise ConfigError(f"store: {without_password(url)!r}, expected one of {_URLS}")


def _on_disk(url: str, rest: str, most: int) -> BehaviourStore:
    path, _, query = rest.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True, separator="&"))
    durability, size = given.pop("durability", "machine"), given.pop("size", "64GiB")
    if given:
        raise ConfigError(f"store: {url!r}: {next(iter(given))!r} is no option; expected durability or size")
    if durability not in ("process", "machine"):
        raise ConfigError(f"store: {url!r}: durability {durability!r}, expected process or machine")
    read = re.fullmatch("([0-9]{1,18})(|KiB|MiB|GiB|TiB)", size, re.ASCII)
    if read is None or not _LEAST_SIZE <= (length := int(read[1]) * _UNITS[read[2]]) < 1 << 47:
        raise ConfigError(f"store: {url!r}: size {size!r}, expected 1MiB or more, as 64GiB, below 128TiB")
    try:
        from dien.serving.store.on_disk import DiskStore
    except ModuleNotFoundError as error:
        if error.name != "lmdb":
            raise
        raise ConfigError(f"store: {url!r} needs lmdb: pip install 'dien[serve]'") from error
    return DiskStore(Path(path), most, durability, length)  # type: ignore[arg-type]  # one of the two


def _on_valkey(url: str, most: int) -> BehaviourStore:
    try:
        from dien.serving.store.on_valkey import ValkeyStore
    except ModuleNotFoundError as error:
        if error.name != "valkey":
            raise
        raise ConfigError(
            f"store: {without_password(url)!r} needs valkey: pip install 'dien[serve]'"
        ) from error
    return ValkeyStore(url, most)
