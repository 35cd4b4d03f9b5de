"""The recurrence of DIEN: a GRU over packed, possibly shared steps, with an attention score at every step.

One operator, ``torch.ops.dien.attention_gru``, seen whole by ``torch.compile`` and ``torch.export``. A faster
backend is a pair of kernels registered for a device on ``_forward`` and ``_backward``, as :mod:`dien.ops.cpu`
is; no caller changes.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from dien.ops import reference
from dien.ops.cpu import attention_gru as cpu
from dien.ops.reference import KINDS, Kind


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
    outputs: Literal["last", "all"] = "last",
) -> Tensor:
    r"""Run a GRU with attentional gates over rows of packed steps.

    With ``r = σ(i_r + U_r h)``, ``u = σ(i_u + U_u h)``, ``n = tanh(i_n + r ∘ U_n h)`` (``U`` with its bias)
    and the score ``a`` of the row's step, a step is ``h ← (1 - g) ∘ h + g ∘ n`` where

    - ``gru``: ``g = 1 - u``, torch.nn.GRU's convention (eq. 2-5 with ``u`` for the paper's ``1 - u``);
    - ``agru``: ``g = a`` (eq. 10);
    - ``augru``: ``g = a u`` (eq. 11-12);
    - ``augru-complement``: ``g = 1 - (1 - a) u``, the authors' code, where ``u`` is the share that is kept.

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
        kind: which gates.
        state: ``[B, H]`` initial state; zeros where None.
        outputs: ``last`` or ``all``.

    Returns:
        ``[B, H]`` the state after each row's last step (its initial state where it has none), or ``[P, H]``
        the state after every step.

    Raises:
        ValueError: a shape, dtype or value that does not fit; the message quotes it and the rule.
    """
    _check(gates, weight_hh, bias_hh, starts, lengths, scores, kind, state, outputs)
    inputs = (gates, weight_hh, bias_hh, scores, state)
    differentiable = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    last: Tensor
    states: Tensor
    last, states = _forward(
        gates,
        weight_hh,
        bias_hh,
        starts.to(torch.int64),
        lengths.to(torch.int64),
        scores,
        state,
        kind,
        outputs == "all" or differentiable,
    )
    return states if outputs == "all" else last


@torch.library.custom_op("dien::attention_gru", mutates_args=())
def _forward(
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    return reference.forward(gates, weight_hh, bias_hh, starts, lengths, scores, state, kind, keep_states)


@torch.library.custom_op("dien::attention_gru_backward", mutates_args=())
def _backward(
    grad_last: Tensor,
    grad_states: Tensor,
    states: Tensor,
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return reference.backward(
        grad_last, grad_states, states, gates, weight_hh, bias_hh, starts, lengths, scores, state, kind
    )


_forward.register_kernel("cpu")(cpu.forward)
_backward.register_kernel("cpu")(cpu.backward)


@_forward.register_fake
def _(
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    B, H = lengths.shape[0], weight_hh.shape[1]
    P: Any = 0
    if keep_states:
        # Without scores the number of pairs is known to the data alone.
        P = scores.shape[0] if scores is not None else torch.library.get_ctx().new_dynamic_size()
    return gates.new_empty((B, H)), gates.new_empty((P, H))


@_backward.register_fake
def _(
    grad_last: Tensor,
    grad_states: Tensor,
    states: Tensor,
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    state: Tensor | None,
    kind: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    def like(tensor: Tensor | None) -> Tensor:
        return gates.new_empty(0) if tensor is None else tensor.new_empty(tensor.shape)

    return like(gates), like(weight_hh), like(bias_hh), like(scores), like(state)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    gates, weight_hh, bias_hh, starts, lengths, scores, state, kind, keep_states = inputs
    if not keep_states:
        raise RuntimeError("attention_gru: gradients need keep_states=True")
    ctx.save_for_backward(output[1], gates, weight_hh, bias_hh, starts, lengths, scores, state)
    ctx.kind = kind


def _differentiate(ctx: Any, grad_last: Tensor, grad_states: Tensor) -> tuple[Tensor | None, ...]:
    states, gates, weight_hh, bias_hh, starts, lengths, scores, state = ctx.saved_tensors
    grad_gates, grad_weight, grad_bias, grad_scores, grad_state = _backward(
        grad_last.contiguous(),
        grad_states.contiguous(),
        states,
        gates,
        weight_hh,
        bias_hh,
        starts,
        lengths,
        scores,
        state,
        ctx.kind,
    )
    return (
        grad_gates,
        grad_weight,
        None if bias_hh is None else grad_bias,
        None,
        None,
        None if scores is None else grad_scores,
        None if state is None else grad_state,
        None,
        None,
    )


_forward.register_autograd(_differentiate, setup_context=_save)


def _check(
    gates: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None,
    starts: Tensor,
    lengths: Tensor,
    scores: Tensor | None,
    kind: str,
    state: Tensor | None,
    outputs: str,
) -> None:
    """Refuse what does not fit, quoting the shape and the rule."""

    def refuse(found: str, rule: str) -> None:
        raise ValueError(f"attention_gru: {found}; expected {rule}")

    def shape(tensor: Tensor) -> str:
        return str(list(tensor.shape))

    if kind not in KINDS:
        refuse(f"kind={kind!r}", f"one of {', '.join(KINDS)}")
    if outputs not in ("last", "all"):
        refuse(f"outputs={outputs!r}", "'last' or 'all'")
    if weight_hh.ndim != 2 or weight_hh.shape[0] != 3 * weight_hh.shape[1]:
        refuse(f"weight_hh has shape {shape(weight_hh)}", "[3H, H]")
    H, B = weight_hh.shape[1], lengths.shape[0] if lengths.ndim else 0
    if gates.ndim != 2 or gates.shape[1] != 3 * H:
        refuse(f"gates has shape {shape(gates)}", f"[N, 3H] = [N, {3 * H}], as weight_hh {shape(weight_hh)}")
    if bias_hh is not None and bias_hh.shape != (3 * H,):
        refuse(f"bias_hh has shape {shape(bias_hh)}", f"[3H] = [{3 * H}]")
    if lengths.ndim != 1 or starts.shape != lengths.shape:
        refuse(f"starts and lengths have shapes {shape(starts)} and {shape(lengths)}", "[B] both")
    for name, tensor in (("starts", starts), ("lengths", lengths)):
        if tensor.dtype not in (torch.int32, torch.int64):
            refuse(f"{name} has dtype {tensor.dtype}", "int32 or int64")
    if state is not None and state.shape != (B, H):
        refuse(f"state has shape {shape(state)}", f"[B, H] = [{B}, {H}]")
    if (scores is None) != (kind == "gru"):
        found = "None" if scores is None else shape(scores)
        refuse(f"scores is {found} and kind={kind!r}", "None for 'gru', [P] for every other kind")
    if scores is not None and scores.ndim != 1:
        refuse(f"scores has shape {shape(scores)}", "[P], one score for each (row, step)")
    for name, other in (("weight_hh", weight_hh), ("bias_hh", bias_hh), ("scores", scores), ("state", state)):
        if other is not None and other.dtype != gates.dtype:
            refuse(f"{name} is {other.dtype} and gates {gates.dtype}", "one dtype")
    if torch.compiler.is_compiling():
        return  # what follows depends on values
    outside = (starts < 0) | (starts + lengths > gates.shape[0])
    wrong = (lengths < 0) | ((lengths > 0) & outside)
    if wrong.any():
        b = int(wrong.nonzero()[0])
        refuse(
            f"row {b} has starts {int(starts[b])} and lengths {int(lengths[b])}, gates {shape(gates)}",
            "starts >= 0, lengths >= 0 and starts + lengths <= N",
        )
    if scores is not None and scores.shape[0] != (P := int(lengths.sum())):
        refuse(f"scores has shape {shape(scores)}", f"[P] = [{P}], P = lengths.sum()")
