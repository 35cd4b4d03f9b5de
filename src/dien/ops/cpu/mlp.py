"""The C++ backend of ``mlp_attention`` and ``auxiliary_loss``."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from torch import Tensor

from dien.ops.cpu import chosen
from dien.ops.cpu.library import Address, Held, Library, load
from dien.ops.tower import ACTIVATIONS, Tower

MOST_LAYERS = 8
Addresses = Address * MOST_LAYERS


class TowerOf(ctypes.Structure):
    """``dien::mlp::Tower`` of mlp/problem.h."""

    _fields_ = (
        ("activation", ctypes.c_int32),
        ("layers", ctypes.c_int32),
        ("widths", ctypes.c_int64 * MOST_LAYERS),
        ("slopes", Addresses),
        ("weights", Addresses),
        ("biases", Addresses),
    )


class TowerGradients(ctypes.Structure):
    """``dien::mlp::TowerGradients``."""

    _fields_ = (("slopes", Addresses), ("weights", Addresses), ("biases", Addresses))


class Attention(ctypes.Structure):
    """``dien::mlp::Attention``."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("pairs", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("starts", Address),
        ("lengths", Address),
        ("states", Address),
        ("targets", Address),
        ("bias", Address),
        ("of_state", Address),
        ("of_product", Address),
        ("tower", TowerOf),
    )


class AttentionGradients(ctypes.Structure):
    """``dien::mlp::AttentionGradients``."""

    _fields_ = (
        ("of_logits", Address),
        ("states", Address),
        ("targets", Address),
        ("bias", Address),
        ("of_state", Address),
        ("of_product", Address),
        ("tower", TowerGradients),
    )


