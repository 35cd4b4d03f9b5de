"""DIEN's equations by hand from named weights: one row and one step at a time, nothing of ``dien`` used.

Differentiable, so that the packed layers' gradients can be held against these too.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]


def weights_of(module: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, part of the graph."""
    return dict(module.state_dict(keep_vars=True))


def under(weights: Weights, prefix: str) -> dict[str, Tensor]:
    """The weights whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


def gru_step(
    kind: str, x: Tensor, h: Tensor, a: Tensor | None, weights: Weights, reset: str = "after"
) -> Tensor:
    """One step from the state ``h [H]`` on the input ``x [D]`` with the attention score ``a``."""
    H = h.shape[0]
    i, j = weights["weight_ih"] @ x, weights["weight_hh"] @ h
    if "bias_ih" in weights:
        i, j = i + weights["bias_ih"], j + weights["bias_hh"]
    r = 1 / (1 + torch.exp(-i[:H] - j[:H]))
    u = 1 / (1 + torch.exp(-i[H : 2 * H] - j[H : 2 * H]))
    n = torch.tanh(i[2 * H :] + r * j[2 * H :])
    if reset == "before":  # TensorFlow's GRUCell
        j = weights["weight_hh"][2 * H :] @ (r * h)
        n = torch.tanh(i[2 * H :] + (j + weights["bias_hh"][2 * H :] if "bias_hh" in weights else j))
    if kind == "gru":  # torch.nn.GRU
        return u * h + (1 - u) * n
    assert a is not None
    if kind == "agru":  # eq. (10)
        return (1 - a) * h + a * n
    if kind == "augru":  # eq. (11-12)
        return (1 - a * u) * h + a * u * n
    assert kind == "augru-complement"  # the authors' code: what attention scales is the share that is kept
    kept = (1 - a) * u
    return kept * h + (1 - kept) * n


def gru_states(
    kind: str,
    xs: Tensor,
    scores: Tensor | None,
    weights: Weights,
    h: Tensor | None = None,
    *,
    reset: str = "after",
) -> Tensor:
    """States ``[T, H]`` after each step of one row's inputs ``[T, D]``."""
    weights = {name.removeprefix("rnn.").removesuffix("_l0"): w for name, w in weights.items()}
    h = xs.new_zeros(weights["weight_hh"].shape[1]) if h is None else h
    states = [h[None][:0]]
    for t, x in enumerate(xs):
        h = gru_step(kind, x, h, None if scores is None else scores[t], weights, reset)
        states.append(h[None])
    return torch.cat(states)


def mlp(
    weights: Weights, x: Tensor, activation: str, *, last_activation: bool = True, batch_norm: bool = False
) -> Tensor:
    """RecBole's numbering: dropout, linear layer, normalisation and activation, where there are, in turn."""
    stride = (2 if activation == "none" else 3) + batch_norm
    k = 1
    while f"mlp_layers.{k}.weight" in weights:
        x = weights[f"mlp_layers.{k}.weight"] @ x + weights[f"mlp_layers.{k}.bias"]
        if last_activation or f"mlp_layers.{k + stride}.weight" in weights:
            if batch_norm:
                x = _normalise(x, under(weights, f"mlp_layers.{k + 1}."))
            x = _activate(activation, x, under(weights, f"mlp_layers.{k + 1 + batch_norm}."))
        k += stride
    assert k > 1
    return x


def _normalise(x: Tensor, weights: Weights) -> Tensor:
    """In evaluation."""
    standard = (x - weights["running_mean"]) / torch.sqrt(weights["running_var"] + 1e-5)
    return standard * weights["weight"] + weights["bias"]


def _activate(name: str, x: Tensor, weights: Weights) -> Tensor:
    if name == "none":
        return x
    if name == "prelu":
        return torch.where(x > 0, x, weights["weight"] * x)
    if name == "dice":  # in evaluation
        standard = x
        if "running_mean" in weights:
            standard = (x - weights["running_mean"]) / torch.sqrt(weights["running_var"] + 1e-8)
        p = torch.sigmoid(standard)
        return p * x + (1 - p) * weights["alpha"] * x
    if name == "silu":
        return x * torch.sigmoid(x)
    return {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}[name](x)


