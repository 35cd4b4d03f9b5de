"""Hooks, pruning and parts of one's own take effect everywhere, whatever an operator computes at once."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

from dien.layers.mlp import Dice
from dien.models import DIEN, DIENConfig, Prediction
from tests.models.batches import SCHEMA, random_batch

BATCH = random_batch([3, 0, 1, 5], [0, 3, 3, 1, 2, 0, 3])
MODELS: list[dict[str, Any]] = [
    {},
    {"attention": "mlp", "auxiliary_activation": "sigmoid", "gru": "gru"},
    {"attention": "mlp", "auxiliary_activation": "none", "gru": "aigru"},
    {"auxiliary_affine": True, "gru": "augru-complement", "head_affine": True},
]
CALLABLE = (nn.Embedding, nn.Linear, nn.GRU, nn.PReLU, nn.Sigmoid, nn.Sequential, Dice)


def model(options: dict[str, Any]) -> DIEN:
    torch.manual_seed(0)
    small = {"embedding_size": 3, "hidden_size": 6, "attention_hidden": (6, 3), "auxiliary_hidden": (5, 4)}
    dien = DIEN(DIENConfig(**(small | options)), SCHEMA).double().eval()
    with torch.no_grad():
        for parameter in dien.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return dien


def results(dien: DIEN) -> list[Tensor]:
    """Logits, auxiliary loss and every gradient."""
    dien.zero_grad()
    prediction: Prediction = dien(BATCH)
    dien.loss(prediction, BATCH).backward()  # type: ignore[no-untyped-call]
    assert prediction.auxiliary_loss is not None
    gradients = [p.grad.to_dense() for p in dien.parameters() if p.grad is not None]
    return [prediction.logits, prediction.auxiliary_loss, *gradients]


def assert_alike(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", MODELS, ids=str)
def test_a_hook_on_any_part_fires_and_changes_no_result(options: dict[str, Any]) -> None:
    dien = model(options)
    expected, seen = results(dien), set()
    lists = (nn.ModuleList, nn.Identity, nn.Dropout)
    parts = {name for name, part in dien.named_modules() if not isinstance(part, lists)}
    for name, part in dien.named_modules():
        part.register_forward_hook(lambda module, inputs, output, name=name: seen.add(name))
    assert_alike(results(dien), expected)
    assert parts - seen <= {"inputs.behaviour"}  # behaviours have no features of their own here


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        *zip(MODELS, ["forward hook", "global hook", "own forward", "class"], strict=True),
        (MODELS[1], "class"),
    ],
    ids=str,
)
def test_what_changes_the_output_of_a_part_changes_the_model(options: dict[str, Any], kind: str) -> None:
    """For each part alone: as if what it gives were the half of it."""
    for name, part in model(options).named_modules():
        if not isinstance(part, CALLABLE) or isinstance(part, nn.GRU) or not list(part.parameters()):
            continue
        dien = model(options)
        before = [part.detach() for part in results(dien)[:2]]
        part = dien.get_submodule(name)
        handle = None
        if kind == "forward hook":
            part.register_forward_hook(lambda module, inputs, output: output / 2)
        elif kind == "global hook":
            handle = nn.modules.module.register_module_forward_hook(
                lambda module, inputs, output, part=part: output / 2 if module is part else None
            )
        elif kind == "own forward":
            part.forward = lambda *inputs, call=part.forward: call(*inputs) / 2
        else:
            half = type(
                "Half", (type(part),), {"forward": lambda self, *x: super(type(self), self).forward(*x) / 2}
            )
            part.__class__ = half
        found = [part.detach() for part in results(dien)[:2]]
        if handle is not None:
            handle.remove()
        assert not all(map(torch.allclose, found, before)), name


@pytest.mark.parametrize("options", MODELS, ids=str)
def test_pruned_weights_stay_zero_while_the_others_learn(options: dict[str, Any]) -> None:
    """Also of a GRU, whose weights have other names, and of what has weights but is no layer of PyTorch."""
    dien = model(options)
    pruned = []
    for name, part in dien.named_modules():
        for weight in [key for key, _ in part.named_parameters(recurse=False) if "weight" in key]:
            prune.random_unstructured(part, weight, amount=0.5)
            pruned.append((name, weight))
    results(dien)
    optimiser = torch.optim.SGD(dien.parameters(), lr=0.1)
    before = [getattr(dien.get_submodule(name), weight).detach().clone() for name, weight in pruned]
    for _ in range(2):
        results(dien)  # a second time: nothing is left of the first pass's graph
        optimiser.step()
    dien(BATCH)
    for (name, weight), old in zip(pruned, before, strict=True):
        part = dien.get_submodule(name)
        now, mask = getattr(part, weight), getattr(part, f"{weight}_mask")
        assert not now[mask == 0].any(), name
        learns = (getattr(part, f"{weight}_orig").grad.to_dense() * mask).abs().max() > 1e-12
        assert torch.equal(now, old) != learns, name


@pytest.mark.parametrize("options", MODELS, ids=str)
def test_a_parametrization_of_the_identity_changes_nothing_and_learns(options: dict[str, Any]) -> None:
    dien, plain = model(options), model(options)
    for part in list(dien.modules()):
        for weight in [key for key, _ in part.named_parameters(recurse=False) if "weight" in key]:
            parametrize.register_parametrization(part, weight, nn.Identity())
    assert_alike(results(dien)[:2], results(plain)[:2])
    assert all(parameter.grad is not None for parameter in dien.parameters())


@pytest.mark.parametrize("other", [{}, {"num_layers": 2}, {"bias": False}, {"bidirectional": True}], ids=str)
@pytest.mark.parametrize("gru", ["gru", "aigru"])
def test_a_gru_may_be_replaced_by_another_kind_of_torchs(gru: str, other: dict[str, Any]) -> None:
    dien = model({"gru": gru})
    for owner, name in ((dien.extractor, "gru"), (dien.evolution, "dynamic_rnn")):
        now = getattr(owner, name)
        width = now.hidden_size // (2 if "bidirectional" in other else 1)  # of a direction
        setattr(owner, name, nn.GRU(now.input_size, width, **other).double())
    expected = results(dien)
    for part in (dien.extractor.gru, dien.evolution.dynamic_rnn):
        part.register_forward_hook(lambda module, inputs, output: None)
    assert_alike(results(dien), expected)


def test_a_gru_that_resets_before_the_product_cannot_be_called_and_says_so() -> None:
    dien = model({"gru_reset": "before"})
    dien.extractor.gru.register_forward_hook(lambda module, inputs, output: None)
    with pytest.raises(ValueError, match=r"reset 'before' is not torch.nn.GRU's own"):
        dien(BATCH)


ACTS: list[Callable[[int], nn.Module]] = [lambda n: nn.GELU(), lambda n: nn.PReLU(), lambda n: Dice(n)]


@pytest.mark.parametrize("act", ACTS)
def test_an_activation_that_is_replaced_is_computed(act: Callable[[int], nn.Module]) -> None:
    dien = model({"attention": "mlp", "auxiliary_activation": "prelu"})
    net = dien.extractor.auxiliary_net
    assert net is not None
    for layers in (net.mlp_layers, dien.evolution.attention_layer.att_mlp_layers.mlp_layers):
        place, width = 5, layers[4].out_features
        layers[place] = act(width).double().eval()
    expected = results(dien)
    for part in dien.modules():
        part.register_forward_hook(lambda module, inputs, output: None)
    assert_alike(results(dien), expected)