class Auxiliary(ctypes.Structure):
    """``dien::mlp::Auxiliary``."""

    _fields_ = (
        ("pairs", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("item", ctypes.c_int64),
        ("ahead", ctypes.c_int64),
        ("now", Address),
        ("states", Address),
        ("items", Address),
        ("items_stride", ctypes.c_int64),
        ("negatives", Address),
        ("negatives_stride", ctypes.c_int64),
        ("weight", Address),
        ("bias", Address),
        ("tower", TowerOf),
    )


class AuxiliaryGradients(ctypes.Structure):
    """``dien::mlp::AuxiliaryGradients``."""

    _fields_ = (
        ("states", Address),
        ("items", Address),
        ("negatives", Address),
        ("weight", Address),
        ("bias", Address),
        ("tower", TowerGradients),
    )


def serves(states: Tensor, tower: Tower) -> bool:
    """Tell whether the backend computes this tower on states of this device and type."""
    return (
        states.device.type == "cpu"
        and tower.activation in ACTIVATIONS
        and len(tower.weights) <= MOST_LAYERS
        and [slopes.shape[0] for slopes in tower.slopes]
        == [weight.shape[1] for weight in tower.weights[: len(tower.slopes)]]
        and all(tensor.dtype == states.dtype for tensor in tower.parameters)
        and chosen(states) is not None
    )


def attention_forward(
    states: Tensor,
    targets: Tensor,
    per_target: Tensor,
    of_state: Tensor,
    of_product: Tensor,
    tower: Tower,
    starts: Tensor,
    lengths: Tensor,
) -> Tensor:
    """Compute attention logits ``[P]``; arguments of :func:`dien.ops.mlp_attention.reference`.

    Raises:
        ValueError: a row reads steps that are not there.
    """
    compiled, path = _backend(states)
    held = Held()
    problem = _attention(
        held, states, targets, per_target, of_state, of_product, tower, starts, lengths, int(lengths.sum())
    )
    logits = states.new_empty(max(problem.pairs, 0))  # below 0 is refused
    compiled.run("dien_attention_forward", ATTENTION_MISFIT, problem, path, logits.data_ptr())
    return logits


def attention_backward(
    grad: Tensor,
    states: Tensor,
    targets: Tensor,
    per_target: Tensor,
    of_state: Tensor,
    of_product: Tensor,
    tower: Tower,
    starts: Tensor,
    lengths: Tensor,
) -> list[Tensor]:
    """Differentiate :func:`attention_forward` with respect to its tensors of numbers, in their order."""
    compiled, path = _backend(states)
    held = Held()
    problem = _attention(
        held, states, targets, per_target, of_state, of_product, tower, starts, lengths, grad.shape[0]
    )
    tensors = [states, targets, per_target, of_state, of_product, *tower.parameters]
    gradients = [tensor.new_empty(tensor.shape) for tensor in tensors]
    addresses = [gradient.data_ptr() for gradient in gradients]
    of = AttentionGradients(
        held.address(grad), *addresses[:5], _tower_gradients(gradients[5:], len(tower.weights))
    )
    compiled.run("dien_attention_backward", ATTENTION_MISFIT, problem, path, of)
    return gradients


def auxiliary(
    states: Tensor,
    items: Tensor,
    negatives: Tensor,
    now: Tensor,
    ahead: int,
    weight: Tensor,
    bias: Tensor,
    tower: Tower,
    differentiate: bool,
) -> tuple[Tensor, list[Tensor]]:
    """Compute logits ``[2, S]`` of clicks and non-clicks and, where asked for, gradients of the summed loss.

    Arguments are those of :func:`dien.ops.auxiliary_loss.reference`; gradients are of its tensors of numbers,
    in their order.

    Raises:
        ValueError: ``now`` does not rise or names steps that are not there.
    """
    compiled, path = _backend(states)
    held = Held()
    items, negatives = (x if x.stride(1) == 1 else x.contiguous() for x in (items, negatives))
    problem = Auxiliary(
        pairs=now.shape[0],
        steps=states.shape[0],
        hidden=states.shape[1],
        item=items.shape[1],
        ahead=ahead,
        now=held.address(now),
        states=held.address(states),
        items=held.rows(items),
        items_stride=items.stride(0),
        negatives=held.rows(negatives),
        negatives_stride=negatives.stride(0),
        weight=held.address(weight),
        bias=held.address(bias),
        tower=_tower(held, tower, bias.shape[0]),
    )
    logits = states.new_empty((2, now.shape[0]))
    tensors = [states, items, negatives, weight, bias, *tower.parameters] if differentiate else []
    gradients = [tensor.new_empty(tensor.shape) for tensor in tensors]
    of = None
    if differentiate:
        addresses = [gradient.data_ptr() for gradient in gradients[:5]]
        of = AuxiliaryGradients(*addresses, _tower_gradients(gradients[5:], len(tower.weights)))
    compiled.run("dien_auxiliary", AUXILIARY_MISFIT, problem, path, logits.data_ptr(), of)
    return logits, gradients


ATTENTION_MISFIT = (
    "mlp_attention: starts and lengths do not fit states; expected starts >= 0, lengths >= 0 and "
    "starts + lengths <= N"
)
AUXILIARY_MISFIT = "auxiliary_loss: now does not fit states; expected rising steps, each + ahead below N"


def _backend(states: Tensor) -> tuple[Library, int]:
    """Choose library and path; the fastest where the reference was asked for meanwhile."""
    backend = chosen(states)
    if backend is None:
        compiled = load()
        assert compiled is not None  # `serves` said so
        return compiled, len(compiled.paths) - 1
    return backend


def _attention(
    held: Held,
    states: Tensor,
    targets: Tensor,
    per_target: Tensor,
    of_state: Tensor,
    of_product: Tensor,
    tower: Tower,
    starts: Tensor,
    lengths: Tensor,
    pairs: int,
) -> Attention:
    return Attention(
        rows=lengths.shape[0],
        steps=states.shape[0],
        pairs=pairs,
        hidden=states.shape[1],
        starts=held.address(starts),
        lengths=held.address(lengths),
        states=held.address(states),
        targets=held.address(targets),
        bias=held.address(per_target),
        of_state=held.address(of_state),
        of_product=held.address(of_product),
        tower=_tower(held, tower, per_target.shape[1]),
    )


def _tower(held: Held, tower: Tower, width: int) -> TowerOf:
    def addresses(tensors: Sequence[Tensor]) -> ctypes.Array[Address]:
        return Addresses(*(held.address(tensor) for tensor in tensors))

    widths = [width, *(weight.shape[0] for weight in tower.weights[:-1])]
    return TowerOf(
        activation=ACTIVATIONS.index(tower.activation),
        layers=len(widths),
        widths=(ctypes.c_int64 * MOST_LAYERS)(*widths),
        slopes=addresses(tower.slopes),
        weights=addresses(tower.weights),
        biases=addresses(tower.biases),
    )


def _tower_gradients(gradients: Sequence[Tensor], layers: int) -> TowerGradients:
    weights, biases, slopes = (gradients[i * layers : (i + 1) * layers] for i in range(3))
    return TowerGradients(
        *(Addresses(*(gradient.data_ptr() for gradient in of)) for of in (slopes, weights, biases))
    )
