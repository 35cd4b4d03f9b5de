"""The arguments of the operator ``attention_gru``, and what is refused."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from torch import Tensor

from dien.ops.checks import (
    check_alike,
    check_has_values,
    check_integers,
    check_rows,
    check_shape,
    refuse,
    shape,
)

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
        starts: ``[B]`` int32 or int64.
        lengths: ``[B]`` int32 or int64.
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


def check(given: Arguments, *_: bool) -> None:
    """Refuse shapes and types that do not fit, quoting them and the rule."""
    _check("attention_gru", given)


def check_reset_before(given: Arguments, outputs: str) -> None:
    """Refuse what does not fit ``reset_before_gru``."""
    _check("reset_before_gru", given)
    check_outputs("reset_before_gru", outputs)
    if given.weight_ih is None:
        refuse("reset_before_gru", "weight_ih is None", "[3H, D]")
    check_has_values("reset_before_gru", "lengths", given.lengths)  # they decide how many steps are taken


def check_outputs(operator: str, outputs: str) -> None:
    """Refuse a name of outputs that there are not."""
    if outputs not in get_args(Outputs):
        refuse(operator, f"outputs={outputs!r}", "'last' or 'all'")


def check_backward(
    given: Arguments, dlast: Tensor | None, dstates: Tensor | None, states: Tensor, activations: Tensor
) -> None:
    """Refuse what does not fit ``attention_gru_backward``."""
    name = "attention_gru_backward"
    _check(name, given)
    H, B = given.weight_hh.shape[1], given.lengths.shape[0]
    P = states.shape[0] if given.scores is None else given.scores.shape[0]
    if dlast is not None:
        check_shape(name, "dlast", dlast, "[B, H]", (B, H))
    if dstates is not None:
        check_shape(name, "dstates", dstates, "[P, H]", (P, H))
    check_shape(name, "states", states, "[P, H]", (P, H))
    check_shape(name, "activations", activations, "[P, 4H]", (P, 4 * H))
    names = (given.x_name, "dlast", "dstates", "states", "activations")
    check_alike(name, names, (given.x, dlast, dstates, states, activations))


def check_steps(given: Arguments, operator: str = "attention_gru") -> None:
    """Refuse rows that do not fit, quoting them and the rule."""
    check_rows(operator, given.x_name, given.x, given.starts, given.lengths, given.scores)


def check_backward_steps(given: Arguments, states: Tensor) -> None:
    """Refuse rows, scores or states that do not fit ``attention_gru_backward``."""
    check_steps(given, "attention_gru_backward")
    check_rows("attention_gru_backward", given.x_name, given.x, given.starts, given.lengths, states, "states")


def _check(operator: str, given: Arguments) -> None:
    x, weight_ih, weight_hh, bias_ih, bias_hh, starts, lengths, scores, state, kind = given
    if kind not in KINDS:
        refuse(operator, f"kind={kind!r}", f"one of {', '.join(KINDS)}")
    if weight_hh.ndim != 2 or weight_hh.shape[0] != 3 * weight_hh.shape[1]:
        refuse(operator, f"weight_hh has shape {shape(weight_hh)}", "[3H, H]")
    H = weight_hh.shape[1]
    if weight_ih is None:
        if x.ndim != 2 or x.shape[1] != 3 * H:
            rule = f"[N, 3H] = [N, {3 * H}], as weight_hh {shape(weight_hh)}"
            refuse(operator, f"gates has shape {shape(x)}", rule)
        if bias_ih is not None:
            refuse(operator, "bias_ih is given and weight_ih None", "None with gates, which have it already")
    elif weight_ih.ndim != 2 or weight_ih.shape[0] != 3 * H:
        refuse(operator, f"weight_ih has shape {shape(weight_ih)}", f"[3H, D] = [{3 * H}, D]")
    elif x.ndim != 2 or x.shape[1] != weight_ih.shape[1]:
        rule = f"[N, D] = [N, {weight_ih.shape[1]}], as weight_ih {shape(weight_ih)}"
        refuse(operator, f"x has shape {shape(x)}", rule)
    if bias_ih is not None:
        check_shape(operator, "bias_ih", bias_ih, "[3H]", (3 * H,))
    if bias_hh is not None:
        check_shape(operator, "bias_hh", bias_hh, "[3H]", (3 * H,))
    if lengths.ndim != 1 or starts.shape != lengths.shape:
        refuse(operator, f"starts and lengths have shapes {shape(starts)} and {shape(lengths)}", "[B] both")
    check_integers(operator, ("starts", "lengths"), (starts, lengths), given.x_name, x.device)
    if state is not None:
        check_shape(operator, "state", state, "[B, H]", (lengths.shape[0], H))
    if (scores is None) != (kind == "gru"):
        found = "None" if scores is None else shape(scores)
        refuse(operator, f"scores is {found} and kind={kind!r}", "None for 'gru', [P] for every other kind")
    if scores is not None and scores.ndim != 1:
        refuse(operator, f"scores has shape {shape(scores)}", "[P], one score for each (row, step)")
    names = (given.x_name, "weight_ih", "weight_hh", "bias_ih", "bias_hh", "scores", "state")
    check_alike(operator, names, (x, weight_ih, weight_hh, bias_ih, bias_hh, scores, state))