def attention_logit(weights: Weights, q: Tensor, k: Tensor, activation: str, divisor: float) -> Tensor:
    """Bilinear (eq. 8), or the MLP on the plain four-fold concatenation."""
    if "weight" in weights:
        return k @ weights["weight"] @ q
    hidden = mlp(under(weights, "att_mlp_layers."), torch.cat([q, k, q - k, q * k]), activation)
    return (weights["dense.weight"] @ hidden + weights["dense.bias"])[0] / divisor


def final_interest(
    weights: Weights,
    gru: str,
    q: Tensor,
    states: Tensor,
    *,
    activation: str = "sigmoid",
    softmax: bool = True,
    divisor: float = 1.0,
    reset: str = "after",
    behaviours: Tensor | None = None,
) -> Tensor:
    """Final interest ``[H]`` of one target ``[D]`` from one history's interest states ``[T, H]``.

    With behaviours ``[T, E]`` their sum by the same scores comes after it: ``[H + E]``.
    """
    attention, rnn = under(weights, "attention_layer."), under(weights, "dynamic_rnn.")

    def scores(keys: Tensor) -> Tensor:
        logits = torch.stack([attention_logit(attention, q, k, activation, divisor) for k in keys])
        return torch.exp(logits) / torch.exp(logits).sum() if softmax else logits

    if len(states) == 0:
        final = gru_states("gru", states, None, rnn).sum(0)  # zeros, as wide as a state
        return final if behaviours is None else torch.cat([final, behaviours.sum(0)])
    keys = gru_states("gru", states, None, rnn, reset=reset) if gru == "GRU" else states
    a = scores(keys)
    if gru == "GRU":
        final = (a[:, None] * keys).sum(0)
    elif gru == "AIGRU":
        final = gru_states("gru", a[:, None] * states, None, rnn, reset=reset)[-1]
    else:
        final = gru_states(gru.lower(), states, a, rnn, reset=reset)[-1]
    return final if behaviours is None else torch.cat([final, (a[:, None] * behaviours).sum(0)])


def auxiliary_score(weights: Weights, activation: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The logit of a state and an item, of which eq. (6) makes the loss."""
    net = under(weights, "auxiliary_net.")
    scale, shift = (weights.get(f"auxiliary_affine.{name}") for name in ("weight", "bias"))

    def score(state: Tensor, item: Tensor) -> Tensor:
        x = torch.cat([state, item])
        x = x if scale is None or shift is None else scale * x + shift
        return mlp(net, x, activation, last_activation=False)[0]

    return score


def auxiliary_terms(
    weights: Weights, states: Tensor, clicks: Tensor, negatives: Tensor, activation: str
) -> list[Tensor]:
    """Both terms of eq. (6) for every step but the last of one history, click and non-click in turn."""
    score = auxiliary_score(weights, activation)
    terms = []
    for t in range(len(states) - 1):
        click, other = score(states[t], clicks[t + 1]), score(states[t], negatives[t + 1])
        terms += [-torch.log(torch.sigmoid(click)), -torch.log(1 - torch.sigmoid(other))]
    return terms


def assert_same(
    found: Tensor, expected: Tensor, inputs: Sequence[Tensor] = (), *, tolerance: float = 1e-11
) -> None:
    """Hold values, and the gradients of a fixed random projection of them, against each other."""
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    probe = torch.randn(found.shape, dtype=found.dtype, generator=torch.Generator().manual_seed(1))
    for one, other in zip(_gradients(found, probe, inputs), _gradients(expected, probe, inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def _gradients(value: Tensor, probe: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Dense gradients, zero for an input that the value does not depend on."""
    if not value.requires_grad or not inputs:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad((value * probe).sum(), inputs, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(x) if g is None else g.to_dense() for x, g in zip(inputs, found, strict=True)]
