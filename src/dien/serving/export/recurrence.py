"""The GRUs of DIEN in a graph.

Histories end with a step more than they have behaviours (``[S]``, ``S = T + 1``), which counts for nothing:
many engines take no empty sequence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor as Weights
from torch import nn

from dien.layers.gru import AttentionGRU, Reset
from dien.serving.export.graph import Graph, Name, Tensor, ints, number
from dien.serving.export.layers import linear, weight


def gru(graph: Graph, layer: nn.GRU, steps: Tensor, reset: Reset) -> Name:
    """Run a GRU over one history (eq. 2-5), by ONNX's own.

    Args:
        graph: to write into.
        layer: its weights.
        steps: ``[S, D]``.
        reset: whether its reset gate stands after the recurrent product or before it.

    Returns:
        ``[S, H]`` all states; that of the last step is of no use.
    """
    H = layer.hidden_size
    weight_ih, weight_hh, bias_ih, bias_hh = (weight(one) for one in layer.all_weights[0])

    def ordered(gates: NDArray[np.float32]) -> NDArray[np.float32]:
        """Order gates ``[3H, ·]`` as ONNX does: update, reset, candidate; for one direction."""
        return np.concatenate([gates[H : 2 * H], gates[:H], gates[2 * H :]])[None]

    biases = np.concatenate([ordered(bias_ih), ordered(bias_hh)], axis=1)  # [1, 6H]
    every, _ = graph.ops(
        "GRU",
        2,
        graph.op("Unsqueeze", steps, ints(1)),  # [S, 1, D]
        ordered(weight_ih),
        ordered(weight_hh),
        biases,
        hidden_size=H,
        linear_before_reset=int(reset == "after"),
    )
    return graph.op("Squeeze", every, ints(1, 2))  # from [S, 1, 1, H]


def evolve(
    graph: Graph,
    layer: nn.GRU | AttentionGRU,
    kind: str,
    states: Tensor,
    scores: Tensor,
    mask: Tensor,
    reset: Reset,
) -> Name:
    """Run the evolving GRU for each candidate over the states that they share.

    Args:
        graph: to write into.
        layer: its weights.
        kind: ``aigru``, ``agru``, ``augru`` or ``augru-complement``.
        states: ``[S, H]``.
        scores: ``[B, S]`` attention.
        mask: ``[S]``, 1 for a step that counts and 0 for one that leaves the state as it is.
        reset: as of :func:`gru`.

    Returns:
        ``[B, H]`` the last states, zero for an empty history.
    """
    weight_ih: Weights
    weight_hh: Weights
    bias_ih: Weights | None
    bias_hh: Weights | None
    if isinstance(layer, nn.GRU):
        weight_ih, weight_hh, bias_ih, bias_hh = layer.all_weights[0]
    else:
        weight_ih, weight_hh = layer.weight_ih, layer.weight_hh
        bias_ih, bias_hh = layer.bias_ih, layer.bias_hh
    H = weight_hh.shape[1]
    scaled_inputs = kind == "aigru"  # W (a h) + b = a (W h) + b
    gates = linear(graph, states, weight_ih, None if scaled_inputs else bias_ih)  # [S, 3H]
    by_step = graph.op("Unsqueeze", graph.op("Transpose", scores, perm=[1, 0]), ints(2))  # [S, B, 1]
    candidates = graph.op("Shape", scores, start=0, end=1)
    zeros = graph.op("Expand", np.zeros((1, H), np.float32), graph.op("Concat", candidates, ints(H), axis=0))

    def step(body: Graph, h: Name, now: list[Name]) -> Name:
        inputs, a, counts = now  # [3H], [B, 1], []
        if scaled_inputs:
            inputs = body.op("Mul", inputs, a)
            inputs = inputs if bias_ih is None else body.op("Add", inputs, weight(bias_ih))
        u, n = _gates(body, inputs, h, weight_hh, bias_hh, reset)
        share = body.op("Mul", _share(body, kind, u, a), counts)
        return body.op("Add", h, body.op("Mul", share, body.op("Sub", n, h)))

    return graph.scan(zeros, [gates, by_step, mask], step)


def _gates(
    body: Graph, inputs: Name, h: Name, weight_hh: Weights, bias_hh: Weights | None, reset: Reset
) -> tuple[Name, Name]:
    """Compute update gate and candidate ``[B, H]`` of a step, of projected inputs ``[·, 3H]``."""
    H = weight_hh.shape[1]
    i_r, i_u, i_n = body.ops("Split", 3, inputs, axis=-1)
    if reset == "after":
        h_r, h_u, h_n = body.ops("Split", 3, linear(body, h, weight_hh, bias_hh), axis=-1)
    else:
        of_gates = linear(body, h, weight_hh[: 2 * H], None if bias_hh is None else bias_hh[: 2 * H])
        h_r, h_u = body.ops("Split", 2, of_gates, axis=-1)
    r = body.op("Sigmoid", body.op("Add", i_r, h_r))
    u = body.op("Sigmoid", body.op("Add", i_u, h_u))
    if reset == "after":
        recurrent = body.op("Mul", r, h_n)
    else:
        bias_n = None if bias_hh is None else bias_hh[2 * H :]
        recurrent = linear(body, body.op("Mul", r, h), weight_hh[2 * H :], bias_n)
    return u, body.op("Tanh", body.op("Add", i_n, recurrent))


def _share(body: Graph, kind: str, u: Name, a: Name) -> Name:
    """Give the share of the new state, as :func:`dien.ops.attention_gru.reference.attentional_update`."""
    if kind == "agru":
        return a  # eq. (10)
    if kind == "augru":
        return body.op("Mul", a, u)  # eq. (11)
    kept = u if kind == "aigru" else body.op("Mul", body.op("Sub", number(1), a), u)
    return body.op("Sub", number(1), kept)
