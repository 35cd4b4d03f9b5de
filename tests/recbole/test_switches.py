"""What the configuration keys beginning with dien_ do, and what they refuse."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch

pytest.importorskip("recbole", reason="RecBole is not installed: make test-recbole runs these")

from torch import nn

from dien.layers import BilinearAttention
from dien.recbole import DIEN, PRESETS, Switches
from tests.recbole.conftest import LONGEST
from tests.recbole.test_model import GRUS, assert_close, batch, both, prepared


def model(settings: dict[str, Any], **keys: Any) -> DIEN:
    torch.manual_seed(0)
    return DIEN(*prepared(settings, **keys))


def test_without_a_key_the_switches_are_recboles() -> None:
    assert Switches.of({}) == Switches.of({"dien_preset": "recbole"}) == PRESETS["recbole"] == Switches()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_key_wins_over_the_preset(preset: str) -> None:
    whole = PRESETS[preset].as_config()
    assert Switches.of({"dien_preset": preset}).as_config() == whole
    for other in PRESETS.values():
        for key, value in other.as_config().items():
            assert Switches.of({"dien_preset": preset, key: value}).as_config() == whole | {key: value}


@pytest.mark.parametrize("key", [f"dien_{field.name}" for field in fields(Switches)] + ["dien_preset"])
@pytest.mark.parametrize("value", ["nonsense", 1, [], "True"])
def test_a_value_that_a_key_does_not_take_is_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{key}: .*; expected one of "):
        Switches.of({key: value})


def test_an_unknown_key_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^dien_atention_scale: no such key; .*dien_attention_scale"):
        model(settings, dien_atention_scale=False)


@pytest.mark.parametrize("gru", ["AGRU", "AUGRU"])
def test_gru_init_keeps_the_gates_from_saturating(gru: str, settings: dict[str, Any]) -> None:
    for kind, least, most in (("normal", 2.0, 9.0), ("uniform", 0.0, 10**-0.5)):
        rnn = model(
            settings, gru_type=gru, embedding_size=2, dien_gru_init=kind
        ).interest_evolution.dynamic_rnn
        assert least <= rnn.rnn.weight_hh.abs().max() <= most


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "prelu"])
def test_auxiliary_activation_stands_between_the_layers(activation: str, settings: dict[str, Any]) -> None:
    layers = list(
        model(settings, dien_auxiliary_activation=activation).interset_extractor.auxiliary_net.mlp_layers
    )
    kinds = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "prelu": nn.PReLU}
    assert [type(layer) for layer in layers if not isinstance(layer, nn.Dropout)] == [
        nn.Linear,
        kinds[activation],
        nn.Linear,
        kinds[activation],
        nn.Linear,
    ]


def test_auxiliary_average_sums_the_steps_of_a_history(settings: dict[str, Any]) -> None:
    lengths = torch.tensor([0, 1, 2, LONGEST])
    losses = {}
    for average in ("pairs", "histories"):
        one = model(settings, dien_auxiliary_average=average).eval()
        interaction = batch(one.embedding_layer.dataset, 4, lengths)
        fields_ = "user_id", "item_id_list", "neg_item_id_list", "item_length", "item_id"
        losses[average] = one(*(interaction[field] for field in fields_))[1]
    steps = 1 + LONGEST - 1  # that have a next one
    assert_close(losses["pairs"] * 2 * steps / 4, losses["histories"], 1e-5)


def test_attention_scale_is_the_square_root_of_the_states_width(settings: dict[str, Any]) -> None:
    scaled, plain = (
        model(settings, dien_attention_scale=on).interest_evolution.attention_layer for on in (True, False)
    )
    assert scaled.divisor == (5 * 5) ** 0.5  # item, class, tags, price and colours
    assert plain.divisor == 1


def test_bilinear_attention_is_equation_8(settings: dict[str, Any]) -> None:
    attention = model(settings, dien_attention="bilinear").interest_evolution.attention_layer
    assert isinstance(attention, BilinearAttention)


def test_a_learnt_dice_starts_as_recboles_and_learns(settings: dict[str, Any]) -> None:
    config, dataset = prepared(settings, dien_dice="learnt")
    theirs, _ = both(*prepared(settings))
    ours = DIEN(config, dataset)
    missing, unexpected = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert missing == ["dnn_mlp_layers.mlp_layers.3.alpha", "dnn_mlp_layers.mlp_layers.7.alpha"]
    assert not unexpected
    interaction = batch(dataset)
    assert_close(ours.eval().predict(interaction), theirs.eval().predict(interaction), 1e-5)
    loss = ours.train().calculate_loss(interaction)
    loss.backward()
    dice = ours.dnn_mlp_layers.mlp_layers[3]
    assert dice.alpha.grad.abs().max() > 0
    with torch.no_grad():
        dice.alpha.fill_(1)  # the identity
    x = torch.randn(4, 12)
    assert_close(dice(x), x, 1e-6)


@pytest.mark.parametrize("gru", GRUS)
def test_pooled_history_adds_the_sum_of_the_items_and_its_product_with_the_target(
    gru: str, settings: dict[str, Any]
) -> None:
    one = model(settings, gru_type=gru, dien_pooled_history=True).eval()
    seen: list[torch.Tensor] = []
    one.dnn_mlp_layers.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    interaction = batch(one.embedding_layer.dataset, 6).repeat(2)
    one.predict(interaction)
    D = 5 * 5
    tokens, floats = one.embedding_layer(interaction["user_id"], interaction["item_id_list"])
    items = torch.cat([tokens["item"], floats["item"]], -2).flatten(-2)  # [B, T, D]
    real = torch.arange(LONGEST) < interaction["item_length"][:, None]
    target, pooled = seen[0][:, D : 2 * D], (items * real[..., None]).sum(1)
    assert_close(seen[0][:, -2 * D :], torch.cat([pooled, pooled * target], 1), 1e-5)


def test_fresh_negatives_are_drawn_anew_and_are_never_the_item_clicked(settings: dict[str, Any]) -> None:
    one = model(settings, dien_fresh_negatives=True).train()
    drawn: list[torch.Tensor] = []
    embed = one.embedding_layer.forward
    one.embedding_layer.forward = lambda user, ids: drawn.append(ids[0]) or embed(user, ids)
    interaction = batch(one.embedding_layer.dataset, 400)
    del interaction.interaction["neg_item_id_list"]
    one.calculate_loss(interaction).backward()
    one.calculate_loss(interaction)
    N = int(interaction["item_length"].sum())
    clicked, first, second = drawn[0][:N], drawn[0][-N:], drawn[1][-N:]
    assert not (first == clicked).any()
    assert (first == second).float().mean() < 0.1
    everything = set(range(1, one.n_items))
    assert set(first.tolist()) == everything
    for item in (1, one.n_items - 1):  # as probable as the others, at the ends as well
        assert abs((first == item).float().mean() * (one.n_items - 1) - 1) < 0.5


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("gru", GRUS)
def test_rows_that_share_a_history_are_predicted_as_if_alone(
    gru: str, preset: str, settings: dict[str, Any]
) -> None:
    one = model(settings, gru_type=gru, dien_preset=preset).eval()
    dataset = one.embedding_layer.dataset
    interaction = batch(dataset, 8).repeat_interleave(torch.arange(1, 9))
    interaction["item_id"] = torch.randint(1, dataset.num("item_id"), (36,))
    alone = torch.cat([one.predict(interaction[[row]]) for row in range(36)])
    assert_close(one.predict(interaction), alone, 1e-6)
