"""Plain PyTorch backends, for any dtype and device: the truth that faster backends are tested against.

``attention_gru_naive`` is the equations, one row and one step at a time, differentiated by autograd.
``forward`` and ``backward`` are the backend of the operator: all rows of a step at once, nothing on padding.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.packed import lengths_to_offsets

Kind = Literal["gru", "agru", "augru", "augru-complement"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind of gates; the C++ backend's ``dien::Kind`` has the same order."""


def attention_gru_naive(
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None = None,
    *,
    kind: str = "augru",
    state: Tensor | None = None,
    outputs: str = "last",
) -> Tensor:
    """Compute :func:`dien.ops.attention_gru` by its equations; slow, differentiable."""
    H = weight_hh.shape[1]
    every, last, pair = [], [], 0
    for b, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        h = gates.new_zeros(H) if state is None else state[b]
        for t in range(length):
            i_r, i_u, i_n = gates[start + t].chunk(3)
            h_r, h_u, h_n = F.linear(h, weight_hh, bias_hh).chunk(3)
            r, u = torch.sigmoid(i_r + h_r), torch.sigmoid(i_u + h_u)
            n = torch.tanh(i_n + r * h_n)
            g = new_share(kind, u, None if scores is None else scores[pair])
            h = (1 - g) * h + g * n
            every.append(h)
            pair += 1
        last.append(h)
    chosen = every if outputs == "all" else last
    return torch.stack(chosen) if chosen else gates.new_zeros((0, H))


def new_share(kind: str, u: Tensor, a: Tensor | None) -> Tensor:
    """Share ``g`` of the candidate in the new state, ``h = (1 - g) h + g n``."""
    if kind == "gru":
        return 1 - u  # torch.nn.GRU's update gate is the share that is kept
    assert a is not None
    if kind == "agru":
        return a.expand_as(u)  # eq. (10)
    if kind == "augru":
        return a * u  # eq. (11)
    return 1 - (1 - a) * u  # the authors' code: u is the share that is kept


