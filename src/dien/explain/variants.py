"""A request without some of its behaviours: what the model then reads, and the logits it gives.

What is left out of a request is left out of all that the model reads of it: of its steps, with their times
and features, and of the behaviours that matches are counted over. Which behaviours these are is settled
before: the newest ``max_history`` (those that ``filter_by`` finds for the candidate), and the newest
``match_history`` for matches. None that is older takes the place of one that is left out, since the
difference would then tell of two behaviours and not of one. So where a history is no longer than what the
model reads of it, the logits are those of the request without these behaviours, as
:meth:`dien.Scorer.score` scores it; where it is longer, those of a model that reads as many fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dien.data.batch import (
    ENTRIES_AT_ONCE,
    STEPS_AT_ONCE,
    Batch,
    Columns,
    candidates_at_once,
)
from dien.data.matches import matches_of
from dien.data.ragged import to_offsets
from dien.packed import Packed, Pairs, lengths_to_offsets
from dien.serving import Scorer
from dien.serving.request import CheckedRequest, Request
from dien.serving.rows import Reading, Rows

CANDIDATES_AT_ONCE = 2048


@dataclass(frozen=True)
class Read:
    """Some candidates of one request, as the model reads them.

    Attributes:
        scorer: of the run.
        rows: the request, encoded; its ``T`` behaviours are all that the model reads anything of.
        candidates: which.
        reading: the input of the model.
    """

    scorer: Scorer
    rows: Rows
    candidates: slice
    reading: Reading

    def matches(self, removed: NDArray[np.bool_]) -> torch.Tensor | None:
        """Count the matches of every candidate without some behaviours.

        Args:
            removed: ``[V, T]`` the behaviours that each of ``V`` variants is without.

        Returns:
            ``[V * b, 1 + 3 F]`` as :func:`dien.data.matches.matches_of`, variant after variant; None where
            the model reads no matches.
        """
        model, rows = self.scorer.run.config.model, self.rows
        if not model.matches:
            return None
        batch, V = self.reading.batch, len(removed)
        kept = ~removed[:, -min(model.match_history, removed.shape[1]) or None :]  # [V, L]
        _, place = kept.nonzero()
        b = len(batch)
        return matches_of(
            self.scorer.run.schema.matched,
            self.scorer.catalogue.items,
            item=rows.history,
            time=rows.times,
            place=place + (removed.shape[1] - kept.shape[1]),
            offsets=to_offsets(kept.sum(1)),
            target=np.tile(rows.candidates[self.candidates], V),
            target_features=taken(batch.target, torch.arange(b).repeat(V)),
            history_of=np.repeat(np.arange(V), b),
            now=None if rows.time is None else np.repeat(rows.time, V),
            timed=self.scorer.fields.timed,
        )

    def without(self, removed: NDArray[np.bool_]) -> Batch:
        """Assemble what the model reads of the request without some behaviours.

        Args:
            removed: ``[V, T]`` the behaviours that each of ``V`` variants is without.

        Returns:
            A batch of ``V * b`` candidates, variant after variant.
        """
        batch, V = self.reading.batch, len(removed)
        b, F = len(batch), len(batch.offsets) - 1
        kept = torch.from_numpy(~removed[:, self.reading.read])  # [V, N]
        before = torch.nn.functional.pad(kept.cumsum(1), (1, 0))  # [V, N + 1]
        lengths = before[:, batch.offsets].diff(dim=1)  # [V, F]
        every, histories = torch.arange(b).repeat(V), torch.arange(F).repeat(V)
        variant = torch.arange(V)[:, None]
        return Batch(
            history=taken(batch.history, kept.nonzero()[:, 1]),
            offsets=lengths_to_offsets(lengths.flatten()),
            history_of=(variant * F + batch.history_of).flatten(),
            target=taken(batch.target, every),
            user=taken(batch.user, histories),
            context=taken(batch.context, histories),
            matches=self.matches(removed),
            popularity=None if batch.popularity is None else batch.popularity[every],
        )


def read(scorer: Scorer, request: Request | CheckedRequest) -> Iterator[Read]:
    """Read a request, so many candidates at once that memory is bounded.

    Args:
        scorer: of the run.
        request: checked or not.

    Raises:
        ValueError: as :meth:`dien.Scorer.score`.
    """
    if isinstance(request, Request):
        request = scorer.check(request)
    rows, model = scorer.encode([request]), scorer.run.config.model
    for now in candidates_at_once(rows.counts, rows.lengths, CANDIDATES_AT_ONCE, model.max_history):
        yield Read(scorer, rows, now, scorer.read(rows, now))


def at_once(removed: NDArray[np.bool_], one: Read) -> Iterator[slice]:
    """Cut variants ``[V, T]`` of a request so that memory is bounded: slices of them, in order."""
    V, T = removed.shape
    b, reads = len(one.reading.batch), one.scorer.run.config.model.max_history
    most = max(1, min(STEPS_AT_ONCE // (b * reads), ENTRIES_AT_ONCE // max(1, T)))
    yield from (slice(start, min(start + most, V)) for start in range(0, V, most))


def taken(columns: Columns, rows: torch.Tensor) -> Columns:
    """Take rows ``[n]`` of features."""
    found: Columns = {}
    for name, column in columns.items():
        if isinstance(column, Packed):
            lengths = column.lengths[rows]
            step = Pairs(column.offsets[:-1][rows], lengths).step
            found[name] = Packed(column.values[step], lengths_to_offsets(lengths))
        else:
            found[name] = column.index_select(0, rows)
    return found
