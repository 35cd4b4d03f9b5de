"""A backend for a device that is none: kernels and a registration for each, as for any other device.

Its tensors wrap tensors on the CPU, and its kernels compute on these and count how often they are called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._pytree import tree_map

from dien.ops import dispatch

called: Counter[str] = Counter()
"""Calls of each kernel by the name of its operator."""


class Toy(Tensor):
    """A tensor on the toy device."""

    @staticmethod
    def __new__(cls, raw: Tensor) -> Toy:
        """Wrap a tensor on the CPU."""
        tensor = torch.Tensor._make_subclass(cls, torch._C._acc.create_empty_tensor(raw.shape, raw.dtype))
        storage = tensor.untyped_storage()
        _raw[storage._cdata] = storage, raw
        return tensor


# By its storage, which an alias that PyTorch makes of a tensor shares with it.
_raw: dict[int, tuple[torch.UntypedStorage, Tensor]] = {}


def raw(tensor: Tensor) -> Tensor:
    """Give what a tensor wraps."""
    return _raw[tensor.untyped_storage()._cdata][1]


def wrapped(value: Any) -> Any:
    return tree_map(lambda one: Toy(one) if isinstance(one, Tensor) else one, value)


def unwrapped(value: Any) -> Any:
    return tree_map(
        lambda one: raw(one) if isinstance(one, Tensor) and one.device.type == "toy" else one, value
    )


def kernel(name: str) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        called[name] += 1
        return wrapped(getattr(torch.ops.dien, name)(*unwrapped(arguments)))

    return run


def operators() -> list[str]:
    """Names of all operators of dien."""
    names = torch._C._dispatch_get_all_op_names()
    return sorted(name.removeprefix("dien::") for name in names if name.startswith("dien::"))


def elsewhere(operator: Any, *arguments: Any, **options: Any) -> Any:
    """Compute what PyTorch itself computes on the way."""
    if "device" in options:
        options["device"] = "cpu"
    return wrapped(operator(*unwrapped(arguments), **unwrapped(options)))


_others = torch.library.Library("_", "IMPL")


def register() -> None:
    """Make the device, and register a kernel for every operator."""
    backend_registration._setup_privateuseone_for_python_backend("toy")
    _others.fallback(elsewhere, "PrivateUse1")
    for name in operators():
        dispatch.register(name, "privateuseone", kernel(name))
