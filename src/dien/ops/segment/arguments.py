"""What the operators on segments refuse."""

from __future__ import annotations

import torch
from torch import Tensor

from dien.ops.checks import check_alike, check_integers, check_shape, refuse, shape
from dien.ops.cpu import chosen
from dien.ops.dispatch import higher_order

_SOFTMAX, _BACKWARD = "segment_softmax", "segment_softmax_backward"


def check_sum(values: Tensor, lengths: Tensor) -> None:
    """Refuse what does not fit ``segment_sum``, quoting it and the rule."""
    name = "segment_sum"
    if not values.ndim:
        refuse(name, "values has shape []", "[P, ...]")
    check_alike(name, ("values",), (values,))
    check_integers(name, ("lengths",), (lengths,), "values", values.device)
    if not _known(lengths):
        return

    def check_values() -> None:
        _check_lengths(name, "values", values, lengths)

    backend = chosen(values) if values.device.type == "cpu" else None
    if backend is None or backend.pairs(None, lengths, values.shape[0], check_values) != values.shape[0]:
        check_values()


def check_softmax(logits: Tensor, lengths: Tensor) -> None:
    """Refuse shapes and types that do not fit ``segment_softmax``."""
    _check_softmax(_SOFTMAX, "logits", logits, lengths)


def check_softmax_backward(dscores: Tensor, scores: Tensor, lengths: Tensor) -> None:
    """Refuse shapes and types that do not fit ``segment_softmax_backward``."""
    _check_softmax(_BACKWARD, "scores", scores, lengths)
    check_shape(_BACKWARD, "dscores", dscores, "[P]", scores.shape)
    check_alike(_BACKWARD, ("scores", "dscores"), (scores, dscores))


def check_softmax_steps(logits: Tensor, lengths: Tensor) -> None:
    """Refuse lengths that are not those of the logits."""
    _check_lengths(_SOFTMAX, "logits", logits, lengths)


def check_softmax_backward_steps(scores: Tensor, lengths: Tensor) -> None:
    """Refuse lengths that are not those of the scores."""
    _check_lengths(_BACKWARD, "scores", scores, lengths)


def _check_softmax(name: str, of_values: str, values: Tensor, lengths: Tensor) -> None:
    if values.ndim != 1:
        refuse(name, f"{of_values} has shape {shape(values)}", "[P]")
    check_alike(name, (of_values,), (values,))
    check_integers(name, ("lengths",), (lengths,), of_values, values.device)


def _check_lengths(name: str, of_values: str, values: Tensor, lengths: Tensor) -> None:
    P, many = values.shape[0], lengths.to(torch.int64)
    if bool(((many < 0) | (many > P)).any()) or int(many.sum()) != P:
        least = min(lengths.tolist(), default=0)
        found = f"a length is {least}" if least < 0 else f"lengths add up to {sum(lengths.tolist())}"
        refuse(name, f"{found} and {of_values} has shape {shape(values)}", f"lengths >= 0, {P} steps in all")


def _known(lengths: Tensor) -> bool:
    """Say whether values are there to be looked at: not where a compiler traces or torch.func transforms."""
    kinds = (torch.Tensor, torch.nn.Parameter)
    return not higher_order(()) and type(lengths) in kinds and lengths.device.type != "meta"
