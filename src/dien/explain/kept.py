"""What the layers of a model are given and give, kept by hooks while it is called."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor, nn

from dien.explain.attention import OF_STATES, attention_layers
from dien.layers import InterestEvolution, InterestExtractor
from dien.models.inputs import Embedded, Inputs

Watch = Callable[[tuple[Any, ...], Any], None]


@contextmanager
def watched(layers: Iterable[tuple[nn.Module, Watch]]) -> Iterator[None]:
    """Have functions see what layers are given and give in this thread; others may call them meanwhile.

    Args:
        layers: each with a function of its arguments and its result.
    """
    thread = threading.get_ident()

    def hook_of(watch: Watch) -> Any:
        def hook(_: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
            if threading.get_ident() == thread:
                watch(arguments, result)

        return hook

    handles = [layer.register_forward_hook(hook_of(watch)) for layer, watch in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def attention_kept(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Keep what the attention layers of a model give, called in this thread.

    Args:
        model: any.

    Yields:
        A dictionary that each call of the model fills: by layer (:func:`attention_layers`) the score of each
        pair of a candidate and a behaviour of its history, ``[P]``, candidate after candidate, oldest first.
    """
    kept: dict[str, Tensor] = {}

    def keeping(name: str) -> Watch:
        def keep(_: tuple[Any, ...], scores: Tensor) -> None:
            kept[name] = scores.detach()

        return keep

    with watched((layer, keeping(name)) for name, layer in attention_layers(model).items()):
        yield kept


@dataclass
class Kept:
    """What the layers of a model were given and gave in one call.

    Attributes:
        layers: of attention, by what they look at (:func:`attention_layers`).
        attention: scores ``[P]`` by layer.
        asked: by layer, what it was given: states, targets and pairs.
        evolution: the evolving layer.
        interests: ``[N, H]`` states it was given.
        extractor: the layer that made them.
        items: ``[N, D]`` embeddings of the items of the behaviours.
    """

    layers: dict[str, nn.Module] = field(default_factory=dict)
    attention: dict[str, Tensor] = field(default_factory=dict)
    asked: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    evolution: InterestEvolution | None = None
    interests: Tensor | None = None
    extractor: InterestExtractor | None = None
    items: Tensor | None = None

    @property
    def keys(self) -> Tensor:
        """States ``[N, H]`` that the attention of an evolving layer looked at."""
        return cast("Tensor", self.asked[OF_STATES][0])


@contextmanager
def layers_kept(model: nn.Module) -> Iterator[Kept]:
    """Keep what the layers of a model are given and give, called in this thread."""
    kept = Kept(attention_layers(model), extractor=one_of(model, InterestExtractor))

    def keep_scores(name: str) -> Watch:
        def keep(arguments: tuple[Any, ...], scores: Tensor) -> None:
            kept.attention[name], kept.asked[name] = scores, arguments

        return keep

    layers = [(layer, keep_scores(name)) for name, layer in kept.layers.items()]
    evolution, inputs = one_of(model, InterestEvolution), one_of(model, Inputs)
    if evolution is not None:

        def keep_states(arguments: tuple[Any, ...], _: Tensor) -> None:
            kept.evolution, kept.interests = evolution, arguments[1].values

        layers.append((evolution, keep_states))
    if inputs is not None:

        def keep_items(_: tuple[Any, ...], embedded: Embedded) -> None:
            kept.items = embedded.items

        layers.append((inputs, keep_items))
    with watched(layers):
        yield kept


def one_of(model: nn.Module, kind: type[Any]) -> Any:
    """Find the first layer of a kind; None where there is none."""
    return next((module for module in model.modules() if isinstance(module, kind)), None)
