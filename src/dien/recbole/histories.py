"""RecBole's padded histories, packed, each once: sampled negatives and candidates repeat them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dien.packed import Packed


class Histories(NamedTuple):
    """The distinct histories of a batch.

    Attributes:
        items: values ``[N]``, ids of the items of ``R`` histories.
        negatives: ``[N]`` ids of items that were not clicked, or None.
        of_row: ``[B]`` the history of each row, or None where row ``b`` has history ``b``.
    """

    items: Packed
    negatives: Tensor | None
    of_row: Tensor | None

    @classmethod
    def of(
        cls,
        item_seq: Tensor,
        item_seq_len: Tensor,
        neg_item_seq: Tensor | None = None,
        *,
        equally_often: bool = False,
    ) -> Histories:
        """Pack the histories of a batch.

        Args:
            item_seq: ``[B, T]`` ids, filled up at the end.
            item_seq_len: ``[B]`` between 0 and ``T``.
            neg_item_seq: ``[B, T]``, or None.
            equally_often: leave repeated histories as they are unless each stands in as many rows, so that a
                mean over histories is the mean over rows.

        Raises:
            ValueError: a length is out of range.
        """
        parts = [item_seq] if neg_item_seq is None else [item_seq, neg_item_seq]
        rows = torch.cat([item_seq_len[:, None], *parts], 1)
        once, of_row, times = torch.unique(rows, dim=0, return_inverse=True, return_counts=True)
        repeated = once.shape[0] < rows.shape[0]
        if not repeated or (equally_often and bool((times != times[0]).any())):
            once, of_row = rows, None
        lengths, items, *rest = once.split([1, *(part.shape[1] for part in parts)], 1)
        packed = Packed.from_padded(items, lengths.squeeze(1))
        negatives = Packed.from_padded(rest[0], lengths.squeeze(1)).values if rest else None
        return cls(packed, negatives, of_row)

    def with_negatives(self, items: int) -> Histories:
        """Draw negatives: for each step any item but the one clicked there, as RecBole's SeqSampler.

        Args:
            items: how many there are, RecBole's padding, id 0, among them.
        """
        clicked = self.items.values
        drawn = torch.randint(1, items - 1, clicked.shape, device=clicked.device)
        return self._replace(negatives=drawn + (drawn >= clicked))
