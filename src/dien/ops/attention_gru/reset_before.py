"""The recurrence whose reset gate stands before the recurrent product, as in TensorFlow's GRUCell."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dien.ops.attention_gru.arguments import Arguments, Kind, check_reset_before
from dien.ops.attention_gru.reference import run
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

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    given = Arguments(x, weight_ih, weight_hh, bias_ih, bias_hh, starts, lengths, scores, state, kind)
    found: Tensor = torch.ops.dien.reset_before_gru(*given, outputs)
    return found


def _reference(given: Arguments, outputs: str) -> Tensor:
    last, states = run(given, _step, outputs == "all")
    if not given.x.shape[0]:  # no step at all, and yet part of the graph, as of the fast operators
        used = (*given[:5], given.scores)
        nothing = torch.cat([one[:0].flatten() for one in used if one is not None]).sum()
        last, states = last + nothing, states + nothing
    return states if outputs == "all" else last


def _step(projection: Tensor, h: Tensor, weight_hh: Tensor, bias_hh: Tensor | None) -> tuple[Tensor, Tensor]:
    H = weight_hh.shape[1]
    bias_ru = None if bias_hh is None else bias_hh[: 2 * H]
    bias_n = None if bias_hh is None else bias_hh[2 * H :]
    i_r, i_u, i_n = projection.chunk(3, 1)  # [rows, H] each
    h_r, h_u = F.linear(h, weight_hh[: 2 * H], bias_ru).chunk(2, 1)
    r, u = torch.sigmoid(i_r + h_r), torch.sigmoid(i_u + h_u)
    return u, torch.tanh(i_n + F.linear(r * h, weight_hh[2 * H :], bias_n))


define_composite(
    "reset_before_gru({}, str outputs) -> Tensor",
    _reference,
    check=check_reset_before,
    arguments=Arguments,
)
