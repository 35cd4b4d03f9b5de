"""A store by its URL."""

import sys
from pathlib import Path

import pytest

from dien.errors import ConfigError
from dien.serving.store import open_store
from dien.serving.store.urls import without_password


@pytest.mark.parametrize(
    "url", ["", "memory", "memory:x", "lmdb:", "lmdb:?size=1GiB", "sqlite:file", "redis:x", "http://host"]
)
def test_what_is_no_url_of_a_store_is_refused_with_those_that_are(url: str) -> None:
    with pytest.raises(ConfigError, match=r"expected one of memory:, lmdb:PATH"):
        open_store(url)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("durability=disk", "durability 'disk', expected process or machine"),
        ("durability=", "durability '', expected process or machine"),
        ("size=4GB", "size '4GB', expected 1MiB or more, as 64GiB"),
        ("size=0", "size '0', expected 1MiB or more"),
        ("size=128TiB", "below 128TiB"),
        ("sync=no", "'sync' is no option; expected durability or size"),
    ],
)
def test_an_option_of_a_url_that_is_none_is_refused_with_those_that_are(
    query: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        open_store(f"lmdb:{tmp_path / 'store'}?{query}")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("library", "module", "url"),
    [("lmdb", "on_disk", "lmdb:there"), ("valkey", "on_valkey", "redis://me:secret@localhost")],
)
def test_a_library_that_is_missing_is_named_with_what_installs_it(
    library: str, module: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"dien.serving.store.{module}", raising=False)
    with pytest.raises(ConfigError, match=rf"needs {library}: pip install 'dien\[serve\]'") as refused:
        open_store(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://me:secret@host/0", "redis://host/0"),
        ("valkeys://:s@cr@t@host/0?socket_timeout=1", "valkeys://host/0?socket_timeout=1"),
        ("redis://host/0?password=secret&username=me&db=1", "redis://host/0?password=...&username=...&db=1"),
        ("redis://me:sec/r@et@host/0", "redis://host/0"),
        ("lmdb:a@b/c", "lmdb:a@b/c"),
    ],
)
def test_a_url_is_shown_without_a_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
