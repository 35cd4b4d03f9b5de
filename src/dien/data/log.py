"""What every source hands to a recipe: events, items and users as tables of raw ids, and their origin."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl


@dataclass(frozen=True)
class SourceFile:
    """A file that was read.

    Attributes:
        name: its name, without the folder it lay in.
        sha256: of its bytes as they lie on disk, compressed or not.
        size: bytes.
    """

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Log:
    """A click log with raw ids, before any recipe.

    Attributes:
        events: in the order of the source. Columns ``user`` and ``item`` (String), ``time`` (Int64, seconds
            since 1970), ``label`` (Int8, 1 clicked and 0 shown but not clicked) only where the log has real
            negatives, and a String column for each context feature.
        items: column ``item`` (String, unique) and a String column for each item feature, null where unknown.
            Every item of ``events`` has a row.
        users: column ``user`` (String, unique) and a String column for each user feature, null where unknown.
            Every user of ``events`` has a row.
        sources: the files that were read.
        excluded: what was left out, and how often, for the report.
    """

    events: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame
    sources: tuple[SourceFile, ...]
    excluded: dict[str, int] = field(default_factory=dict)


class DataError(ValueError):
    """Input that cannot be used; the message says where, what was expected and how to mend it."""
