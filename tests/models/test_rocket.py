from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.models import DIEN, build
from dien.models.rocket import Rocket, RocketConfig
from tests.embeddings import enlarge
from tests.equations import assert_same, under, weights_of
from tests.models.batches import EVERY_KIND, SCHEMA, random_batch
from tests.models.test_dien import BIASES_OF_SCORES, HISTORY_OF, LENGTHS, averaged, by_hand

BOOSTER = Rocket.training_only + "."
SMALL = {
    "embedding_size": 2,
    "hidden_size": 3,
    "attention_hidden": (6, 3),
    "head_hidden": (4, 3),
    "booster_hidden_size": 5,
    "booster_head_hidden": (7, 4),
}


def model(schema: Schema = SCHEMA, **options: Any) -> Rocket:
    """Both nets in float64 and evaluation, their embeddings no longer as tiny as they start."""
    torch.manual_seed(0)
    rocket = Rocket(RocketConfig(**(SMALL | options)), schema).double().eval()
    enlarge(rocket)
    return rocket


def apart(rocket: Rocket, schema: Schema) -> tuple[DIEN, DIEN]:
    """Two DIENs that share nothing, of the weights of both nets."""
    light, booster = (
        DIEN(c, schema).double().eval() for c in (rocket.config.light(), rocket.config.booster())
    )
    state = rocket.state_dict()
    shared = {name: tensor for name, tensor in state.items() if name.startswith("inputs.")}
    light.load_state_dict({name: tensor for name, tensor in state.items() if not name.startswith(BOOSTER)})
    booster.load_state_dict(shared | under(state, BOOSTER))
    return light, booster


def batch_of(lengths: list[int], history_of: list[int], schema: Schema = SCHEMA) -> Batch:
    """A random batch with labels as precise as the models."""
    batch = random_batch(lengths, history_of, schema)
    assert batch.label is not None
    return replace(batch, label=batch.label.double())


