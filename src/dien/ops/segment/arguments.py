"""What the operators on segments refuse."""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor

from dien.ops.checks import check_alike, check_integers, refuse, shape
from dien.ops.cpu import chosen
from dien.ops.dispatch import higher_order


def check_sum(values: Tensor, lengths: Tensor) -> None:
    """Refuse what does not fit ``segment_sum``, quoting it and the rule."""
    if not values.ndim:
        refuse("segment_sum", "values has shape []", "[P, ...]")
    _check("segment_sum", "values", values, lengths)


def check_softmax(logits: Tensor, lengths: Tensor, row: Tensor | None) -> None:
    """Refuse what does not fit ``segment_softmax``, quoting it and the rule."""
    name = "segment_softmax"
    if logits.ndim != 1:
        refuse(name, f"logits has shape {shape(logits)}", "[P]")
    _check(name, "logits", logits, lengths)
    if row is None:
        return
    check_integers(name, ("row",), (row,), "logits", logits.device)
    if not _known(row, lengths):
        return
    backend = chosen(logits)
    if row.shape[0] != logits.shape[0]:
        refuse(name, f"row has shape {shape(row)}", f"[P] = {shape(logits)}")
    if logits.device.type == "cpu" and backend is not None:
        right = backend.names_rows(row, lengths)
    else:
        right = torch.equal(row.to(torch.int64), torch.repeat_interleave(lengths).to(torch.int64))
    if not right:
        refuse(name, "row is not the row of each step", "b lengths[b] times, for b from 0 on")


def _check(name: str, of_values: str, values: Tensor, lengths: Tensor) -> None:
    check_alike(name, (of_values,), (values,))
    check_integers(name, ("lengths",), (lengths,), of_values, values.device)
    if not _known(lengths):
        return
    P, backend = values.shape[0], chosen(values)

    def say_why() -> NoReturn:
        least = min(lengths.tolist(), default=0)
        found = f"a length is {least}" if least < 0 else f"lengths add up to {sum(lengths.tolist())}"
        refuse(name, f"{found} and {of_values} has shape {shape(values)}", f"lengths >= 0, {P} steps in all")

    if values.device.type == "cpu" and backend is not None:
        fits = backend.pairs(None, lengths, P, say_why) == P
    else:
        many = lengths.to(torch.int64)
        fits = not bool(((many < 0) | (many > P)).any()) and int(many.sum()) == P
    if not fits:
        say_why()


def _known(*tensors: Tensor) -> bool:
    """Say whether values are there to be looked at: not where a compiler traces or torch.func transforms."""
    kinds = (torch.Tensor, torch.nn.Parameter)
    return not higher_order(()) and all(type(one) in kinds and one.device.type != "meta" for one in tensors)