def time_major(starts: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """Order the pairs by step, rows longest first, so that the live rows of a step are a prefix.

    Returns:
        order: ``[B]`` rows, longest first.
        step: ``[P]`` packed step of each time-major pair.
        pair: ``[P]`` the row-major pair each time-major pair is.
        live: how many rows have a step t, for each t.
    """
    order = torch.argsort(lengths, descending=True, stable=True)  # [B]
    sorted_lengths = lengths[order]
    # A stable sort by t keeps the longer row first within a step.
    place = torch.repeat_interleave(torch.arange(len(order), device=order.device), sorted_lengths)  # [P]
    first = lengths_to_offsets(sorted_lengths)[:-1]
    t = torch.arange(place.shape[0], device=order.device) - first[place]  # [P]
    by_time = torch.argsort(t, stable=True)
    t, row = t[by_time], order[place[by_time]]
    pair = lengths_to_offsets(lengths)[:-1][row] + t
    live = torch.bincount(t).tolist() if t.numel() else []
    return order, starts[row] + t, pair, live


def forward(
    inputs: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
    keep_states: bool,
    keep_gates: bool,
    weight_ih: Tensor | None = None,
    bias_ih: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the recurrence on gates, or where ``weight_ih`` is given on x.

    Returns:
        last: ``[B, H]`` the state after each row's last step.
        states: ``[P, H]`` the state after every step, row after row; ``[0, H]`` unless ``keep_states``.
        opened: ``[P, 4H]`` what :func:`backward` needs of every step, ``U_n h``, ``r``, ``u`` and ``n``;
            ``[0, 4H]`` unless ``keep_gates``. Keeping them costs less than the products a second time.
    """
    gates = inputs if weight_ih is None else F.linear(inputs, weight_ih, bias_ih)
    B, H = lengths.shape[0], weight_hh.shape[1]
    order, step, pair, live = time_major(starts, lengths)
    h = gates.new_zeros((B, H)) if state is None else state[order]  # longest row first
    states = gates.new_empty((pair.shape[0] if keep_states else 0, H))
    opened = gates.new_empty((pair.shape[0] if keep_gates else 0, 4 * H))
    begin = 0
    for rows in live:
        now = slice(begin, begin + rows)
        i_r, i_u, i_n = gates.index_select(0, step[now]).chunk(3, 1)
        h_r, h_u, h_n = F.linear(h[:rows], weight_hh, bias_hh).chunk(3, 1)
        r, u = torch.sigmoid(i_r + h_r), torch.sigmoid(i_u + h_u)
        n = torch.tanh(i_n + r * h_n)
        a = None if scores is None else scores[pair[now], None]
        h[:rows] += new_share(kind, u, a) * (n - h[:rows])
        if keep_states:
            states[pair[now]] = h[:rows]
        if keep_gates:
            opened[pair[now]] = torch.cat([h_n, r, u, n], 1)
        begin += rows
    last = torch.empty_like(h)
    last[order] = h
    return last, states, opened


def backward(
    grad_last: Tensor | None,
    grad_states: Tensor | None,
    states: Tensor,
    opened: Tensor,
    inputs: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
    weight_ih: Tensor | None = None,
    bias_ih: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Differentiate :func:`forward`.

    Everything but the recurrence of the gradient is done for all pairs at once, from the states and gates
    that forward kept; weights get their gradient from one matrix product.

    Args:
        grad_last: ``[B, H]``, zeros where None.
        grad_states: ``[P, H]``, zeros where None.
        states: ``[P, H]`` as kept by :func:`forward`.
        opened: ``[P, 4H]`` as kept by :func:`forward`.
        inputs: this and all that follows as given to :func:`forward`.
        weight_hh: see there.
        bias_hh: see there.
        starts: see there.
        lengths: see there.
        scores: see there.
        state: see there.
        kind: see there.
        weight_ih: see there.
        bias_ih: see there.

    Returns:
        Gradients of inputs ``[N, 3H]`` or ``[N, D]``, weight_hh ``[3H, H]``, bias_hh ``[3H]``, scores
        ``[P]``, state ``[B, H]``, weight_ih ``[3H, D]`` and bias_ih ``[3H]``; those of absent arguments are
        empty.
    """
    H = weight_hh.shape[1]
    if grad_last is None:
        grad_last = inputs.new_zeros((lengths.shape[0], H))
    if grad_states is None:
        grad_states = torch.zeros_like(states)
    order, step, pair, live = time_major(starts, lengths)
    P = pair.shape[0]
    first = lengths_to_offsets(lengths)[:-1]  # [B]
    begins = first[lengths > 0]  # pairs that start a row
    previous = torch.empty_like(states)  # [P, H] the state before each pair
    previous[1:] = states[: max(P - 1, 0)]
    previous[begins] = 0 if state is None else state[lengths > 0]

    h = previous[pair]  # [P, H], time-major from here on
    h_n, r, u, n = opened[pair].chunk(4, 1)
    a = None if scores is None else scores[pair, None]
    g = new_share(kind, u, a)

    # Every gradient of step t is linear in dL/dh_t: these are the factors.
    to_n = g * (1 - n * n)
    to_r = to_n * h_n * r * (1 - r)
    to_g = n - h
    if kind == "agru":
        to_u = torch.zeros_like(u)
    elif kind == "gru":
        to_u = -to_g * u * (1 - u)
    else:
        assert a is not None
        to_u = to_g * u * (1 - u) * (a if kind == "augru" else a - 1)
    to_recurrent = torch.cat([to_r, to_u, to_n * r], 1).view(P, 3, H)
    keep = 1 - g

    grad_h = torch.empty_like(h)  # [P, H] dL/dh_t in all
    flow = grad_last[order]  # [B, H] what reaches the state after the step at hand
    end = P
    for rows in reversed(live):
        now = slice(end - rows, end)
        total = flow[:rows] + grad_states[pair[now]]
        grad_h[now] = total
        into = (total[:, None] * to_recurrent[now]).view(rows, 3 * H)
        flow[:rows] = torch.addmm(total * keep[now], into, weight_hh)
        end -= rows

    grad_recurrent = (grad_h[:, None] * to_recurrent).view(P, 3 * H)
    grad_input = torch.cat([grad_recurrent[:, : 2 * H], grad_h * to_n], 1)
    grad_gates = inputs.new_zeros((inputs.shape[0], 3 * H)).index_add_(0, step, grad_input)
    grad_weight = grad_recurrent.t() @ h
    # An operator's results must not be one tensor, so each that is absent is empty on its own.
    grad_bias = inputs.new_empty(0) if bias_hh is None else grad_recurrent.sum(0)
    grad_scores = inputs.new_empty(0)
    if scores is not None:
        by_score = grad_h * to_g if kind == "agru" else grad_h * to_g * u
        grad_scores = torch.empty_like(scores)
        grad_scores[pair] = by_score.sum(1)
    grad_state = inputs.new_empty(0)
    if state is not None:
        grad_state = torch.empty_like(flow)
        grad_state[order] = flow
    grad_inputs, grad_weight_ih, grad_bias_ih = grad_gates, inputs.new_empty(0), inputs.new_empty(0)
    if weight_ih is not None:
        grad_inputs, grad_weight_ih = grad_gates @ weight_ih, grad_gates.t() @ inputs
    if bias_ih is not None:
        grad_bias_ih = grad_gates.sum(0)
    return grad_inputs, grad_weight, grad_bias, grad_scores, grad_state, grad_weight_ih, grad_bias_ih