def gradients(loss: Tensor, rocket: nn.Module) -> dict[str, Tensor]:
    """Dense gradients by name, zero where the loss does not depend on the weight."""
    names, parameters = zip(*rocket.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return {
        name: torch.zeros_like(parameter) if gradient is None else gradient.to_dense()
        for name, parameter, gradient in zip(names, parameters, found, strict=True)
    }


@pytest.mark.parametrize("alpha", [0.3, 0])
@pytest.mark.parametrize("schema", [SCHEMA, EVERY_KIND], ids=["plain", "every kind"])
def test_the_losses_are_those_of_the_equations(schema: Schema, alpha: float) -> None:
    rocket = model(schema, auxiliary_weight=alpha, target_weight=0.7, hint_weight=2)
    batch = batch_of(LENGTHS, HISTORY_OF, schema)
    label = batch.label
    assert label is not None
    total, found = rocket.losses(batch)

    expected, logits = [], []
    for net in apart(rocket, schema):
        z, terms = by_hand(net, schema, batch)
        p = 1 / (1 + torch.exp(-z))
        target = -sum(torch.log(p[b] if label[b] else 1 - p[b]) for b in range(len(z))) / len(z)
        expected.append(0.7 * target + (alpha * averaged(terms, net.config) if alpha else 0))
        logits.append(z)
    hint = sum((a - b) ** 2 for a, b in zip(*logits, strict=True)) / len(label)
    light, booster = expected
    by_the_equations = {"booster_loss": booster, "hint_loss": hint}
    if alpha:
        net = apart(rocket, schema)[0]
        _, terms = by_hand(net, schema, batch)
        by_the_equations["auxiliary_loss"] = averaged(terms, net.config)
    assert found.keys() == by_the_equations.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, by_the_equations[name], rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(total, light + booster + 2 * hint, rtol=1e-11, atol=1e-11)
    recorded = rocket.record({"loss": total.item(), **{name: value.item() for name, value in found.items()}})
    target = (light - alpha * by_the_equations.get("auxiliary_loss", 0)) / 0.7
    assert recorded["target_loss"] == pytest.approx(target.item())


def test_the_hint_does_not_reach_the_booster_and_moves_all_of_the_light_net() -> None:
    batch = batch_of([5, 7, 3, 6], [0, 1, 2, 3] * 4, EVERY_KIND)
    rockets = [model(EVERY_KIND, auxiliary_weight=1, hint_weight=weight) for weight in (3, 0)]
    with_hint, without = (gradients(rocket.losses(batch).total, rocket) for rocket in rockets)
    for name, gradient in with_hint.items():
        if name.startswith(BOOSTER):
            assert gradient.any(), name
            torch.testing.assert_close(gradient, without[name], rtol=0, atol=0, msg=name)
        elif "auxiliary_net" not in name:
            assert not torch.equal(gradient, without[name]), name


def test_each_nets_loss_reaches_its_own_weights_and_the_shared_embeddings_alone() -> None:
    rocket, batch = model(), batch_of([5, 7, 3, 6], [0, 1, 2, 3] * 4)
    launch = rocket.launch(batch)
    light, booster = rocket.loss(launch.light, batch), rocket.booster.loss(launch.booster, batch)
    for loss, of_booster in ((light, False), (booster, True)):
        for name, gradient in gradients(loss, rocket).items():
            reached = name.startswith("inputs.") or name.startswith(BOOSTER) == of_booster
            if not (reached and name.endswith(BIASES_OF_SCORES)):  # of these rounding alone is left
                assert gradient.any() == reached, name


def test_the_shared_embeddings_get_the_gradients_of_both_labels_and_of_the_hint_through_the_light_net() -> (
    None
):
    rocket = model(EVERY_KIND, auxiliary_weight=0.3, hint_weight=2)
    batch = batch_of(LENGTHS, HISTORY_OF, EVERY_KIND)
    found = gradients(rocket.losses(batch).total, rocket)

    nets = apart(rocket, EVERY_KIND)
    predictions = [net(batch) for net in nets]
    constant = predictions[1].logits.detach()
    losses = [net.loss(prediction, batch) for net, prediction in zip(nets, predictions, strict=True)]
    losses[0] = losses[0] + 2 * ((predictions[0].logits - constant) ** 2).mean()
    each = [gradients(loss, net) for loss, net in zip(losses, nets, strict=True)]
    shared = [name for name in found if name.startswith("inputs.")]
    assert len(shared) == 14
    for name in shared:
        torch.testing.assert_close(found[name], each[0][name] + each[1][name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"pooled_history": True, "attention": "mlp", "gru": "agru"}], ids=str
)
def test_both_nets_predict_as_diens_of_their_weights(options: dict[str, Any], mode: bool) -> None:
    rocket, batch = model(EVERY_KIND, **options), batch_of(LENGTHS, HISTORY_OF, EVERY_KIND)
    nets = apart(rocket, EVERY_KIND)
    torch.manual_seed(1)
    launch = rocket.train(mode).launch(batch)
    for found, net in zip(launch, nets, strict=True):
        torch.manual_seed(1)  # both nets miss the matches of the candidates of which a DIEN alone misses them
        logits, loss = net.train(mode)(batch)
        assert torch.equal(found.logits, logits)
        assert loss is not None
        assert torch.equal(found.auxiliary_loss, loss)


def test_called_with_a_batch_it_is_the_light_net_and_runs_nothing_of_the_booster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rocket, batch = model(), batch_of(LENGTHS, HISTORY_OF)
    light, _ = apart(rocket, SCHEMA)
    predict = DIEN.predict

    def watched(self: DIEN, *arguments: Any) -> Any:
        assert self is not rocket.booster
        return predict(self, *arguments)

    monkeypatch.setattr(DIEN, "predict", watched)
    logits, loss = rocket(batch)
    assert_same(logits, light(batch).logits)
    assert loss is not None
    with pytest.raises(AssertionError):
        rocket.launch(batch)


def test_the_booster_has_no_embeddings_of_its_own_and_every_tensor_is_named_once() -> None:
    state = weights_of(model(EVERY_KIND))
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)
    assert not [name for name in state if name.startswith(BOOSTER + "inputs.")]
    assert [name for name in state if name.startswith("inputs.")]


def test_the_light_net_starts_as_the_dien_of_the_same_seed() -> None:
    config = RocketConfig(**SMALL)
    torch.manual_seed(3)
    rocket = build(config, SCHEMA).state_dict()
    torch.manual_seed(3)
    light = build(config.light(), SCHEMA).state_dict()
    assert all(torch.equal(rocket[name], tensor) for name, tensor in light.items())
    assert {name for name in rocket if not name.startswith(BOOSTER)} == light.keys()
