"""Ids that seem to mark what is missing, as NA: one user that most of a log belongs to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from dien.data.readers.nulls import LIKELY
from dien.data.sources.table.counts import Counts
from dien.data.sources.table.values import Codes
from dien.errors import DataError

_SHARE = 0.01  # of rows; fewer are counted alone


def count_likely_nulls(
    where: str,
    what: str,
    column: str,
    codes: Codes,
    rows: pl.Series,
    said: Sequence[str] | None,
    counts: Counts,
) -> None:
    """Refuse an id that seems to mark what is missing and that many rows have; count rows with another one.

    Args:
        where: the files, for errors.
        what: whose ids they are: ``user`` or ``item``.
        column: that holds them.
        codes: of all ids.
        rows: ``[E]`` the row, from 1, of the id of each event.
        said: the marks that the schema names: other ids are counted alone then, and none where it is empty.
        counts: such rows are counted there.

    Raises:
        DataError: one row in a hundred, and more than one, has such an id.
    """
    if said is not None and not said:
        return
    names = codes.values()
    for code in names.is_in(LIKELY).to_numpy().nonzero()[0]:
        count = int(np.count_nonzero(rows.to_numpy() == code + 1))
        name = names[int(code)]
        if said is None and count > 1 and count >= _SHARE * len(rows):
            raise DataError(
                f"{where}: column {column!r}: {name!r} is the {what} of {count:,} of {len(rows):,} rows"
                f", and seems to mark a missing one; expected ids; say nulls: [{name}] in the schema, leave"
                f" these rows out (--skip-bad {count}), or name another column as {what}; or say nulls: []"
                " where it is an id"
            )
        if count:
            counts.add(f"rows whose {what} is {name} (kept; missing if nulls in the schema names it)", count)
