"""One scheme of dispatch for every operator: ``torch.ops.dien.NAME``, which checks and then computes.

PyTorch takes the kernel that is registered for the tensors' device, and the reference where there is none. So
a backend for another device is a file with kernels of an operator's schema, and a registration for each::

    register("linear", "cuda", forward)
    register("linear_backward", "cuda", backward)

Whichever kernel is taken, the arguments are checked first (``dien.ops.checks``).

- Under ``torch.autocast`` an operator computes in float32: arguments in float16 and bfloat16 are converted.
  (Those on rows of tables keep the tables' type.) Elsewhere all floating arguments are of one type, and
  others are refused by name.
- Derivatives beyond the first, forward mode (``torch.autograd.forward_ad``) and the transforms of
  ``torch.func`` go to plain PyTorch, which differentiates itself: right, and not fast.

A composite operator has no gradient of its own: PyTorch differentiates its reference. A backend for it also
registers a gradient (:func:`torch.library.register_autograd`), which counts on that device alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, get_type_hints

import torch
from torch import Tensor
from torch.autograd import forward_ad

_C: Any = torch._C
_library: Any = torch.library.Library("dien", "FRAGMENT")  # type: ignore[no-untyped-call]
_SCHEMA_TYPES: dict[Any, str] = {
    Tensor: "Tensor",
    Tensor | None: "Tensor?",
    list[Tensor]: "Tensor[]",
    str: "str",
    int: "int",
    float: "float",
}
_AUTOCAST_DEVICES = ("cpu", "cuda", "mps")


class _Interface(NamedTuple):
    """How an operator takes its arguments.

    Attributes:
        arguments: a NamedTuple of the first, or None.
        check: refuses what does not fit.
    """

    arguments: type[tuple[Any, ...]] | None
    check: Callable[..., None]

    def checked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a kernel of a function: it takes what PyTorch hands over, and checks it before."""
        check = self.check
        if self.arguments is None:

            def kernel(*given: Any) -> Any:
                check(*given)
                return function(*given)

            return kernel
        as_arguments: Callable[[Any], Any] = self.arguments._make  # type: ignore[attr-defined]
        fields = len(self.arguments._fields)  # type: ignore[attr-defined]

        def kernel_of_arguments(*given: Any) -> Any:
            arguments, others = as_arguments(given[:fields]), given[fields:]
            check(arguments, *others)
            return function(arguments, *others)

        return kernel_of_arguments


_interfaces: dict[str, _Interface] = {}


def define(
    schema: str,
    reference: Callable[..., Any],
    *,
    check: Callable[..., None],
    cpu: Callable[..., Any],
    fake: Callable[..., Any],
    plain: Callable[..., Any] | None = None,
    save: Callable[..., None] | None = None,
    backward: Callable[..., Any] | None = None,
    arguments: type[tuple[Any, ...]] | None = None,
    computes: bool = True,
) -> None:
    """Define an operator.

    Args:
        schema: its name and, as PyTorch writes them, the types of its arguments and results.
        reference: the kernel for every device and dtype.
        check: refuses arguments whose type, shape or device does not fit; before every kernel, and where
            shapes alone are known. Values, such as indices, are for the kernels to check.
        cpu: the kernel for the CPU; it calls the reference for what it does not serve.
        fake: makes results of the right shapes, for ``torch.compile`` and ``torch.export``.
        plain: the results in functions that PyTorch differentiates, for higher derivatives and forward mode;
            results that have no gradient may be empty. None where there is no derivative.
        save: ``save(ctx, inputs, output)`` keeps what ``backward`` needs.
        backward: ``backward(ctx, *gradients)``, from gradients of the results to those of the arguments; None
            for an operator that is differentiated by ``plain`` alone, such as a gradient.
        arguments: a NamedTuple that all functions here take first, and PyTorch field by field; ``{}`` stands
            for its fields in the schema.
        computes: whether it has to do with ``torch.autocast``: what only moves rows keeps their type.
    """
    name = _declare(schema, arguments)
    interface = _interfaces[name] = _Interface(arguments, check)
    _library.impl(name, interface.checked(reference), "CompositeExplicitAutograd")
    _library.impl(name, interface.checked(cpu), "CPU")
    torch.library.register_fake(f"dien::{name}", interface.checked(fake), lib=_library)
    if plain is None:
        _library.impl(name, _kernel_without_derivative(name), "Autograd", with_keyset=True)
        return
    autograd = _autograd_kernel(name, interface.checked(plain), save, backward)
    _library.impl(name, autograd, "Autograd", with_keyset=True)
    if computes:
        _compute_in_float32_under_autocast(name)


