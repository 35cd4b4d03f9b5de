"""The recurrence of DIEN: a GRU over packed, possibly shared steps, with an attention score at every step.

One operator, ``torch.ops.dien.attention_gru``, seen whole by ``torch.compile`` and ``torch.export``. It takes
the input projections, or makes them where it uses them. A faster backend is a pair of kernels registered for
a device on ``_forward`` and ``_backward``, as :mod:`dien.ops.cpu` is; no caller changes.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, NoReturn, get_args

import torch
from torch import Tensor

from dien.ops import reference
from dien.ops.cpu import attention_gru as cpu
from dien.ops.reference import KINDS, Kind

Outputs = Literal["last", "all"]


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
    given = _Given("gates", gates, None, weight_hh, None, bias_hh, starts, lengths, scores, state)
    return _run(given, kind, outputs)


def attention_gru_layer(
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
    outputs: Outputs = "last",
) -> Tensor:
    """Run :func:`attention_gru` on the gates ``x weight_ih^T + bias_ih``, which need not be kept in memory.

    Args:
        x: ``[N, D]`` inputs of the packed steps.
        weight_ih: ``[3H, D]`` input weights, in the order of ``weight_hh``; this and the next three as
            torch.nn.GRU has them.
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
    given = _Given("x", x, weight_ih, weight_hh, bias_ih, bias_hh, starts, lengths, scores, state)
    return _run(given, kind, outputs)


class _Given(NamedTuple):
    """The arguments of either function; inputs are gates or x, as ``name`` says."""

    name: str
    inputs: Tensor
    weight_ih: Tensor | None
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    starts: Tensor
    lengths: Tensor
    scores: Tensor | None
    state: Tensor | None


def _run(given: _Given, kind: Kind, outputs: Outputs) -> Tensor:
    _check(given, kind, outputs)
    checked_by_backend = torch.compiler.is_compiling() or cpu.checks_rows(given.inputs)
    if not checked_by_backend:
        _check_rows(given)
    floating = (x for x in given[1:] if isinstance(x, Tensor) and x.is_floating_point())
    differentiable = torch.is_grad_enabled() and any(x.requires_grad for x in floating)
    last: Tensor
    states: Tensor
    try:
        last, states, _ = _forward(
            given.inputs,
            given.weight_hh,
            given.bias_hh,
            given.starts.to(torch.int64),
            given.lengths.to(torch.int64),
            given.scores,
            given.state,
            kind,
            outputs == "all" or differentiable,
            differentiable,
            given.weight_ih,
            given.bias_ih,
        )
    except ValueError:
        _check_rows(given)  # says which
        raise
    return states if outputs == "all" else last


