"""Plain PyTorch backend of ``attention_gru``, for any dtype and device: what others are tested against.

``naive`` is the equations, one row and one step at a time, differentiated by autograd. ``forward`` and
``backward`` are the operator's kernels: all rows of a step at once, nothing on padding. ``plain`` is the same
in functions that PyTorch differentiates, as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.ops.attention_gru.arguments import Arguments, check_backward_steps, check_steps
from dien.ops.dispatch import differentiate
from dien.packed import lengths_to_offsets


def naive(
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
            a = None if scores is None else scores[pair]
            _, _, u, n = _cell(gates[start + t], h, weight_hh, bias_hh)
            g = attentional_update(kind, u, a)
            h = (1 - g) * h + g * n
            every.append(h)
            pair += 1
        last.append(h)
    chosen = every if outputs == "all" else last
    return torch.stack(chosen) if chosen else gates.new_zeros((0, H))


def attentional_update(kind: str, u: Tensor, a: Tensor | None) -> Tensor:
    """Update gate ``g`` under attention, of the gate ``u`` and the score ``a``: ``h = (1 - g) h + g n``."""
    if kind == "gru":
        return 1 - u  # torch.nn.GRU's update gate is what is kept of the state
    assert a is not None
    if kind == "agru":
        return a.expand_as(u)  # eq. (10)
    if kind == "augru":
        return a * u  # eq. (11)
    return 1 - (1 - a) * u  # the authors' code: u is what is kept


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


def forward(given: Arguments, keep_states: bool, keep_activations: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Run the recurrence.

    Returns:
        last: ``[B, H]`` the state after each row's last step.
        states: ``[P, H]`` the state after every step, row after row; ``[0, H]`` unless ``keep_states``.
        activations: ``[P, 4H]`` what :func:`backward` needs of every step, ``U_n h``, ``r``, ``u`` and ``n``;
            ``[0, 4H]`` unless ``keep_activations``. Keeping them costs less than the products a second time.

    Raises:
        ValueError: rows that do not fit; the message names one and the rule.
    """
    check_steps(given)
    x, weight_ih, weight_hh, bias_ih, bias_hh, starts, lengths, scores, state, kind = given
    projections = x if weight_ih is None else F.linear(x, weight_ih, bias_ih)  # [N, 3H]
    B, H = lengths.shape[0], weight_hh.shape[1]
    order, step, pair, live = time_major(starts, lengths)
    h = x.new_zeros((B, H)) if state is None else state[order]  # longest row first
    states = x.new_empty((pair.shape[0] if keep_states else 0, H))
    activations = x.new_empty((pair.shape[0] if keep_activations else 0, 4 * H))
    begin = 0
    for rows in live:
        now = slice(begin, begin + rows)
        a = None if scores is None else scores[pair[now], None]
        h_n, r, u, n = _cell(projections.index_select(0, step[now]), h[:rows], weight_hh, bias_hh)
        h[:rows] += attentional_update(kind, u, a) * (n - h[:rows])
        if keep_states:
            states[pair[now]] = h[:rows]
        if keep_activations:
            activations[pair[now]] = torch.cat([h_n, r, u, n], 1)
        begin += rows
    last = torch.empty_like(h)
    last[order] = h
    return last, states, activations


def backward(
    given: Arguments, dlast: Tensor | None, dstates: Tensor | None, states: Tensor, activations: Tensor
) -> tuple[Tensor, ...]:
    """Differentiate :func:`forward`.

    Everything but the recurrence of the gradient is done for all pairs at once, from the states and
    activations that forward kept; weights get their gradient from one matrix product.

    Args:
        given: what :func:`forward` was given.
        dlast: ``[B, H]``, zeros where None.
        dstates: ``[P, H]``, zeros where None.
        states: ``[P, H]`` as kept by :func:`forward`.
        activations: ``[P, 4H]`` as kept by :func:`forward`.

    Returns:
        Gradients of x, weight_ih, weight_hh, bias_ih, bias_hh, scores and state; those of absent arguments
        are empty.
    """
    check_backward_steps(given, states)
    x, weight_ih, weight_hh, bias_ih, bias_hh, starts, lengths, scores, state, kind = given
    H = weight_hh.shape[1]
    if dlast is None:
        dlast = x.new_zeros((lengths.shape[0], H))
    if dstates is None:
        dstates = torch.zeros_like(states)
    order, step, pair, live = time_major(starts, lengths)
    P = pair.shape[0]
    first = lengths_to_offsets(lengths)[:-1]  # [B]
    begins = first[lengths > 0]  # pairs that start a row
    previous = torch.empty_like(states)  # [P, H] the state before each pair
    previous[1:] = states[: max(P - 1, 0)]
    previous[begins] = 0 if state is None else state[lengths > 0]

    h = previous[pair]  # [P, H], time-major from here on
    h_n, r, u, n = activations[pair].chunk(4, 1)
    a = None if scores is None else scores[pair, None]
    g = attentional_update(kind, u, a)

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

    dh = torch.empty_like(h)  # [P, H] dL/dh_t in all
    dlater = dlast[order]  # [B, H] what reaches the state after the step at hand from later steps
    end = P
    for rows in reversed(live):
        now = slice(end - rows, end)
        total = dlater[:rows] + dstates[pair[now]]
        dh[now] = total
        into = (total[:, None] * to_recurrent[now]).view(rows, 3 * H)
        dlater[:rows] = torch.addmm(total * keep[now], into, weight_hh)
        end -= rows

    drecurrent = (dh[:, None] * to_recurrent).view(P, 3 * H)
    dinput = torch.cat([drecurrent[:, : 2 * H], dh * to_n], 1)
    dprojections = x.new_zeros((x.shape[0], 3 * H)).index_add_(0, step, dinput)
    dweight_hh = drecurrent.t() @ h
    # An operator's results must not be one tensor, so each that is absent is empty on its own.
    dbias_hh = x.new_empty(0) if bias_hh is None else drecurrent.sum(0)
    dscores = x.new_empty(0)
    if scores is not None:
        da = dh * to_g if kind == "agru" else dh * to_g * u
        dscores = torch.empty_like(scores)
        dscores[pair] = da.sum(1)
    dstate = x.new_empty(0)
    if state is not None:
        dstate = torch.empty_like(dlater)
        dstate[order] = dlater
    dx, dweight_ih = dprojections, x.new_empty(0)
    if weight_ih is not None:
        dx, dweight_ih = dprojections @ weight_ih, dprojections.t() @ x
    dbias_ih = x.new_empty(0) if bias_ih is None else dprojections.sum(0)
    return dx, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dscores, dstate


