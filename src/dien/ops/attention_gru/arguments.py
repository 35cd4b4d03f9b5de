"""The arguments of the operator ``attention_gru``, and what is refused."""

from __future__ import annotations

from typing import Literal, NamedTuple, NoReturn, get_args

import torch
from torch import Tensor

Kind = Literal["gru", "agru", "augru", "augru-complement"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind of update gate; the C++ backend's ``dien::gru::Kind`` has the same order."""
Outputs = Literal["last", "all"]


class Arguments(NamedTuple):
    """All that the recurrence reads; shapes and meaning as in :func:`dien.ops.attention_gru_layer`.

    Attributes:
        x: ``[N, D]`` inputs of the packed steps; without ``weight_ih`` their projections ``[N, 3H]``.
        weight_ih: ``[3H, D]``, or None.
        weight_hh: ``[3H, H]``.
        bias_ih: ``[3H]``, or None.
        bias_hh: ``[3H]``, or None.
        starts: ``[B]`` int64.
        lengths: ``[B]`` int64.
        scores: ``[P]``, or None.
        state: ``[B, H]``, or None.
        kind: one of :data:`KINDS`.
    """

    x: Tensor
    weight_ih: Tensor | None
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    starts: Tensor
    lengths: Tensor
    scores: Tensor | None
    state: Tensor | None
    kind: str

    @property
    def x_name(self) -> str:
        """What a caller knows ``x`` as."""
        return "gates" if self.weight_ih is None else "x"


def check(given: Arguments, outputs: str) -> None:
    """Refuse shapes and types that do not fit, quoting them and the rule."""
    x, weight_ih, weight_hh, bias_ih, bias_hh, starts, lengths, scores, state, kind = given
    if kind not in KINDS:
        _refuse(f"kind={kind!r}", f"one of {', '.join(KINDS)}")
    if outputs not in get_args(Outputs):
        _refuse(f"outputs={outputs!r}", "'last' or 'all'")
    if weight_hh.ndim != 2 or weight_hh.shape[0] != 3 * weight_hh.shape[1]:
        _refuse(f"weight_hh has shape {_shape(weight_hh)}", "[3H, H]")
    H, B = weight_hh.shape[1], lengths.shape[0] if lengths.ndim else 0
    if weight_ih is None:
        if x.ndim != 2 or x.shape[1] != 3 * H:
            rule = f"[N, 3H] = [N, {3 * H}], as weight_hh {_shape(weight_hh)}"
            _refuse(f"gates has shape {_shape(x)}", rule)
    elif weight_ih.ndim != 2 or weight_ih.shape[0] != 3 * H:
        _refuse(f"weight_ih has shape {_shape(weight_ih)}", f"[3H, D] = [{3 * H}, D]")
    elif x.ndim != 2 or x.shape[1] != weight_ih.shape[1]:
        rule = f"[N, D] = [N, {weight_ih.shape[1]}], as weight_ih {_shape(weight_ih)}"
        _refuse(f"x has shape {_shape(x)}", rule)
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
        if other is not None and other.dtype != x.dtype:
            _refuse(f"{which} is {other.dtype} and {given.x_name} {x.dtype}", "one dtype")


def check_rows(given: Arguments) -> None:
    """Refuse rows that do not fit, quoting them and the rule."""
    starts, lengths, scores = given.starts, given.lengths, given.scores
    outside = (starts < 0) | (starts + lengths > given.x.shape[0])
    wrong = (lengths < 0) | ((lengths > 0) & outside)
    if wrong.any():
        b = int(wrong.nonzero()[0])
        _refuse(
            f"row {b} has starts {int(starts[b])} and lengths {int(lengths[b])}, "
            f"{given.x_name} {_shape(given.x)}",
            "starts >= 0, lengths >= 0 and starts + lengths <= N",
        )
    if scores is not None and scores.shape[0] != (P := int(lengths.sum())):
        _refuse(f"scores has shape {_shape(scores)}", f"[P] = [{P}], P = lengths.sum()")


def _refuse(found: str, rule: str) -> NoReturn:
    raise ValueError(f"attention_gru: {found}; expected {rule}")


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))
