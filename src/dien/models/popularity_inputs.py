"""Popularity of a candidate as inputs of a network: logarithms of about the size of 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dien.data.batch import popularity_numbers

NEVER = 1.2
"""In place of the time since the last behaviour, where there is none: long ago."""
_DAY = 86_400.0


class PopularityInputs(nn.Module):
    """Turns the numbers of a batch's popularity into inputs; nothing of it is learned.

    Of ``F`` names that behaviours are counted by (the item and its features with ids), these are, in this
    order::

        log1p(count) / 8       behaviours of everyone until now, and in the last 7, 28 and 91 days, F numbers
                               each
        log1p(days) / 6        how many days ago the item's first behaviour was, 0 where there is none, as if
                               it were of now; and the last, 1.2 where there is none
        count > 0              whether there is any until now, F numbers

    Args:
        names: ``F``.

    Attributes:
        width: ``5 F + 2``.
        unit: ``[4 F + 2]`` what each number is multiplied by before the logarithm.
        size: ``[4 F + 2]`` what it is multiplied by after it.
    """

    unit: Tensor
    size: Tensor

    def __init__(self, names: int) -> None:
        super().__init__()
        self._names = names
        self.width = popularity_numbers(names) + names
        unit, size = torch.ones(2, popularity_numbers(names))
        unit[-2:], size[:-2], size[-2:] = 1 / _DAY, 1 / 8, 1 / 6
        # What follows from the schema is not for files of weights.
        self.register_buffer("unit", unit, persistent=False)
        self.register_buffer("size", size, persistent=False)

    def forward(self, popularity: Tensor) -> Tensor:
        """Turn ``[B, 4 F + 2]`` (:meth:`dien.data.popularity.Popularity.numbers`) into ``[B, 5 F + 2]``."""
        logs = torch.log1p(popularity * self.unit) * self.size
        some = (popularity[:, : self._names] > 0).to(logs.dtype)
        return torch.cat([logs[:, :-1].nan_to_num(0.0), logs[:, -1:].nan_to_num(NEVER), some], 1)
