"""The attention layers of a model, found by what they are: models know nothing of who looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from dien.layers import BehaviourAttention, BilinearAttention, InterestEvolution, MLPAttention

OF_STATES, OF_BEHAVIOURS = "interest states", "behaviours"
"""What attention is paid to: the states of the extractor's GRU, as in DIEN, or behaviours, as in DIN."""


def attention_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Find the attention layers of a model by what they look at.

    Args:
        model: any; one without attention has none.

    Returns:
        :data:`OF_STATES` and :data:`OF_BEHAVIOURS`, those it has. Each is called with packed values, targets
        and pairs, and gives a score for each pair.
    """
    found: dict[str, nn.Module] = {}
    for module in model.modules():
        if isinstance(module, InterestEvolution):
            found[OF_STATES] = module.attention_layer
        elif isinstance(module, BehaviourAttention):
            found[OF_BEHAVIOURS] = module.attention
    for module in model.modules():
        known = any(module is one for one in found.values())
        if isinstance(module, MLPAttention | BilinearAttention) and not known:
            found.setdefault(OF_BEHAVIOURS, module)
    return found


@contextmanager
def attention_kept(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Keep what the attention layers of a model gave last.

    Args:
        model: any.

    Yields:
        A dictionary that each call of the model fills: by layer (:func:`attention_layers`) the score of each
        pair of a candidate and a behaviour of its history, ``[P]``, candidate after candidate, oldest first.
    """
    kept: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_: nn.Module, __: Any, scores: Tensor) -> None:
            kept[name] = scores.detach()

        return hook

    handles = [layer.register_forward_hook(keep(name)) for name, layer in attention_layers(model).items()]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()
