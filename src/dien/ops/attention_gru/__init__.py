"""The recurrence of DIEN: a GRU over packed, possibly shared steps, with an attention score at every step.

One operator, ``torch.ops.dien.attention_gru``, seen whole by ``torch.compile``, ``torch.export`` and
``torch.jit.trace``. It takes the input projections, or makes them where it uses them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dien.ops.attention_gru import cpu, reference
from dien.ops.attention_gru.arguments import (
    Arguments,
    Kind,
    Outputs,
    check,
    check_backward,
    check_outputs,
)
from dien.ops.checks import check_has_values
from dien.ops.dispatch import define, will_differentiate


def attention_gru(
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None = None,
    *,
    kind: Kind = "augru",
    state: Tensor | None = None,
    outputs: Outputs = "last",
) -> Tensor:
    r"""Run a GRU with attentional gates over rows of packed steps.

    With ``r = σ(i_r + U_r h)``, ``u = σ(i_u + U_u h)``, ``n = tanh(i_n + r ∘ U_n h)`` (``U`` with its bias)
    and the score ``a`` of the row's step, a step is ``h ← (1 - g) ∘ h + g ∘ n`` where

    - ``gru``: ``g = 1 - u``, torch.nn.GRU's convention (eq. 2-5 with ``u`` for the paper's ``1 - u``);
    - ``agru``: ``g = a`` (eq. 10);
    - ``augru``: ``g = a u`` (eq. 11-12);
    - ``augru-complement``: ``g = 1 - (1 - a) u``, the authors' code, where ``u`` is what is kept.

    Args:
        gates: ``[N, 3H]`` input projections of the packed steps, bias included, in the order reset, update,
            candidate as in torch.nn.GRU.
        weight_hh: ``[3H, H]`` recurrent weights, same order.
        bias_hh: ``[3H]`` recurrent bias, or None.
        starts: ``[B]`` int32 or int64; row ``b`` reads ``gates[starts[b] : starts[b] + lengths[b]]``, and
            rows may share steps.
        lengths: ``[B]`` int32 or int64, >= 0.
        scores: ``[P]`` attention score of every (row, step), row after row, ``P = lengths.sum()``; None for
            ``kind="gru"``.
        kind: which update gate.
        state: ``[B, H]`` initial state; zeros where None.
        outputs: ``last`` or ``all``.

    Returns:
        ``[B, H]`` the state after each row's last step (its initial state where it has none), or ``[P, H]``
        the state after every step.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    return attention_gru_layer(
        gates,
        None,
        weight_hh,
        None,
        bias_hh,
        starts,
        lengths,
        scores,
        kind=kind,
        state=state,
        outputs=outputs,
    )


def attention_gru_layer(
    x: Tensor,
    weight_ih: Tensor | None,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None = None,
    *,
    kind: Kind = "augru",
    state: Tensor | None = None,
    outputs: Outputs = "last",
) -> Tensor:
    """Run :func:`attention_gru` on the gates ``x weight_ih^T + bias_ih``, which need not be kept in memory.

    Args:
        x: ``[N, D]`` inputs of the packed steps.
        weight_ih: ``[3H, D]`` input weights, in the order of ``weight_hh``; this and the next three as
            torch.nn.GRU has them. None where ``x`` holds the gates already.
        weight_hh: ``[3H, H]``.
        bias_ih: ``[3H]``, or None.
        bias_hh: ``[3H]``, or None.
        starts: this and all that follows as :func:`attention_gru` takes it.
        lengths: see there.
        scores: see there.
        kind: see there.
        state: see there.
        outputs: see there.

    Returns:
        As :func:`attention_gru`.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    given = Arguments(x, weight_ih, weight_hh, bias_ih, bias_hh, starts, lengths, scores, state, kind)
    check_outputs("attention_gru", outputs)
    needs_gradient = will_differentiate(given)
    keep_states = outputs == "all" or needs_gradient
    last: Tensor
    states: Tensor
    last, states, _ = torch.ops.dien.attention_gru(*given, keep_states, needs_gradient)
    return states if outputs == "all" else last


def _fake(given: Arguments, keep_states: bool, keep_activations: bool) -> tuple[Tensor, Tensor, Tensor]:
    x, scores = given.x, given.scores
    B, H = given.lengths.shape[0], given.weight_hh.shape[1]
    P: Any = 0
    if keep_states and scores is not None:
        P = scores.shape[0]
    elif keep_states:  # the number of pairs is known to the data alone
        check_has_values("attention_gru", "lengths", given.lengths)
        P = torch.library.get_ctx().new_dynamic_size()
    return x.new_empty((B, H)), x.new_empty((P, H)), x.new_empty((P if keep_activations else 0, 4 * H))


def _differentiated(given: Arguments) -> tuple[Tensor | None, ...]:
    """Arguments that have a gradient, in the order of ``attention_gru_backward``."""
    return (*given[:5], given.scores, given.state)


def _fake_backward(given: Arguments, *_: Any) -> tuple[Tensor, ...]:
    return tuple(
        given.x.new_empty(0 if tensor is None else tensor.shape) for tensor in _differentiated(given)
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *tensors, kind, keep_states, keep_activations = inputs
    if not keep_states or not keep_activations:
        raise RuntimeError("attention_gru: gradients need keep_states=True and keep_activations=True")
    ctx.save_for_backward(*output[1:], *tensors)
    ctx.mark_non_differentiable(output[2])
    ctx.kind = kind
    ctx.set_materialize_grads(False)  # of the two results one is seldom used


def _backward(ctx: Any, dlast: Tensor | None, dstates: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    states, activations, *tensors = ctx.saved_tensors
    given = Arguments._make((*tensors, ctx.kind))
    found = torch.ops.dien.attention_gru_backward(*given, dlast, dstates, states, activations)
    *before, dscores, dstate = (
        None if tensor is None else gradient
        for tensor, gradient in zip(_differentiated(given), found, strict=True)
    )
    return (*before, None, None, dscores, dstate, None, None, None)


define(
    "attention_gru({}, bool keep_states, bool keep_activations) -> (Tensor, Tensor, Tensor)",
    reference.forward,
    check=check,
    cpu=cpu.forward,
    fake=_fake,
    plain=reference.plain,
    save=_save,
    backward=_backward,
    arguments=Arguments,
)
define(
    "attention_gru_backward({}, Tensor? dlast, Tensor? dstates, Tensor states, "
    "Tensor activations) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    reference.backward,
    check=check_backward,
    cpu=cpu.backward,
    fake=_fake_backward,
    plain=reference.plain_backward,
    arguments=Arguments,
)
