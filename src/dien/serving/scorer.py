"""Scores from raw ids, through the same encoding as training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dien.data.batches import assemble
from dien.data.prepared import FeatureTable
from dien.data.ragged import ranges, row_of, to_offsets
from dien.run import Run

RawId = str | int
CANDIDATES_AT_ONCE = 2048


class Scorer:
    """Click probabilities of candidates, given a user and the items they have clicked.

    Args:
        run: a finished RUN; nothing but its folder is needed.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.model = run.load_model()
        self.context = tuple(feature.name for feature in run.schema.of("context"))

    @classmethod
    def load(cls, path: Path | str) -> Scorer:
        """Open a RUN.

        Raises:
            RunError: the folder is no finished RUN.
        """
        return cls(Run.open(path))

    def score(
        self,
        user: RawId | None,
        history: Sequence[RawId],
        candidates: Sequence[RawId],
        context: Mapping[str, RawId] | None = None,
    ) -> NDArray[np.float64]:
        """Score one request.

        Ids the RUN does not know are legal: they count as "unknown".

        Args:
            user: raw id of the user, None where there is none.
            history: raw ids of the items clicked so far, oldest first; the newest are read.
            candidates: raw ids of the items to score.
            context: raw value of each context feature; what is missing counts as unknown.

        Returns:
            ``[B]`` probability of a click on each candidate.

        Raises:
            ValueError: a context feature the RUN does not have.
        """
        context = context or {}
        if unknown := set(context) - set(self.context):
            raise ValueError(
                f"context: no feature {', '.join(sorted(unknown))} in this RUN; "
                f"expected {', '.join(self.context) or 'none'}"
            )
        item, user_row = self.run.item_ids.index, self.run.user_ids.index(user)
        vocabularies = self.run.vocabularies
        return self.score_rows(
            user=np.array([user_row]),
            history=np.array([item(i) for i in history[-self.run.config.model.max_history :]], np.int64),
            lengths=np.array([min(len(history), self.run.config.model.max_history)]),
            candidates=np.array([item(i) for i in candidates], np.int64),
            counts=np.array([len(candidates)]),
            context={
                name: np.array([vocabularies[name].index(context.get(name))], np.int32)
                for name in self.context
            },
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
    ) -> NDArray[np.float64]:
        """Score ``R`` requests given as rows of the RUN's tables.

        Args:
            user: ``[R]`` user rows.
            history: item rows of the histories, request after request, oldest first.
            lengths: ``[R]`` behaviours of each request; the newest ``max_history`` are read.
            candidates: ``[B]`` item rows, request after request.
            counts: ``[R]`` candidates of each request.
            context: ``[R]`` index of each context feature.

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
            batch = assemble(
                self.run.items,
                self.run.users,
                history=history[ranges((ends - kept)[first:last], kept[first:last])],
                offsets=to_offsets(kept[first:last]),
                target=candidates[now],
                history_of=request[now] - first,
                user=user[first:last],
                context={name: column[first:last] for name, column in context.items()},
            )
            with torch.inference_mode():
                logits = self.model(batch).logits
            scores[now] = torch.sigmoid(logits.double()).numpy()
        return scores
