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

from dien.data.batch import Batch, Columns, candidates_at_once
from dien.data.matches import matches_of
from dien.data.ragged import ranges, row_of, to_offsets
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

    @property
    def of_one_history(self) -> bool:
        """Whether all candidates read the same behaviours, as without ``filter_by``."""
        return len(self.reading.batch.offsets) == 2

    def steps_differ(self, removed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Mark where a candidate goes without one of its steps: ``[V, b]``.

        Args:
            removed: ``[V, T]`` the behaviours that each of ``V`` variants is without.
        """
        batch, T = self.reading.batch, removed.shape[1]
        offsets = batch.offsets.numpy()
        reads = np.zeros((T, len(offsets) - 1), np.float32)  # [T, F]
        reads[self.reading.read, row_of(np.diff(offsets))] = 1
        return (removed.astype(np.float32) @ reads > 0)[:, batch.history_of.numpy()]

    def variants(
        self,
        removed: NDArray[np.bool_],
        variant: NDArray[np.int64],
        candidate: NDArray[np.int64],
        matches: torch.Tensor | None,
    ) -> tuple[Batch, torch.Tensor]:
        """Assemble what the model reads of candidates without some behaviours.

        Args:
            removed: ``[V, T]`` the behaviours that each of ``V`` variants is without.
            variant: ``[n]`` of each row of the batch.
            candidate: ``[n]`` likewise.
            matches: ``[n, 1 + 3 F]`` likewise.

        Returns:
            A batch of ``n`` rows, and for each of its steps which step of the request it is.
        """
        batch, read = self.reading.batch, self.reading.read
        offsets, F = batch.offsets.numpy(), len(batch.offsets) - 1
        code = variant * F + batch.history_of.numpy()[candidate]
        codes, history_of = np.unique(code, return_inverse=True)
        of_variant, history = np.divmod(codes, F)  # [R]
        lengths = np.diff(offsets)[history]
        row = row_of(lengths)
        steps = ranges(offsets[history], lengths)
        kept = ~removed[of_variant[row], read[steps]]
        every, histories = torch.from_numpy(candidate), torch.from_numpy(history)
        read_steps = torch.from_numpy(steps[kept])
        found = Batch(
            history=taken(batch.history, read_steps),
            offsets=lengths_to_offsets(torch.from_numpy(np.bincount(row[kept], minlength=len(codes)))),
            history_of=torch.from_numpy(history_of),
            target=taken(batch.target, every),
            user=taken(batch.user, histories),
            context=taken(batch.context, histories),
            matches=matches,
            popularity=None if batch.popularity is None else batch.popularity[every],
        )
        return found, read_steps


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


def distinct(rows: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find equal rows of numbers ``[n, k]``.

    Returns:
        ``[u]`` the first of each that is not like another, and ``[n]`` which of these each row is like.
    """
    _, first, inverse = np.unique(_mixed(rows), return_index=True, return_inverse=True)
    if (rows[first][inverse] != rows).any():  # two of them mixed to one number
        _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)


def _mixed(rows: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Mix the numbers of each row to one, ``[n]``: rows that are equal to equal ones."""
    factors = np.random.default_rng(0).integers(1, 1 << 63, rows.shape[1], dtype=np.uint64) | np.uint64(1)
    mixed = np.zeros(len(rows), np.uint64)
    for column, factor in zip(rows.T, factors, strict=True):
        mixed += column.astype(np.uint64) * factor
    return mixed
