"""What operators refuse, each in words of its own: what was found, and the rule.

Every kernel's arguments are checked before it takes a pointer, also where ``torch.ops.dien.NAME`` is called
directly and where ``torch.compile`` looks at shapes alone. Tensors may lie in memory in any way: what a
kernel needs otherwise is copied, and what is written in place and not contiguous goes to plain PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor

INTEGERS = (torch.int32, torch.int64)


def refuse(operator: str, found: str, rule: str) -> NoReturn:
    """Raise a ValueError that quotes what was found and the rule."""
    raise ValueError(f"{operator}: {found}; expected {rule}")


def shape(tensor: Tensor) -> str:
    """Write the shape of a tensor as a list."""
    return str(list(tensor.shape))


def check_alike(
    operator: str, names: Sequence[str], tensors: Sequence[Tensor | None], others: str = ""
) -> None:
    """Refuse tensors that are not all of one floating type, on one device and dense; None is passed over.

    Args:
        operator: that takes them.
        names: of each, or of the first of them.
        tensors: the first is none of None.
        others: name of those beyond ``names``, with ``{}`` for their number: ``table {}``. Written only where
            one is refused, since this is done before every call.
    """
    first = tensors[0]
    assert first is not None
    dtype, device = first.dtype, first.device
    if not dtype.is_floating_point:
        refuse(operator, f"{_name(0, names, others)} is {dtype}", "a floating type")
    for at, tensor in enumerate(tensors):
        if tensor is None or (
            tensor.dtype is dtype and tensor.device == device and tensor.layout is torch.strided
        ):
            continue
        name, beside = _name(at, names, others), _name(0, names, others)
        if tensor.dtype is not dtype:
            refuse(operator, f"{name} is {tensor.dtype} and {beside} {dtype}", "one dtype")
        _check_place(operator, name, tensor, beside, device)


def check_integers(
    operator: str, names: Sequence[str], tensors: Sequence[Tensor], beside: str, device: torch.device
) -> None:
    """Refuse what are no vectors of int32 or int64 on a device, that of the tensor named ``beside``."""
    for name, tensor in zip(names, tensors, strict=True):
        if tensor.ndim != 1:
            refuse(operator, f"{name} has shape {shape(tensor)}", "a vector")
        if tensor.dtype not in INTEGERS:
            refuse(operator, f"{name} has dtype {tensor.dtype}", "int32 or int64")
        if tensor.device != device or tensor.layout is not torch.strided:
            _check_place(operator, name, tensor, beside, device)


def check_shape(operator: str, name: str, tensor: Tensor, rule: str, expected: Sequence[int]) -> None:
    """Refuse a tensor of another shape than expected, which the rule writes in letters."""
    if tensor.shape != tuple(expected):
        refuse(operator, f"{name} has shape {shape(tensor)}", f"{rule} = {list(expected)}")


def check_has_values(operator: str, name: str, tensor: Tensor) -> None:
    """Refuse a tensor on the device ``meta`` where its values decide how large the result is.

    What a compiler traces is let through: there a size may be a symbol.
    """
    if type(tensor) in (Tensor, torch.nn.Parameter) and tensor.is_meta:
        found = f"{name} is on meta, where tensors have no values"
        refuse(operator, found, "values: the size of the result depends on them")


def check_rows(
    operator: str,
    name: str,
    steps: Tensor,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None = None,
    of_scores: str = "scores",
) -> None:
    """Refuse rows that read steps that are not there, quoting the first and the rule.

    Args:
        operator: that reads them.
        name: of the packed steps.
        steps: ``[N, ...]`` these.
        starts: ``[B]``, the first step of each row.
        lengths: ``[B]``.
        scores: ``[P]``, one for each (row, step), or None.
        of_scores: their name.
    """
    N, B = steps.shape[0], lengths.shape[0]
    starts, lengths = starts.to(torch.int64), lengths.to(torch.int64)
    # No sum of two that may be of any size.
    wrong = (lengths < 0) | ((lengths > 0) & ((starts < 0) | (lengths > N) | (starts > N - lengths)))
    if wrong.any():
        b = int(wrong.nonzero()[0])
        refuse(
            operator,
            f"row {b} has starts {int(starts[b])} and lengths {int(lengths[b])}, {name} {shape(steps)}",
            "starts >= 0, lengths >= 0 and starts + lengths <= N",
        )
    if scores is not None:
        P = int(lengths.sum()) if B * N < 2**63 else sum(lengths.tolist())
        if scores.shape[0] != P:
            refuse(operator, f"{of_scores} has shape {shape(scores)}", f"[P] = [{P}], P = lengths.sum()")


def check_range(what: str, indices: Tensor, height: int) -> None:
    """Refuse indices into a table of ``height`` rows that are out of range, quoting the first.

    Raises:
        IndexError: there is one.
    """
    wrong = torch.nonzero((indices < 0) | (indices >= height))
    if len(wrong):
        at = int(wrong[0])
        raise IndexError(
            f"{what} has index {int(indices[at])} at position {at}; "
            f"expected 0 to {height - 1}, the rows of its table"
        )


def _name(at: int, names: Sequence[str], others: str) -> str:
    return names[at] if at < len(names) else others.format(at - len(names))


def _check_place(operator: str, name: str, tensor: Tensor, beside: str, device: torch.device) -> None:
    if tensor.layout is not torch.strided:
        refuse(operator, f"{name} has layout {tensor.layout}", "a dense tensor")
    if tensor.device != device:
        refuse(operator, f"{name} is on {tensor.device} and {beside} on {device}", "one device")
