"""How often, and how long ago, a history has a candidate's value."""

from __future__ import annotations

import torch
from torch import Tensor

from dien.ops.dispatch import define
from dien.ops.matches import cpu, reference
from dien.ops.matches.arguments import Arguments, check
from dien.packed import Packed


def matches(
    history: Tensor | Packed, offsets: Tensor, target: Tensor | Packed, history_of: Tensor
) -> tuple[Tensor, Tensor]:
    """Count the behaviours of a history that have a candidate's value, and find the newest.

    Of lists, one value in common is enough. The value 0 stands for unknown and matches nothing. Without a
    gradient. In C++ it takes time in proportion to behaviours and candidates, not to pairs of them.

    Args:
        history: ``[N]`` integers, a value of each behaviour, history after history, oldest first; or packed
            lists of values, of which there are ``N``.
        offsets: ``[R + 1]`` integers, where each history begins among the behaviours, and ``N``.
        target: ``[B]`` integers, a value of each candidate; or packed lists.
        history_of: ``[B]`` integers, the history of each candidate.

    Returns:
        ``[B]`` int64 how many behaviours match, and ``[B]`` int64 how many steps back the newest of these is:
        1 for the newest behaviour of all, 0 where none matches.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    (values, lists), (wanted, wanted_lists) = _parts(history), _parts(target)
    count, back = torch.ops.dien.matches(values, lists, offsets, wanted, wanted_lists, history_of)
    return count, back


def _parts(column: Tensor | Packed) -> tuple[Tensor, Tensor | None]:
    return (column.values, column.offsets) if isinstance(column, Packed) else (column, None)


define(
    "matches({}) -> (Tensor, Tensor)",
    reference.search,
    check=check,
    cpu=cpu.search,
    fake=cpu.empty,
    arguments=Arguments,
    computes=False,
)
