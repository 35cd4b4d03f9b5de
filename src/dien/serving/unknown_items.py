"""Items of requests that have no row: told apart, so that a target can match itself in a history."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.spelling import spelling_of


class UnknownItems:
    """Gives each unknown id a number below 0: the same for the same id, as long as this lives."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def told_apart(self, rows: NDArray[np.int32], ids: pl.Series | Sequence[str | None]) -> NDArray[np.int32]:
        """Put numbers below 0 in place of 0.

        Args:
            rows: ``[n]`` item rows, 0 where an id has none.
            ids: ``[n]`` raw ids; of null the row stays 0.
        """
        unknown = np.flatnonzero(rows == 0).tolist()
        if not unknown:
            return rows
        raw = ids.gather(unknown).to_list() if isinstance(ids, pl.Series) else [ids[k] for k in unknown]
        apart: NDArray[np.int32] = rows.copy()
        apart[unknown] = [0 if one is None else self._number(one) for one in raw]
        return apart

    def _number(self, raw: str) -> int:
        return self._numbers.setdefault(spelling_of(raw), -1 - len(self._numbers))
