"""What the operators ``linear`` and ``linear_backward`` refuse."""

from __future__ import annotations

from torch import Tensor

from dien.ops.checks import check_alike, check_shape, refuse, shape


def check(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Refuse shapes and types that do not fit, quoting them and the rule."""
    _check_product("linear", x, weight)
    if bias is not None:
        check_shape("linear", "bias", bias, "[M]", weight.shape[:1])
    check_alike("linear", ("x", "weight", "bias"), (x, weight, bias))


def check_backward(dy: Tensor, x: Tensor, weight: Tensor, *_: bool) -> None:
    """Refuse what does not fit ``linear_backward``."""
    _check_product("linear_backward", x, weight)
    check_shape("linear_backward", "dy", dy, "[N, M]", (x.shape[0], weight.shape[0]))
    check_alike("linear_backward", ("x", "weight", "dy"), (x, weight, dy))


def _check_product(operator: str, x: Tensor, weight: Tensor) -> None:
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        refuse(operator, f"x has shape {shape(x)} and weight {shape(weight)}", "[N, K] and [M, K]")