def define_composite(
    schema: str,
    reference: Callable[..., Any],
    *,
    check: Callable[..., None],
    arguments: type[tuple[Any, ...]] | None = None,
) -> None:
    """Define an operator that PyTorch differentiates through its reference.

    Args:
        schema: see :func:`define`.
        reference: see :func:`define`; of differentiable functions alone.
        check: see :func:`define`.
        arguments: see :func:`define`.
    """
    name = _declare(schema, arguments)
    interface = _interfaces[name] = _Interface(arguments, check)
    _library.impl(name, interface.checked(reference), "CompositeImplicitAutograd")
    _compute_in_float32_under_autocast(name)


def register(name: str, device: str, kernel: Callable[..., Any]) -> None:
    """Add a kernel of an operator for another device; arguments are checked before it is called.

    Args:
        name: of the operator.
        device: its type, as ``cuda``.
        kernel: takes the arguments of the operator's schema, one by one.
    """
    check = _interfaces[name].checked(lambda *_: None)

    def checked_kernel(*given: Any) -> Any:
        check(*given)
        return kernel(*given)

    torch.library.impl(f"dien::{name}", device, checked_kernel)


def higher_order(tensors: Sequence[Any]) -> bool:
    """Say whether forward mode or a transform of ``torch.func`` asks for what no fused kernel knows."""
    if _C._are_functorch_transforms_active():
        return True
    return forward_ad._current_level >= 0 and any(
        forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]
        for tensor in _tensors_in(tensors)
    )


def under_autocast(tensor: Tensor) -> bool:
    """Say whether a tensor is on a device for which ``torch.autocast`` is on."""
    return tensor.device.type in _AUTOCAST_DEVICES and torch.is_autocast_enabled(tensor.device.type)


def will_differentiate(given: Sequence[Any]) -> bool:
    """Say whether a gradient may be asked for, so that a kernel keeps what that needs.

    Of what ``torch.jit.trace`` records it always may: whether gradients are on is not recorded.
    """
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return True
    return torch.is_grad_enabled() and any(isinstance(one, Tensor) and one.requires_grad for one in given)


def differentiate(
    function: Callable[..., Any], inputs: Sequence[Tensor | None], doutputs: Callable[[Any], Any]
) -> list[Tensor | None]:
    """Differentiate a function by PyTorch, so that the gradients are differentiable again.

    Args:
        function: of the inputs, one by one.
        inputs: None is handed over and has no gradient.
        doutputs: from what it returns to pairs of a result and its gradient, of which either may be None.

    Returns:
        The gradient of each of the inputs, zeros where nothing depends on it.
    """
    with torch.enable_grad(), torch.autocast(_device_type(inputs), enabled=False):
        # An alias, lest an input that is computed from another pass its gradient on to that.
        aliases = [None if one is None else _differentiable_alias(one) for one in inputs]
        pairs = [
            (output, doutput)
            for output, doutput in doutputs(function(*aliases))
            if doutput is not None and output is not None and output.requires_grad
        ]
        present = [alias for alias in aliases if alias is not None]
        dinputs: Sequence[Tensor] = [torch.zeros_like(alias) for alias in present]
        if pairs:
            outputs, gradients = zip(*pairs, strict=True)
            dinputs = torch.autograd.grad(
                outputs, present, gradients, create_graph=True, allow_unused=True, materialize_grads=True
            )
    remaining = iter(dinputs)
    return [None if one is None else next(remaining) for one in inputs]


def _differentiable_alias(tensor: Tensor) -> Tensor:
    alias = tensor.view_as(tensor)
    return alias if alias.requires_grad else alias.requires_grad_()


def _device_type(tensors: Sequence[Tensor | None]) -> str:
    return next(tensor.device.type for tensor in tensors if tensor is not None)


def _declare(schema: str, arguments: type[tuple[Any, ...]] | None) -> str:
    """Make an operator of this schema known to PyTorch, and give its name."""
    if arguments is not None:
        types = get_type_hints(arguments).items()
        schema = schema.format(", ".join(f"{_SCHEMA_TYPES[kind]} {name}" for name, kind in types))
    _library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    return schema[: schema.index("(")]


