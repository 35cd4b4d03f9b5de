"""One scheme of dispatch for every operator: checks, then ``torch.ops.dien.NAME``.

PyTorch takes the kernel that is registered for the tensors' device, and the reference where there is none. So
a backend for another device is a file with kernels of an operator's schema, and a registration for each::

    torch.library.impl("dien::linear", "cuda", forward)
    torch.library.impl("dien::linear_backward", "cuda", backward)

A composite operator has no gradient of its own: PyTorch differentiates its reference. A backend for it also
registers a gradient (:func:`torch.library.register_autograd`), which counts on that device alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, get_type_hints

import torch
from torch import Tensor

_library: Any = torch.library.Library("dien", "FRAGMENT")  # type: ignore[no-untyped-call]
_TYPES: dict[Any, str] = {
    Tensor: "Tensor",
    Tensor | None: "Tensor?",
    list[Tensor]: "Tensor[]",
    str: "str",
    int: "int",
    float: "float",
}


def define(
    schema: str,
    reference: Callable[..., Any],
    *,
    cpu: Callable[..., Any],
    fake: Callable[..., Any],
    save: Callable[..., None] | None = None,
    backward: Callable[..., Any] | None = None,
    arguments: type[tuple[Any, ...]] | None = None,
) -> None:
    """Define an operator.

    Args:
        schema: its name and, as PyTorch writes them, the types of its arguments and results.
        reference: the kernel for every device and dtype.
        cpu: the kernel for the CPU; it calls the reference for what it does not serve.
        fake: makes results of the right shapes, for ``torch.compile`` and ``torch.export``.
        save: ``save(ctx, inputs, output)`` keeps what ``backward`` needs.
        backward: ``backward(ctx, *gradients)``, from gradients of the results to those of the arguments; None
            for what is never differentiated.
        arguments: a NamedTuple that all three kernels take first, and PyTorch field by field; ``{}`` stands
            for its fields in the schema.
    """
    name = _define(schema, arguments)
    _library.impl(name, _flat(reference, arguments), "CompositeExplicitAutograd")
    _library.impl(name, _flat(cpu, arguments), "CPU")
    torch.library.register_fake(f"dien::{name}", _flat(fake, arguments), lib=_library)
    if backward is not None:
        torch.library.register_autograd(f"dien::{name}", backward, setup_context=save, lib=_library)


def no_second_derivative(*_: Any) -> NoReturn:
    """Refuse to differentiate an operator that is itself a gradient, as its ``backward``."""
    raise RuntimeError("second derivatives are not available for this operator of dien")


def define_composite(
    schema: str, reference: Callable[..., Any], arguments: type[tuple[Any, ...]] | None = None
) -> None:
    """Define an operator that PyTorch differentiates through its reference.

    Args:
        schema: see :func:`define`.
        reference: see :func:`define`; of differentiable functions alone.
        arguments: see :func:`define`.
    """
    name = _define(schema, arguments)
    _library.impl(name, _flat(reference, arguments), "CompositeImplicitAutograd")


def _define(schema: str, arguments: type[tuple[Any, ...]] | None) -> str:
    if arguments is not None:
        types = get_type_hints(arguments).items()
        schema = schema.format(", ".join(f"{_TYPES[kind]} {name}" for name, kind in types))
    _library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    return schema[: schema.index("(")]


def _flat(kernel: Callable[..., Any], arguments: type[tuple[Any, ...]] | None) -> Callable[..., Any]:
    if arguments is None:
        return kernel
    make: Callable[[Any], Any] = arguments._make  # type: ignore[attr-defined]
    count = len(arguments._fields)  # type: ignore[attr-defined]

    def call(*given: Any) -> Any:
        return kernel(make(given[:count]), *given[count:])

    return call
