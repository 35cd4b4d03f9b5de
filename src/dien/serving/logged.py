"""A run and its dataset folder, in which the histories are looked up of what is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dien.data.batch import ENTRIES_AT_ONCE
from dien.data.changing import LATEST, values_at
from dien.data.dataset import Dataset
from dien.data.features import TIME_SINCE
from dien.data.features.columns import rows_of
from dien.data.ragged import ranges, to_offsets, whole_rows
from dien.data.tables import FeatureTable
from dien.run import Run
from dien.serving.catalogue import as_known
from dien.serving.features import Described
from dien.serving.scored import ScoredFile, by_column
from dien.serving.scorer import Scorer


class Logged:
    """A run and its dataset, or one that has grown from it: histories are looked up there.

    Args:
        scorer: of the run, and of that dataset.

    Attributes:
        scorer: likewise.
        dataset: the dataset.
    """

    def __init__(self, scorer: Scorer) -> None:
        assert scorer.data is not None
        self.scorer, self.dataset = scorer, scorer.data

    @classmethod
    def open(
        cls, run: Run | Path | str, data: Dataset | Path | str | None, device: str, base_rate: float | None
    ) -> Logged:
        """Open a run and its dataset; arguments and errors as of :func:`~dien.serving.score_split`."""
        run = run if isinstance(run, Run) else Run.open(run)
        return cls(Scorer(run, run.dataset(data), device, base_rate))

    def __reduce__(self) -> Any:
        """Pickle the scorer, which opens the dataset again."""
        return Logged, (self.scorer,)

    @property
    def read(self) -> dict[str, Path]:
        """What is read, by what it is: nothing may be written there."""
        return {"the dataset folder": self.dataset.path}

    def known(self, table: FeatureTable) -> FeatureTable:
        """Make what the run does not know, as it came later, unknown."""
        return as_known(self.scorer.run.schema.features, table)

    def score(
        self,
        user: NDArray[np.integer],
        of_request: tuple[NDArray[np.int64], NDArray[np.int64]],
        time: NDArray[np.int64],
        item: NDArray[np.integer],
        counts: NDArray[np.integer],
        context: FeatureTable,
        items: Described,
        users: Described,
        result: ScoredFile,
    ) -> dict[str, NDArray[np.float64]]:
        """Score candidates ``[B]`` over the histories of ``R`` requests, and count what is not known.

        Histories are looked up in parts, so that memory does not grow with their length.

        Args:
            user: ``[R]`` user rows.
            of_request: ``[R]`` where their histories begin, before the newest are taken, and where they end
                among the behaviours of all users.
            time: ``[R]`` seconds since 1970; the largest number where there is none.
            item: ``[B]`` item rows, request after request.
            counts: ``[R]`` candidates of each.
            context: encoded context features ``[R]``.
            items: features of the candidates that count in place of the dataset's.
            users: of the users, likewise.
            result: what is counted in.
        """
        begin, end = of_request
        start = np.maximum(begin, end - self.scorer.run.config.model.longest_history)
        first = to_offsets(counts)
        found = []
        for some in list(whole_rows(to_offsets(end - start), ENTRIES_AT_ONCE)) or [slice(0, 0)]:
            candidates = slice(int(first[some.start]), int(first[some.stop]))
            part = self._score(
                user[some],
                (start[some], end[some]),
                time[some],
                item[candidates],
                counts[some],
                {name: rows_of(column, some) for name, column in context.items()},
                _part(items, candidates),
                _part(users, some),
                result,
            )
            found.append(part)
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def _score(
        self,
        user: NDArray[np.integer],
        of_request: tuple[NDArray[np.int64], NDArray[np.int64]],
        time: NDArray[np.int64],
        item: NDArray[np.integer],
        counts: NDArray[np.integer],
        context: FeatureTable,
        items: Described,
        users: Described,
        result: ScoredFile,
    ) -> dict[str, NDArray[np.float64]]:
        """Score what is looked up at once."""
        scorer, behaviours = self.scorer, self.dataset.behaviours
        schema = scorer.run.schema
        start, end = of_request
        place = ranges(start, end - start)  # [N]
        history = behaviours.item[place]
        features = self.known({name: column[place] for name, column in behaviours.features.items()})
        for feature in schema.of("behaviour"):
            if feature.name == TIME_SINCE:
                now = np.repeat(time, end - start)
                since = np.where(now == LATEST, np.nan, now - behaviours.time[place])
                features[TIME_SINCE] = feature.encode(since, {})
        scores = scorer.score_rows(
            user=user,
            history=history,
            lengths=end - start,
            candidates=item,
            counts=counts,
            context=context,
            behaviours=features,
            candidate_features=items,
            user_features=users,
            time=time,
            times=np.asarray(behaviours.time[place]),
            conversions=scorer.predicts_conversions,
            result=result,
        )
        result.candidates += len(item)
        result.behaviours += len(history)
        result.untimed_behaviours += int((end - start)[time == LATEST].sum()) * scorer.fields.ages
        result.unknown_candidates += int(self.unknown("item", item).sum())
        result.unknown_behaviours += int(self.unknown("item", history).sum())
        return by_column(scores)

    def unknown(self, side: Literal["item", "user"], rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Mark the rows whose id no training row has."""
        catalogue = self.scorer.catalogue
        table = catalogue.items if side == "item" else catalogue.users
        feature = self.scorer.run.schema.id_of(side)
        if feature is None:
            return ~np.asarray(rows, bool)
        ids = values_at({feature.name: table[feature.name]}, rows, None)[feature.name]
        return ~feature.stored.known(ids)


def _part(given: Described, rows: slice) -> Described:
    """Take what requests say of some candidates or users."""
    return {name: (rows_of(column, rows), known[rows]) for name, (column, known) in given.items()}


def with_conversions(columns: pa.Schema, scorer: Scorer) -> pa.Schema:
    """Add the column of conversions, where the run predicts them."""
    if not scorer.predicts_conversions:
        return columns
    name = "conversions" if "scores" in columns.names else "conversion"
    like = columns.field("scores" if "scores" in columns.names else "score")
    return columns.append(like.with_name(name))
