"""The recurrence whose reset gate stands before the recurrent product, as in TensorFlow's GRUCell."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.ops.attention_gru.arguments import Arguments, Kind
from dien.ops.attention_gru.reference import attentional_update, time_major
from dien.ops.dispatch import define_composite


def reset_before_gru_layer(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None = None,
    *,
    kind: Kind = "augru",
    state: Tensor | None = None,
    outputs: str = "last",
) -> Tensor:
    """Run :func:`dien.ops.attention_gru_layer` with the candidate ``n = tanh(W_n x + U_n (r ∘ h))``.

    In plain PyTorch, all rows of a step at once and nothing on padding: there is no faster backend. With
    the reset after the product, ``n = tanh(W_n x + r ∘ U_n h)``, one product does for all gates.

    Args:
        x: this and all that follows as :func:`dien.ops.attention_gru_layer` takes it.
        weight_ih: see there.
        weight_hh: see there.
        bias_ih: see there.
        bias_hh: see there.
        starts: see there.
        lengths: see there.
        scores: see there.
        kind: see there.
        state: see there.
        outputs: see there.

    Returns:
        As :func:`dien.ops.attention_gru_layer`.
    """
    given = Arguments(x, weight_ih, weight_hh, bias_ih, bias_hh, starts, lengths, scores, state, kind)
    found: Tensor = torch.ops.dien.reset_before_gru(*given, outputs)
    return found


def _reference(given: Arguments, outputs: str) -> Tensor:
    x, weight_ih, weight_hh, bias_ih, bias_hh, starts, lengths, scores, state, kind = given
    assert weight_ih is not None
    H = weight_hh.shape[1]
    projections = F.linear(x, weight_ih, bias_ih)  # [N, 3H]
    weight_ru, weight_n = weight_hh[: 2 * H], weight_hh[2 * H :]
    bias_ru = None if bias_hh is None else bias_hh[: 2 * H]
    bias_n = None if bias_hh is None else bias_hh[2 * H :]
    order, step, pair, live = time_major(starts, lengths)
    h = x.new_zeros(lengths.shape[0], H) if state is None else state[order]  # longest row first
    every, ended, begin = [h[:0]], [], 0
    for rows in live:
        ended.append(h[rows:])
        h = h[:rows]
        now = slice(begin, begin + rows)
        i_r, i_u, i_n = projections.index_select(0, step[now]).chunk(3, 1)  # [rows, H] each
        h_r, h_u = F.linear(h, weight_ru, bias_ru).chunk(2, 1)
        r, u = torch.sigmoid(i_r + h_r), torch.sigmoid(i_u + h_u)
        n = torch.tanh(i_n + F.linear(r * h, weight_n, bias_n))
        g = attentional_update(kind, u, None if scores is None else scores[pair[now], None])
        h = h + g * (n - h)
        every.append(h)
        begin += rows
    if outputs == "all":
        return x.new_empty(begin, H).index_copy(0, pair, torch.cat(every))
    last = torch.cat([h, *reversed(ended)])  # [B, H]
    return torch.empty_like(last).index_copy(0, order, last)


define_composite("reset_before_gru({}, str outputs) -> Tensor", _reference, Arguments)
