"""What is counted while the tables of a log are read, over all of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dien.data.log import Join
from dien.data.sources.table.incomplete import Incomplete
from dien.data.spelling import Spelling
from dien.progress import Progress

_RESPELT = "ids and categories in another spelling (12.0 is read as 12, True as true)"


@dataclass
class Counts:
    """What is left out or odd, and how far the reading is.

    Attributes:
        incomplete: leaves out rows that lack a user, an item, a time or a label.
        progress: called with the number of bytes just read from disk; None for nobody.
        spelling: gives ids and categories their one spelling.
        excluded: how often anything else was left out or odd, by what it was.
        joins: how the tables of items and users meet the log.
    """

    incomplete: Incomplete
    progress: Progress | None = None
    spelling: Spelling = field(default_factory=Spelling)
    excluded: dict[str, int] = field(default_factory=dict)
    joins: list[Join] = field(default_factory=list)

    def add(self, what: str, count: int) -> None:
        """Count what was left out or odd."""
        self.excluded[what] = self.excluded.get(what, 0) + int(count)

    def add_all(self, found: Mapping[str, int]) -> None:
        """Count several such things."""
        for what, count in found.items():
            self.add(what, count)

    def found(self) -> dict[str, int]:
        """List all that occurred, rows without a value first."""
        every = {**self.incomplete.counts, **self.excluded, _RESPELT: self.spelling.count}
        return {what: count for what, count in every.items() if count}
