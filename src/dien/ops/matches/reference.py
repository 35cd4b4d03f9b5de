"""Plain PyTorch backend of ``matches``: every candidate against every behaviour of its history."""

from __future__ import annotations

import torch
from torch import Tensor

from dien.ops.matches.arguments import Arguments, check_values
from dien.packed import Pairs


def search(given: Arguments) -> tuple[Tensor, Tensor]:
    """Compute :func:`dien.ops.matches`; memory grows with the pairs of values that are compared."""
    if given.history.device.type == "cpu":  # other devices find out by themselves, and do not wait for it
        check_values(given)
    offsets, history_of = given.offsets.to(torch.int64), given.history_of.to(torch.int64)
    pairs = Pairs.of_histories(offsets, history_of)
    first, many = _lists(given.history_lists, pairs.step)  # [P]
    first_of_target, many_of_target = _lists(given.target_lists, pairs.row)  # [P]
    each = Pairs(torch.zeros_like(many), many * many_of_target)  # every value with every value
    width = many_of_target[each.row]
    value = given.history[first[each.row] + each.step // width]
    wanted = given.target[first_of_target[each.row] + each.step % width]
    same = (value == wanted) & (value != 0)
    matched = torch.zeros_like(pairs.row).index_add(0, each.row[same], torch.ones_like(each.row[same])) > 0
    row, step = pairs.row[matched], pairs.step[matched]
    count = torch.zeros_like(history_of).index_add(0, row, torch.ones_like(row))
    back = offsets[1:][history_of[row]] - step
    newest = torch.zeros_like(history_of).scatter_reduce(0, row, back, "amin", include_self=False)
    return count, newest


def _lists(offsets: Tensor | None, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Give the first value and the number of values of each list that is wanted ``[P]``."""
    if offsets is None:
        return wanted, torch.ones_like(wanted)
    offsets = offsets.to(torch.int64)
    return offsets[wanted], offsets[wanted + 1] - offsets[wanted]
