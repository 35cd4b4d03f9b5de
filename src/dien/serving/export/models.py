"""The models in a graph: from a request to the log odds of a click on each candidate.

A model that stands here can be exported, any other is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
from torch import nn

from dien.errors import RunError
from dien.layers import AttentionGRU, FeatureEmbedding
from dien.models import Model
from dien.models.dien import DIEN
from dien.models.din import DIN
from dien.models.pnn import PNN
from dien.models.sum_pooling import SumPooling
from dien.models.wide_deep import WideDeep
from dien.serving.export.attention import attention, interest
from dien.serving.export.graph import FLOAT, Graph, Name, Tensor, ints
from dien.serving.export.inputs import Embedded, Request, embed
from dien.serving.export.layers import apply, joined, linear
from dien.serving.export.recurrence import evolve, gru


def logits(request: Request, model: Model) -> tuple[Name, Name | None]:
    """Write a model.

    Args:
        request: what it reads.
        model: in evaluation mode.

    Returns:
        ``[B]`` the log odds of a click, and those of its conversion or None.

    Raises:
        RunError: the model, or a layer or a feature of it, cannot be exported.
    """
    write = _MODELS.get(type(model))
    if write is None:
        known = ", ".join(kind.__name__ for kind in _MODELS)
        raise RunError(
            f"the model {model.config.name} ({type(model).__name__}) cannot be exported; expected one of "
            f"{known}"
        )
    x, click = write(request, model)
    conversion = getattr(model, "conversion", None)
    graph = request.graph
    return _flat(graph, click), None if conversion is None else _flat(graph, apply(graph, conversion, x))


def _dien(request: Request, model: DIEN) -> tuple[Name, Tensor]:
    embedded = embed(request, model.inputs)
    graph, mask, evolution = request.graph, request.mask, model.evolution
    extracted = gru(graph, model.extractor.gru, embedded.history, model.extractor.reset)  # [S, H]
    states = extracted
    query = apply(graph, model.query, embedded.target)
    kind, rnn = evolution.kind, _recurrence(evolution.dynamic_rnn)
    if kind == "gru":  # attention pools the states of the second GRU
        states = gru(graph, cast("nn.GRU", rnn), states, evolution.reset)
    scores = attention(graph, evolution.attention_layer, states, query, mask)
    if kind == "gru":
        final = graph.op("MatMul", scores, states)  # [B, H]
    else:
        final = evolve(graph, rnn, kind, states, scores, mask, evolution.reset)
    parts: list[Tensor | None] = [final]
    if model.config.attended_behaviours:
        parts.append(graph.op("MatMul", scores, embedded.history))  # [B, E]
    parts += [embedded.target, embedded.profile]
    if model.config.pooled_history:
        parts += _pooled_items(request, embedded)
    if model.behaviours is not None:
        parts.append(interest(graph, model.behaviours, embedded.history, embedded.target, mask))
    if model.config.last_behaviour:
        parts.append(request.for_each(_newest(request, embedded.history)))
    if model.config.scores_target:
        parts.append(_auxiliary_score(request, model, extracted, embedded.target))
    return _head(graph, model, apply(graph, model.affine, joined(graph, parts)))


def _recurrence(rnn: nn.Module) -> nn.GRU | AttentionGRU:
    """Take an AttentionGRU out of the module that gives its weights RecBole's names."""
    return cast("nn.GRU | AttentionGRU", rnn if isinstance(rnn, nn.GRU) else rnn.rnn)


def _din(request: Request, model: DIN) -> tuple[Name, Tensor]:
    embedded = embed(request, model.inputs)
    graph = request.graph
    query = apply(graph, model.query, embedded.target)
    scores = attention(graph, model.attention, embedded.history, query, request.mask)
    parts = [graph.op("MatMul", scores, embedded.history), embedded.target, embedded.profile]
    if model.config.pooled_history:
        parts += _pooled_items(request, embedded)
    return _head(graph, model, joined(graph, [*parts]))


def _sum_pooling(request: Request, model: SumPooling) -> tuple[Name, Tensor]:
    embedded = embed(request, model.inputs)
    parts = [_pooled(request, embedded.history), embedded.target, embedded.profile]
    return _head(request.graph, model, joined(request.graph, [*parts]))


def _pnn(request: Request, model: PNN) -> tuple[Name, Tensor]:
    embedded = embed(request, model.inputs)
    graph = request.graph
    pooled = _pooled(request, embedded.history)
    parts: list[Tensor | None] = [pooled, embedded.target, embedded.profile]
    fields = joined(graph, parts)
    parts.append(_of_items(graph, model, pooled, embedded.target))
    if model.config.inner_products:
        parts += _inner_products(graph, fields, model.widths)
    return _head(graph, model, joined(graph, parts))


