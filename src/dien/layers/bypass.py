"""When a module's weights may be read in place of calling it, as the fused operators do.

Hooks, pruning and a forward of one's own take effect when a module is called, and only then. Where there is
any of these the module is called, in plain PyTorch.
"""

from __future__ import annotations

from torch import nn
from torch.nn.modules import module as torch_module


def bypassable(module: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Say whether calling a module is the forward of a known class on its weights, and nothing else.

    A parametrization (``torch.nn.utils.parametrize``) changes what reading a weight gives, not the forward.

    Args:
        module: in question.
        kinds: the known classes.
    """
    return (
        any(type(module).forward is kind.forward for kind in kinds)
        and "forward" not in vars(module)  # set on this one module
        and not module._forward_pre_hooks
        and not module._forward_hooks
        and not module._backward_pre_hooks
        and not module._backward_hooks
        and not torch_module._has_any_global_hook()  # type: ignore[no-untyped-call]
    )
