"""Attention in a graph: a score for every candidate and every step of the history they share."""

from __future__ import annotations

from dien.layers import BehaviourAttention, BilinearAttention, MLPAttention
from dien.serving.export.graph import Graph, Name, Tensor, ints, number
from dien.serving.export.layers import apply, linear, weight


def attention(
    graph: Graph,
    layer: BilinearAttention | MLPAttention,
    states: Tensor,
    targets: Tensor,
    mask: Tensor,
) -> Name:
    """Score every step for every candidate.

    Args:
        graph: to write into.
        layer: its weights.
        states: ``[S, H]``.
        targets: ``[B, D]``.
        mask: ``[S]``, 0 for a step that has no score.

    Returns:
        ``[B, S]``, 0 where the mask is.
    """
    if isinstance(layer, BilinearAttention):
        queries = linear(graph, targets, layer.weight)  # [B, H]
        logits = graph.op("MatMul", queries, graph.op("Transpose", states, perm=[1, 0]))
        return _softmax(graph, logits, mask)
    logits = graph.op("Squeeze", _mlp(graph, layer, states, targets), ints(2))
    if layer.divisor != 1:
        logits = graph.op("Mul", logits, number(1 / layer.divisor))
    return _softmax(graph, logits, mask) if layer.softmax else graph.op("Mul", logits, mask)


def interest(graph: Graph, layer: BehaviourAttention, history: Tensor, targets: Tensor, mask: Tensor) -> Name:
    """Sum up behaviours ``[S, E]`` by their attention to targets ``[B, D]``: ``[B, E]``."""
    query = apply(graph, layer.query, targets)
    return graph.op("MatMul", attention(graph, layer.attention, history, query, mask), history)


def _mlp(graph: Graph, layer: MLPAttention, states: Tensor, targets: Tensor) -> Tensor:
    """Apply the MLP to ``[q, k, q - k, q * k]``, returning ``[B, S, 1]``.

    Its first layer is taken apart, so that what is of the target or of the state alone is computed once.
    """
    first, rest = layer.att_mlp_layers.first, layer.att_mlp_layers.mlp_layers[2:]
    of_target, of_state, of_difference, of_product = first.weight.chunk(4, 1)  # [W, H] each
    query = linear(graph, targets, of_target + of_difference, first.bias)  # [B, W]
    key = linear(graph, states, of_state - of_difference)  # [S, W]
    wide = graph.op("Unsqueeze", targets, ints(1))  # [B, 1, H]
    product = graph.op("MatMul", graph.op("Mul", wide, states), weight(of_product.t()))  # [B, S, W]
    x: Tensor = graph.op("Add", graph.op("Add", product, key), graph.op("Unsqueeze", query, ints(1)))
    for part in [*rest.children(), layer.dense]:
        x = apply(graph, part, x)
    return x


def _softmax(graph: Graph, logits: Name, mask: Tensor) -> Name:
    """Have scores ``[B, S]`` of the steps that count add up to 1, where there is any."""
    none = graph.op("Mul", graph.op("Sub", mask, number(1)), number(1e30))  # [S] 0, or far below any logit
    shares = graph.op("Softmax", graph.op("Add", logits, none), axis=-1)
    return graph.op("Mul", shares, mask)