def plain(given: Arguments, keep_states: bool, keep_activations: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Run :func:`forward`; activations, which have no gradient, are left out."""
    last, states = run(given, _after, keep_states)
    return last, states, last.new_empty(0)


def plain_backward(
    given: Arguments, dlast: Tensor | None, dstates: Tensor | None, states: Tensor, activations: Tensor
) -> tuple[Tensor, ...]:
    """Run :func:`backward`."""
    inputs = (*given[:5], given.scores, given.state)

    def forward(*changed: Any) -> tuple[Tensor, Tensor]:
        fields = ("x", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "scores", "state")
        return run(given._replace(**dict(zip(fields, changed, strict=True))), _after, True)

    found = differentiate(forward, inputs, lambda results: zip(results, (dlast, dstates), strict=True))
    return tuple(states.new_empty(0) if one is None else one for one in found)


Step = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], tuple[Tensor, Tensor]]
"""From ``[rows, 3H]`` projections, the state, ``weight_hh`` and ``bias_hh`` to update gate and candidate."""


def run(given: Arguments, step: Step, keep_states: bool) -> tuple[Tensor, Tensor]:
    """Run a recurrence in functions that PyTorch differentiates.

    Args:
        given: arguments.
        step: what is particular to it.
        keep_states: whether all states are wanted.

    Returns:
        ``[B, H]`` the last states; ``[P, H]`` all of them, or ``[0, H]``.

    Raises:
        ValueError: rows that do not fit; the message names one and the rule.
    """
    check_steps(given)
    x, weight_ih, weight_hh, bias_ih, bias_hh, starts, lengths, scores, state, kind = given
    H = weight_hh.shape[1]
    projections = x if weight_ih is None else F.linear(x, weight_ih, bias_ih)  # [N, 3H]
    order, step_of, pair, live = time_major(starts, lengths)
    h = x.new_zeros(lengths.shape[0], H) if state is None else state[order]  # longest row first
    every, ended, begin = [h[:0]], [], 0
    for rows in live:
        ended.append(h[rows:])
        h = h[:rows]
        now = slice(begin, begin + rows)
        u, n = step(projections.index_select(0, step_of[now]), h, weight_hh, bias_hh)
        g = attentional_update(kind, u, None if scores is None else scores[pair[now], None])
        h = h + g * (n - h)
        every.append(h)
        begin += rows
    last = torch.cat([h, *reversed(ended)])  # [B, H]
    last = torch.empty_like(last).index_copy(0, order, last)
    states = x.new_empty(begin if keep_states else 0, H)
    return last, states.index_copy(0, pair, torch.cat(every)) if keep_states else states


def _after(projection: Tensor, h: Tensor, weight_hh: Tensor, bias_hh: Tensor | None) -> tuple[Tensor, Tensor]:
    _, _, u, n = _cell(projection, h, weight_hh, bias_hh)
    return u, n


def _cell(
    projection: Tensor, h: Tensor, weight_hh: Tensor, bias_hh: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute ``U_n h``, ``r``, ``u`` and ``n`` of one step, of states ``[..., H]``."""
    i_r, i_u, i_n = projection.chunk(3, -1)
    h_r, h_u, h_n = F.linear(h, weight_hh, bias_hh).chunk(3, -1)
    r, u = torch.sigmoid(i_r + h_r), torch.sigmoid(i_u + h_u)
    return h_n, r, u, torch.tanh(i_n + r * h_n)