def _wide_deep(request: Request, model: WideDeep) -> tuple[Name, Tensor]:
    embedded = embed(request, model.inputs)
    graph, pooled, target = request.graph, _pooled(request, embedded.history), embedded.target
    x, deep = _head(graph, model, joined(graph, [pooled, target, embedded.profile]))
    product = _of_items(graph, model, pooled, target)
    crosses = joined(graph, [pooled, target, product, embedded.numbers])
    click = graph.op("Add", deep, linear(graph, crosses, model.crosses.weight))
    if not model.config.sparse_weights:
        return x, click
    of_target, of_history, of_profile = cast("Iterable[FeatureEmbedding]", model.weights)
    history, _ = request.items(of_history)
    steps = joined(graph, [history, request.behaviours(of_history)])
    shared = [_pooled(request, steps), request.items(of_target)[1]]
    profile = [part for part in (request.user(of_profile), request.context(of_profile)) if part]
    shared += [request.for_each(part) for part in profile]
    for part in shared:
        click = graph.op("Add", click, graph.op("ReduceSum", part, ints(1)))
    return x, click


def _head(graph: Graph, model: Any, x: Tensor) -> tuple[Name, Tensor]:
    """Apply the hidden layers and the last one; give what they read, too, for a second head."""
    return _named(graph, x), apply(graph, model.logit, apply(graph, model.head, x))


def _pooled(request: Request, steps: Tensor) -> Name:
    """Sum up ``[S, ·]`` over the behaviours, for each candidate: ``[B, ·]``."""
    total = request.graph.op("MatMul", request.graph.op("Unsqueeze", request.mask, ints(0)), steps)
    return request.for_each(total)


def _pooled_items(request: Request, embedded: Embedded) -> list[Name]:
    pooled = _pooled(request, embedded.items)
    return [pooled, request.graph.op("Mul", pooled, embedded.target)]


def _of_items(graph: Graph, model: Any, pooled: Name, target: Name) -> Name:
    """Multiply the items of a summed history with targets, element by element."""
    width = model.inputs.item_width
    return graph.op("Mul", graph.op("Slice", pooled, ints(0), ints(width), ints(1)), target)


def _newest(request: Request, history: Tensor) -> Name:
    """Take the newest behaviour ``[1, E]``, zero where there is none."""
    graph = request.graph
    place = graph.op("Max", graph.op("Sub", request.length, ints(1)), ints(0))
    there = graph.op("Unsqueeze", graph.op("Gather", request.mask, place), ints(1))
    return graph.op("Mul", graph.op("Gather", history, place), there)


def _auxiliary_score(request: Request, model: DIEN, states: Tensor, target: Tensor) -> Name:
    """Ask the auxiliary network as :meth:`dien.layers.InterestExtractor.score` does: ``[B, 1]``."""
    graph, extractor = request.graph, model.extractor
    assert extractor.auxiliary_net is not None
    x: Tensor = joined(graph, [request.for_each(_newest(request, states)), target])
    if extractor.auxiliary_affine is not None:
        x = apply(graph, extractor.auxiliary_affine, x)
    some = graph.op("Cast", graph.op("Greater", request.length, ints(0)), to=FLOAT)
    return graph.op("Mul", apply(graph, extractor.auxiliary_net, x), some)


def _inner_products(graph: Graph, fields: Name, widths: tuple[int, ...]) -> list[Name]:
    """Multiply every pair of fields of one width, in the order of :func:`dien.models.pnn.inner_products`."""
    starts = np.cumsum([0, *widths])
    products = []
    for width in sorted(set(widths)):
        some = [k for k, one in enumerate(widths) if one == width]
        F = len(some)
        columns = np.concatenate([np.arange(starts[k], starts[k] + width) for k in some])
        same = graph.op("Reshape", graph.op("Gather", fields, columns, axis=1), ints(-1, F, width))
        every = graph.op("MatMul", same, graph.op("Transpose", same, perm=[0, 2, 1]))  # [B, F, F]
        first, second = np.triu_indices(F, 1)
        flat = graph.op("Reshape", every, ints(-1, F * F))
        products.append(graph.op("Gather", flat, first * F + second, axis=1))
    return products


def _flat(graph: Graph, x: Tensor) -> Name:
    return graph.op("Squeeze", x, ints(1))


def _named(graph: Graph, x: Tensor) -> Name:
    return x if isinstance(x, str) else graph.op("Identity", x)


_MODELS: dict[type[nn.Module], Callable[[Request, Any], tuple[Name, Tensor]]] = {
    DIEN: _dien,
    DIN: _din,
    SumPooling: _sum_pooling,
    PNN: _pnn,
    WideDeep: _wide_deep,
}
