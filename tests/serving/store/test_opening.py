"""A store by its URL."""

import sys
from pathlib import Path

import pytest

from dien.errors import ConfigError
from dien.serving.store import open_store


@pytest.mark.parametrize(
    "url", ["", "memory", "memory:x", "lmdb:", "lmdb:?size=1GiB", "sqlite:file", "http://host"]
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


def test_a_library_that_is_missing_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "lmdb", None)
    monkeypatch.delitem(sys.modules, "dien.serving.store.on_disk", raising=False)
    with pytest.raises(ConfigError, match=r"needs lmdb: pip install 'dien\[serve\]'"):
        open_store(f"lmdb:{tmp_path}")
