"""The attention layers of a model, found by what they are: models know nothing of who looks at them."""

from __future__ import annotations

from torch import nn

from dien.layers import BehaviourAttention, BilinearAttention, InterestEvolution, MLPAttention
from dien.models.din import DIN

OF_STATES, OF_BEHAVIOURS, OF_OWN = "interest states", "behaviours", "a layer of the model's own"
"""What attention is paid to: the states of the extractor's GRU, as in DIEN, or behaviours, as in DIN; or
whatever else a model of your own gives to a layer of these kinds."""


def attention_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Find the attention layers of a model by what they look at.

    Args:
        model: any; one without attention has none.

    Returns:
        :data:`OF_STATES`, :data:`OF_BEHAVIOURS` and :data:`OF_OWN`, those it has. Each is called with packed
        values, targets and pairs, and gives a score for each pair.
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
            found.setdefault(OF_BEHAVIOURS if isinstance(model, DIN) else OF_OWN, module)
    return found
