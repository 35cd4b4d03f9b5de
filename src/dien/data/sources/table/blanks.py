"""Ids with blanks around them: each is an id of its own, which is seldom meant."""

from __future__ import annotations

import warnings

from dien.data.sources.table.counts import Counts
from dien.data.sources.table.values import Codes


def count_blanks(where: str, what: str, column: str, codes: Codes, counts: Counts) -> None:
    """Count ids with blanks around them, and warn where one is there without them, too.

    Args:
        where: the files, for the warning.
        what: whose ids they are: ``user`` or ``item``.
        column: that holds them.
        codes: of all ids.
        counts: gets how many there are.
    """
    names = codes.values()
    plain = names.str.strip_chars()
    odd = names != plain
    if not odd.any():
        return
    counts.add(f"{what}s whose id has blanks around it (kept, the blanks are of the id)", int(odd.sum()))
    twice = odd & plain.is_in(names.filter(~odd).to_list())
    if twice.any():
        index = int(twice.arg_max() or 0)
        warnings.warn(
            f"{where}: column {column!r}: {names[index]!r} and {plain[index]!r} are two {what}s, and "
            f"{int(twice.sum()):,} {what}s differ so by blanks alone from another one; take the blanks away",
            stacklevel=2,
        )