@torch.library.custom_op("dien::attention_gru", mutates_args=())
def _forward(
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
    return reference.forward(
        inputs,
        weight_hh,
        bias_hh,
        starts,
        lengths,
        scores,
        state,
        kind,
        keep_states,
        keep_gates,
        weight_ih,
        bias_ih,
    )


@torch.library.custom_op("dien::attention_gru_backward", mutates_args=())
def _backward(
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
    return reference.backward(
        grad_last,
        grad_states,
        states,
        opened,
        inputs,
        weight_hh,
        bias_hh,
        starts,
        lengths,
        scores,
        state,
        kind,
        weight_ih,
        bias_ih,
    )


_forward.register_kernel("cpu")(cpu.forward)
_backward.register_kernel("cpu")(cpu.backward)


@_forward.register_fake
def _(
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
    B, H = lengths.shape[0], weight_hh.shape[1]
    P: Any = 0
    if keep_states:
        # Without scores the number of pairs is known to the data alone.
        P = scores.shape[0] if scores is not None else torch.library.get_ctx().new_dynamic_size()
    opened = inputs.new_empty((P if keep_gates else 0, 4 * H))
    return inputs.new_empty((B, H)), inputs.new_empty((P, H)), opened


@_backward.register_fake
def _(
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
    def like(tensor: Tensor | None) -> Tensor:
        return inputs.new_empty(0) if tensor is None else tensor.new_empty(tensor.shape)

    return (
        like(inputs),
        like(weight_hh),
        like(bias_hh),
        like(scores),
        like(state),
        like(weight_ih),
        like(bias_ih),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *tensors, kind, keep_states, keep_gates, weight_ih, bias_ih = inputs
    if not keep_states or not keep_gates:
        raise RuntimeError("attention_gru: gradients need keep_states=True and keep_gates=True")
    ctx.save_for_backward(*output[1:], *tensors, weight_ih, bias_ih)
    ctx.mark_non_differentiable(output[2])
    ctx.kind = kind
    ctx.set_materialize_grads(False)  # of the two results one is seldom used


def _differentiate(
    ctx: Any, grad_last: Tensor | None, grad_states: Tensor | None, _: None
) -> tuple[Tensor | None, ...]:
    states, opened, *tensors, weight_ih, bias_ih = ctx.saved_tensors
    found = _backward(grad_last, grad_states, states, opened, *tensors, ctx.kind, weight_ih, bias_ih)
    inputs, weight_hh, bias_hh, _, _, scores, state = tensors
    of_inputs, of_weight_hh, of_bias_hh, of_scores, of_state, of_weight_ih, of_bias_ih = (
        None if given is None else of
        for of, given in zip(
            found, (inputs, weight_hh, bias_hh, scores, state, weight_ih, bias_ih), strict=True
        )
    )
    return (
        of_inputs,
        of_weight_hh,
        of_bias_hh,
        None,
        None,
        of_scores,
        of_state,
        None,
        None,
        None,
        of_weight_ih,
        of_bias_ih,
    )


_forward.register_autograd(_differentiate, setup_context=_save)


def _refuse(found: str, rule: str) -> NoReturn:
    raise ValueError(f"attention_gru: {found}; expected {rule}")


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))


def _check(given: _Given, kind: str, outputs: str) -> None:
    """Refuse shapes and types that do not fit, quoting them and the rule."""
    name, inputs, weight_ih, weight_hh, bias_ih, bias_hh, starts, lengths, scores, state = given
    if kind not in KINDS:
        _refuse(f"kind={kind!r}", f"one of {', '.join(KINDS)}")
    if outputs not in get_args(Outputs):
        _refuse(f"outputs={outputs!r}", "'last' or 'all'")
    if weight_hh.ndim != 2 or weight_hh.shape[0] != 3 * weight_hh.shape[1]:
        _refuse(f"weight_hh has shape {_shape(weight_hh)}", "[3H, H]")
    H, B = weight_hh.shape[1], lengths.shape[0] if lengths.ndim else 0
    if weight_ih is None:
        if inputs.ndim != 2 or inputs.shape[1] != 3 * H:
            rule = f"[N, 3H] = [N, {3 * H}], as weight_hh {_shape(weight_hh)}"
            _refuse(f"gates has shape {_shape(inputs)}", rule)
    elif weight_ih.ndim != 2 or weight_ih.shape[0] != 3 * H:
        _refuse(f"weight_ih has shape {_shape(weight_ih)}", f"[3H, D] = [{3 * H}, D]")
    elif inputs.ndim != 2 or inputs.shape[1] != weight_ih.shape[1]:
        rule = f"[N, D] = [N, {weight_ih.shape[1]}], as weight_ih {_shape(weight_ih)}"
        _refuse(f"x has shape {_shape(inputs)}", rule)
    for which, bias in (("bias_ih", bias_ih), ("bias_hh", bias_hh)):
        if bias is not None and bias.shape != (3 * H,):
            _refuse(f"{which} has shape {_shape(bias)}", f"[3H] = [{3 * H}]")
    if lengths.ndim != 1 or starts.shape != lengths.shape:
        _refuse(f"starts and lengths have shapes {_shape(starts)} and {_shape(lengths)}", "[B] both")
    for which, rows in (("starts", starts), ("lengths", lengths)):
        if rows.dtype not in (torch.int32, torch.int64):
            _refuse(f"{which} has dtype {rows.dtype}", "int32 or int64")
    if state is not None and state.shape != (B, H):
        _refuse(f"state has shape {_shape(state)}", f"[B, H] = [{B}, {H}]")
    if (scores is None) != (kind == "gru"):
        found = "None" if scores is None else _shape(scores)
        _refuse(f"scores is {found} and kind={kind!r}", "None for 'gru', [P] for every other kind")
    if scores is not None and scores.ndim != 1:
        _refuse(f"scores has shape {_shape(scores)}", "[P], one score for each (row, step)")
    for which in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "scores", "state"):
        other = getattr(given, which)
        if other is not None and other.dtype != inputs.dtype:
            _refuse(f"{which} is {other.dtype} and {name} {inputs.dtype}", "one dtype")


def _check_rows(given: _Given) -> None:
    """Refuse rows that do not fit, quoting them and the rule."""
    starts, lengths, scores = given.starts, given.lengths, given.scores
    outside = (starts < 0) | (starts + lengths > given.inputs.shape[0])
    wrong = (lengths < 0) | ((lengths > 0) & outside)
    if wrong.any():
        b = int(wrong.nonzero()[0])
        _refuse(
            f"row {b} has starts {int(starts[b])} and lengths {int(lengths[b])}, "
            f"{given.name} {_shape(given.inputs)}",
            "starts >= 0, lengths >= 0 and starts + lengths <= N",
        )
    if scores is not None and scores.shape[0] != (P := int(lengths.sum())):
        _refuse(f"scores has shape {_shape(scores)}", f"[P] = [{P}], P = lengths.sum()")
