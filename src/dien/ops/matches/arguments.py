"""The arguments of the operator ``matches``, and what is refused."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dien.ops.checks import check_integers, refuse, shape

_NAME = "matches"


class Arguments(NamedTuple):
    """Values of behaviours and candidates, one of each or lists of them.

    Attributes:
        history: ``[V]`` values of the behaviours, history after history.
        history_lists: ``[N + 1]``, where the values of each behaviour begin, and ``V``; None where each has
            one, so that ``V = N``.
        offsets: ``[R + 1]`` of the histories among the behaviours.
        target: ``[W]`` values of the candidates.
        target_lists: ``[B + 1]``, likewise.
        history_of: ``[B]``.
    """

    history: Tensor
    history_lists: Tensor | None
    offsets: Tensor
    target: Tensor
    target_lists: Tensor | None
    history_of: Tensor


def check(given: Arguments) -> None:
    """Refuse shapes and types that do not fit, quoting them and the rule."""
    named = {name: tensor for name, tensor in given._asdict().items() if tensor is not None}
    check_integers(_NAME, tuple(named), tuple(named.values()), "history", given.history.device)
    for name in ("history_lists", "offsets", "target_lists"):
        if name in named and not named[name].shape[0]:
            refuse(_NAME, f"{name} has shape [0]", "one more than it has lists")
    B = given.history_of.shape[0]
    if candidates_of(given) != B:
        of = "target" if given.target_lists is None else "target_lists"
        expected = f"[B] = [{B}]" if given.target_lists is None else f"[B + 1] = [{B + 1}]"
        refuse(_NAME, f"{of} has shape {shape(named[of])}", f"{expected}, as history_of")


def behaviours_of(given: Arguments) -> int:
    """Count the behaviours, ``N``."""
    return int((given.history if given.history_lists is None else given.history_lists[1:]).shape[0])


def candidates_of(given: Arguments) -> int:
    """Count the candidates, ``B``."""
    return int((given.target if given.target_lists is None else given.target_lists[1:]).shape[0])


def check_values(given: Arguments) -> None:
    """Refuse offsets that do not rise from 0 to the end, and histories that are not there, in words."""
    for name, offsets, what, end in (
        ("offsets", given.offsets, "behaviours", behaviours_of(given)),
        ("history_lists", given.history_lists, "values of history", given.history.shape[0]),
        ("target_lists", given.target_lists, "values of target", given.target.shape[0]),
    ):
        if offsets is None:
            continue
        if int(offsets[0]) != 0 or int(offsets[-1]) != end or bool((offsets[1:] < offsets[:-1]).any()):
            some = ", ".join(map(str, offsets[:8].tolist())) + (", ..." if offsets.shape[0] > 8 else "")
            refuse(_NAME, f"{name} is [{some}]", f"numbers that rise from 0 to {end}, the {what}")
    R, of = given.offsets.shape[0] - 1, given.history_of
    wrong = torch.nonzero((of < 0) | (of >= R))
    if len(wrong):
        at = int(wrong[0])
        refuse(_NAME, f"history_of has {int(of[at])} at position {at}", f"0 to {R - 1}, one of {R} histories")
