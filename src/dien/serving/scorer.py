"""Scores from raw ids, through the same encoding as training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from dien.data.batches import assemble
from dien.data.ragged import ranges, row_of, to_offsets
from dien.data.tables import FeatureTable
from dien.run import Run
from dien.serving.features import TIME, TIMES, Field, RequestFields

RawId = str | int
CANDIDATES_AT_ONCE = 2048


class Scorer:
    """Click probabilities of candidates, given a user and the items they have clicked.

    Args:
        run: a finished run; nothing but its folder is needed.
    """

    def __init__(self, run: Run) -> None:
        if not isinstance(run, Run):
            raise TypeError(
                f"Scorer: found a {type(run).__name__}, expected a Run; Scorer.load(path) opens a run folder"
            )
        self.run = run
        self.model = run.load_model()
        self.fields = RequestFields(run)

    def __repr__(self) -> str:
        return f"Scorer({str(self.run.path)!r}: {self.run.config.model.name})"

    @classmethod
    def load(cls, path: Path | str) -> Scorer:
        """Open a run folder.

        Raises:
            RunError: the folder is no finished run.
        """
        return cls(Run.open(path))

    def score(
        self,
        user: RawId | None,
        history: Sequence[RawId],
        candidates: Sequence[RawId],
        context: Mapping[str, Any] | None = None,
        behaviours: Mapping[str, Sequence[Any]] | None = None,
        times: Sequence[int | None] | None = None,
        time: int | None = None,
    ) -> NDArray[np.float64]:
        """Score one request.

        Ids the run does not know are legal: they count as "unknown".

        Args:
            user: raw id of the user, None where there is none.
            history: raw ids of the items clicked so far, oldest first; the newest are read.
            candidates: raw ids of the items to score.
            context: raw value of each context feature: an id, a list of ids (multi-valued) or a number, as
                when preparing; what is missing or None counts as unknown.
            behaviours: of each behaviour feature, a raw value for each entry of the history; likewise.
            times: when each entry of the history was, in seconds since 1970, for runs with ``time_since``;
                unknown without.
            time: of the request, likewise.

        Returns:
            ``[B]`` probability of a click on each candidate.

        Raises:
            ValueError: a feature the run does not have, a value that is not of its feature's kind, or not one
                for each entry of the history.
        """
        most = self.run.config.model.max_history
        given = _columns("context", context or {}, self.fields.context)
        of_history = _columns("behaviours", behaviours or {}, self.fields.behaviours, len(history), most)
        if times is not None:
            of_history |= _columns("request", {"times": times}, (TIMES,), len(history), most)
        item, user_row = self.run.item_ids.index, self.run.user_ids.index(user)
        lengths = np.array([min(len(history), most)])
        return self.score_rows(
            user=np.array([user_row]),
            history=np.array([item(i) for i in history[-most:]], np.int64),
            lengths=lengths,
            candidates=np.array([item(i) for i in candidates], np.int64),
            counts=np.array([len(candidates)]),
            context=self.fields.encode_context(given, 1),
            behaviours=self.fields.encode_behaviours(of_history, lengths, TIME.column([time])),
        )

    def score_rows(
        self,
        *,
        user: NDArray[np.integer],
        history: NDArray[np.integer],
        lengths: NDArray[np.integer],
        candidates: NDArray[np.integer],
        counts: NDArray[np.integer],
        context: FeatureTable,
        behaviours: FeatureTable,
    ) -> NDArray[np.float64]:
        """Score ``R`` requests given as rows of the run's tables.

        Args:
            user: ``[R]`` user rows.
            history: item rows of the histories, request after request, oldest first.
            lengths: ``[R]`` behaviours of each request; the newest ``max_history`` are read.
            candidates: ``[B]`` item rows, request after request.
            counts: ``[R]`` candidates of each request.
            context: encoded context features ``[R]``.
            behaviours: encoded behaviour features of the histories, ``time_since`` included.

        Returns:
            ``[B]`` probabilities.
        """
        kept = np.minimum(lengths, self.run.config.model.max_history)
        ends = np.cumsum(lengths)
        request = row_of(counts)  # [B]
        scores = np.empty(len(candidates))
        # Memory is bounded by the candidates at once, however many a request has.
        for start in range(0, len(candidates), CANDIDATES_AT_ONCE):
            now = slice(start, start + CANDIDATES_AT_ONCE)
            first, last = request[now][0], request[now][-1] + 1
            read = ranges((ends - kept)[first:last], kept[first:last])  # [N] entries of the histories
            batch = assemble(
                self.run.items,
                self.run.users,
                history=history[read],
                offsets=to_offsets(kept[first:last]),
                target=candidates[now],
                history_of=request[now] - first,
                user=user[first:last],
                context={name: column[np.arange(first, last)] for name, column in context.items()},
                behaviour={name: column[read] for name, column in behaviours.items()},
            )
            with torch.inference_mode():
                logits = self.model(batch).logits
            scores[now] = torch.sigmoid(logits.double()).numpy()
        return scores


def _columns(
    what: str,
    given: Mapping[str, Any],
    fields: Sequence[Field],
    length: int | None = None,
    newest: int = 0,
) -> dict[str, pl.Series]:
    """Check raw values of one request: one of each field or, with a length, so many, of which the newest."""
    known = {field.name: field for field in fields}
    columns = {}
    for name, values in given.items():
        if name not in known:
            raise ValueError(f"{what}: no feature {name} in this run; expected {', '.join(known) or 'none'}")
        if length is None:
            columns[name] = known[name].column([values])
            continue
        if isinstance(values, str) or not hasattr(values, "__len__") or len(values) != length:
            raise ValueError(f"{name}: {values!r}, expected {length} values, one for each of the history")
        columns[name] = known[name].entry.column(values[-newest:])
    return columns
