"""A store by its URL."""

import pytest

from dien.errors import ConfigError
from dien.serving.store import open_store


@pytest.mark.parametrize("url", ["", "memory", "memory:x", "sqlite:file", "http://host"])
def test_what_is_no_url_of_a_store_is_refused_with_those_that_are(url: str) -> None:
    with pytest.raises(ConfigError, match=r"expected memory:"):
        open_store(url)
