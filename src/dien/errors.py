"""Errors in what the program was given. The command line prints them without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DienError(ValueError):
    """Input that cannot be used; the message says where, what was expected and how to mend it."""


class ConfigError(DienError):
    """A configuration that cannot be used; the message names the key."""


class DataError(DienError):
    """A file or dataset folder that cannot be used; the message names the file, and the row and column."""


class RunError(DienError):
    """A run folder that cannot be used; the message names the file."""


class StoreError(DienError):
    """A store of users' behaviours that cannot be used; the message names the store, or the user."""


class PublishError(DienError):
    """A folder of published models that cannot be used, or a run that cannot be published there."""


class DatasetWarning(UserWarning):
    """What is odd in a dataset that is trained on all the same."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that is spelled most like an unknown one, for "did you mean"; None if none is."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, 0.8)), None)


def visible(text: str) -> str:
    """Write what cannot be seen in a text, as a byte order mark, by its number."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
