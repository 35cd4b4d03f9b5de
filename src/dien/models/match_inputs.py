"""Matches of target and history as inputs of a network: logarithms of about the size of 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dien.data.batch import match_numbers

NONE = 1.2
"""In place of steps or time where nothing matches: longer ago than any match."""
_DAY = 86_400.0


class MatchInputs(nn.Module):
    """Turns the numbers of a batch's matches into inputs; nothing of it is learned.

    Of ``F`` names that target and history are matched by (the item and its features with ids), these are, in
    this order::

        log1p(length) / 7      behaviours of the history
        log1p(count) / 3       how many of them match, F numbers
        log1p(steps) / 7       how many steps back the newest of these is, F numbers; 1.2 where none matches
        log1p(days) / 6        how many days before the impression, F numbers; 1.2 where none matches, or the
                               time is not known
        count > 0              whether any matches, F numbers

    Training hides the matches of some candidates: all of their inputs are 0 then, as those of no candidate
    else. With matches always in sight a network learns by them what it might have learned by embeddings, and
    where rows are few these stay poor (docs/ablations.md).

    Args:
        names: ``F``.
        dropout: fraction of the candidates whose matches training hides.

    Attributes:
        width: ``1 + 4 F``.
        unit: ``[1 + 3 F]`` what each number is multiplied by before the logarithm.
        size: ``[1 + 3 F]`` what it is multiplied by after it.
    """

    unit: Tensor
    size: Tensor

    def __init__(self, names: int, dropout: float = 0.0) -> None:
        super().__init__()
        self._dropout = dropout
        self.width = 1 + 4 * names
        self._names = names
        unit = torch.ones(match_numbers(names))
        unit[1 + 2 * names :] = 1 / _DAY
        size = torch.full_like(unit, 1 / 7)
        size[1 : 1 + names] = 1 / 3
        size[1 + 2 * names :] = 1 / 6
        # What follows from the schema is not for files of weights.
        self.register_buffer("unit", unit, persistent=False)
        self.register_buffer("size", size, persistent=False)

    def forward(self, matches: Tensor) -> Tensor:
        """Turn ``[B, 1 + 3 F]`` (:func:`dien.data.matches.matches_of`) into ``[B, 1 + 4 F]``."""
        logs = torch.log1p(matches * self.unit) * self.size
        some = (matches[:, 1 : 1 + self._names] > 0).to(logs.dtype)
        found = torch.cat([logs.nan_to_num(NONE), some], 1)
        if self.training and self._dropout:
            found = found * (torch.rand(len(found), 1, device=found.device) >= self._dropout)
        return found
