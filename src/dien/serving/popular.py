"""The popularity of candidates at the time of their requests, as far as a scorer knows it."""

from __future__ import annotations

import warnings
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dien.data.batch import Columns
from dien.data.changing import LATEST
from dien.data.dataset import Dataset
from dien.data.popularity import DAY, Popularity, popularity_of
from dien.run import Run
from dien.serving.once import Once, depth_of_caller


class KnownPopularity:
    """Counts for requests, and says where it knows too little.

    Args:
        popularity: the behaviours that are counted; later ones, as of the histories of requests, are not.
    """

    def __init__(self, popularity: Popularity) -> None:
        self._popularity = popularity
        self._once = Once()

    @classmethod
    def of(cls, run: Run, data: Dataset | None) -> KnownPopularity | None:
        """Take what a run keeps, or what a dataset holds that goes on with the run's.

        Returns:
            None where the run's model reads no popularity.

        Raises:
            RunError: the run's file is missing or damaged.
            DataError: the times of the dataset are from more than 136 years.
        """
        if not run.config.model.popularity:
            return None
        return cls(run.popularity if data is None else popularity_of(data))

    def numbers(self, item: NDArray[np.integer], features: Columns, time: NDArray[np.int64] | None) -> Tensor:
        """Count for candidates.

        Args:
            item: ``[B]`` item rows, 0 or below of items without one.
            features: of the candidates, encoded, by name.
            time: ``[B]`` seconds since 1970 of their requests; where there is none, all behaviours count, as
                of the second after the last.
        """
        end = self._popularity.last + 1
        at = np.full(len(item), end) if time is None else np.where(time == LATEST, end, time)
        return self._popularity.numbers(item, features, at)

    def short_of(self, time: NDArray[np.int64] | None, counts: NDArray[np.integer]) -> tuple[int, int]:
        """Count the candidates of requests without a time, and of those that are too late to know of.

        Args:
            time: ``[R]`` seconds since 1970 of the requests; None where none has any.
            counts: ``[R]`` candidates of each.

        Returns:
            Those without a time; and those more than a day later than the last behaviour.
        """
        if time is None:
            return int(counts.sum()), 0
        late = (time != LATEST) & (time > self._popularity.last + DAY)
        return int(counts[time == LATEST].sum()), int(counts[late].sum())

    def warn(self, timeless: int, late: int, candidates: int, once: bool = False) -> None:
        """Warn of what :meth:`short_of` counts.

        Args:
            timeless: as it gives it.
            late: likewise.
            candidates: of how many.
            once: whether to say each only once.
        """
        last = datetime.fromtimestamp(self._popularity.last, timezone.utc).isoformat()
        said = {
            "time": (
                timeless,
                f"of requests without a time: their popularity is that of the end of the log ({last}); give "
                "time",
            ),
            "late": (
                late,
                f"of requests more than a day later than the last behaviour that is known ({last}): what was "
                "popular since is not counted, so that the last days seem to be empty, and scores may be far "
                "off; add what came later to the dataset folder (dien prepare ... --append) and score with "
                "it (--catalogue, of pairs --data)",
            ),
        }
        for name, (number, what) in said.items():
            if number and not (once and not self._once.is_first(name)):
                warnings.warn(
                    f"model.popularity: {number:,} of {candidates:,} candidates are {what} (docs/requests.md)"
                    + once * "; a scorer says so once",
                    stacklevel=depth_of_caller() if once else 3,
                )