def _operator(name: str) -> Any:
    return getattr(torch.ops.dien, name).default


def _tensors_in(given: Sequence[Any]) -> Iterator[Tensor]:
    for one in given:
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, list):
            yield from _tensors_in(one)


def _autograd_kernel(
    name: str,
    plain: Callable[..., Any],
    save: Callable[..., None] | None,
    backward: Callable[..., Any] | None,
) -> Callable[..., Any]:
    """Make the kernel that PyTorch calls before those of the devices, to differentiate."""
    operator = _operator(name)
    places = [at for at, one in enumerate(operator._schema.arguments) if _is_list_of_tensors(one.type)]
    returns_list = _is_list_of_tensors(operator._schema.returns[0].type)
    function = None if backward is None else _autograd_function(name, operator, places, save, backward)

    def kernel(keyset: Any, *given: Any) -> Any:
        if higher_order(given):
            return plain(*given)
        if torch.is_grad_enabled() and _C._any_requires_grad(*given):
            if function is None:
                return plain(*given)
            lengths = [len(given[at]) for at in places]
            results = function.apply(*(_flattened(given, places) if places else given), (keyset, lengths))
            return list(results) if returns_list else results
        with _C._AutoDispatchBelowAutograd():
            return operator.redispatch(keyset & _C._after_autograd_keyset, *given)

    return kernel


def _autograd_function(
    name: str,
    operator: Any,
    places: Sequence[int],
    save: Callable[..., None] | None,
    backward: Callable[..., Any],
) -> Any:
    """Make the torch.autograd.Function, which takes the lists at these places item by item."""

    def run_forward(ctx: Any, *flattened: Any) -> Any:
        keyset, lengths = flattened[-1]
        given: list[Any] = list(flattened[:-1])
        for at, length in zip(places, lengths, strict=True):
            given[at : at + length] = [given[at : at + length]]
        with _C._AutoDispatchBelowAutograd():
            output = operator.redispatch(keyset & _C._after_autograd_keyset, *given)
        if save is not None:
            save(ctx, given, output)
        return tuple(output) if isinstance(output, list) else output

    def run_backward(ctx: Any, *doutputs: Any) -> Any:
        gradients = backward(ctx, *doutputs)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        return (*(_flattened(gradients, places) if places else gradients), None)

    methods = {"forward": staticmethod(run_forward), "backward": staticmethod(run_backward)}
    return type(f"dien_{name}", (torch.autograd.Function,), methods)


def _flattened(given: Sequence[Any], places: Sequence[int]) -> list[Any]:
    """Put the items of the lists at these places among the others."""
    flattened: list[Any] = []
    for at, one in enumerate(given):
        if at in places:
            flattened.extend(one)
        else:
            flattened.append(one)
    return flattened


def _is_list_of_tensors(schema_type: Any) -> bool:
    return isinstance(schema_type, torch.ListType) and isinstance(
        schema_type.getElementType(), torch.TensorType
    )


def _kernel_without_derivative(name: str) -> Callable[..., Any]:
    operator = _operator(name)

    def kernel(keyset: Any, *given: Any) -> Any:
        if higher_order(given) or (torch.is_grad_enabled() and _C._any_requires_grad(*given)):
            raise RuntimeError(
                f"{name} has no derivative; call it under torch.no_grad(), not in torch.func or forward mode"
            )
        with _C._AutoDispatchBelowAutograd():
            return operator.redispatch(keyset & _C._after_autograd_keyset, *given)

    return kernel


def _compute_in_float32_under_autocast(name: str) -> None:
    for device in _AUTOCAST_DEVICES:
        key = getattr(_C.DispatchKey, f"Autocast{_C._dispatch_key_for_device(device)}")
        _library.impl(name, _autocast_kernel(name, device, _C.DispatchKeySet(key)), key.name)


def _autocast_kernel(name: str, device: str, autocast_keys: Any) -> Callable[..., Any]:
    operator = _operator(name)

    def in_float32(one: Any) -> Any:
        if isinstance(one, Tensor):
            low = one.dtype in (torch.float16, torch.bfloat16) and one.device.type == device
            return one.float() if low else one
        return [in_float32(each) for each in one] if isinstance(one, list) else one

    def kernel(*given: Any) -> Any:
        with _C._ExcludeDispatchKeyGuard(autocast_keys):
            return operator(*(in_float32(one) for one in given))

    return kernel
