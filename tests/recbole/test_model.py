"""The drop-in against RecBole's class, both with RecBole's configuration and Dataset and the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import prune

pytest.importorskip("recbole", reason="RecBole is not installed: make test-recbole runs these")

from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.interaction import Interaction
from recbole.model.sequential_recommender import dien as original
from recbole.utils import init_seed

from dien.recbole import DIEN
from tests.recbole.conftest import LONGEST

GRUS = ("GRU", "AIGRU", "AGRU", "AUGRU")
# Of users and of items: what is loaded, and which floats are embedded.
FEATURES = {
    "ids alone": ([], [], []),
    "user": (["age", "hobbies", "income", "habits"], [], ["income", "habits"]),
    "item token": ([], ["class"], []),
    "item token_seq": ([], ["tags"], []),
    "item float": ([], ["price"], ["price"]),
    "a float not embedded": (["income"], ["price"], []),
    "all": (
        ["age", "hobbies", "income", "habits"],
        ["class", "tags", "price", "colours"],
        ["income", "habits", "price", "colours"],
    ),
}


def prepared(settings: dict[str, Any], features: str = "all", **more: Any) -> tuple[Any, Any]:
    """RecBole's Config and its Dataset, which makes the histories."""
    users, items, numerical = FEATURES[features]
    columns = {
        "inter": ["user_id", "item_id", "rating", "timestamp"],
        "user": ["user_id", *users],
        "item": ["item_id", *items],
    }
    given = settings | {"load_col": columns, "numerical_features": numerical} | more
    config = Config(model="DIEN", dataset="toy", config_dict=given)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    dataset._change_feat_format()
    return config, dataset


def both(config: Any, dataset: Any) -> tuple[Any, DIEN]:
    """RecBole's model and ours with its weights, none of them where it starts."""
    torch.manual_seed(1)
    theirs, ours = original.DIEN(config, dataset), DIEN(config, dataset)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        for name, buffer in theirs.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def batch(dataset: Any, rows: int = 64, lengths: Tensor | None = None, seed: int = 0) -> Interaction:
    """Random users, histories of random length, negatives, targets and labels."""
    random = torch.Generator().manual_seed(seed)

    def ids(field: str, *shape: int) -> Tensor:
        return torch.randint(1, dataset.num(field), shape, generator=random)

    if lengths is None:
        lengths = torch.randint(1, LONGEST + 1, (rows,), generator=random)
    real = torch.arange(LONGEST) < lengths[:, None]
    return Interaction(
        {
            "user_id": ids("user_id", rows),
            "item_id": ids("item_id", rows),
            "item_id_list": ids("item_id", rows, LONGEST) * real,
            "neg_item_id_list": ids("item_id", rows, LONGEST) * real,
            "item_length": lengths,
            "label": torch.randint(0, 2, (rows,), generator=random).float(),
        }
    )


def arguments(interaction: Interaction) -> list[Tensor]:
    fields = "user_id", "item_id_list", "neg_item_id_list", "item_length", "item_id"
    return [interaction[field] for field in fields]


def assert_close(found: Tensor, expected: Tensor, within: float) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=within)


def assert_same(theirs: Any, ours: DIEN, interaction: Interaction) -> None:
    """Hold outputs, losses, gradients and, at the end, statistics of the batch against RecBole's."""
    for training in (False, True):
        theirs.train(training)
        ours.train(training)
        for found, expected in zip(
            ours(*arguments(interaction)), theirs(*arguments(interaction)), strict=True
        ):
            assert_close(found, expected, 1e-5)
        losses = [model.calculate_loss(interaction) for model in (ours, theirs)]
        assert_close(*losses, within=1e-5)
        gradients = []
        for model, loss in zip((ours, theirs), losses, strict=True):
            model.zero_grad(set_to_none=False)
            loss.backward()
            gradients.append({name: p.grad for name, p in model.named_parameters()})
        assert gradients[0].keys() == gradients[1].keys()
        for name, gradient in gradients[1].items():
            assert_close(gradients[0][name], gradient, 1e-4)
    theirs.eval()
    ours.eval()
    with torch.no_grad():
        assert_close(ours.predict(interaction), theirs.predict(interaction), 1e-5)
    for (name, found), (same, expected) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        assert name == same
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("gru", GRUS)
def test_it_computes_what_recbole_computes(gru: str, features: str, settings: dict[str, Any]) -> None:
    config, dataset = prepared(settings, features, gru_type=gru)
    theirs, ours = both(config, dataset)
    for seed in range(3):
        assert_same(theirs, ours, batch(dataset, seed=seed))


@pytest.mark.parametrize("pooling", ["mean", "max", "sum"])
def test_every_pooling_mode_is_recboles(pooling: str, settings: dict[str, Any]) -> None:
    config, dataset = prepared(settings, pooling_mode=pooling)
    assert_same(*both(config, dataset), batch(dataset))


def test_rows_that_share_a_history_count_as_in_recbole(settings: dict[str, Any]) -> None:
    """As sampled negatives do, each history twice; and some more often than others."""
    config, dataset = prepared(settings)
    theirs, ours = both(config, dataset)
    for times in (2, torch.randint(1, 4, (16,))):
        interaction = batch(dataset, 16).repeat_interleave(times)
        interaction["item_id"] = torch.randint(1, dataset.num("item_id"), (len(interaction),))
        interaction["label"] = torch.randint(0, 2, (len(interaction),)).float()
        assert_same(theirs, ours, interaction)


@pytest.mark.parametrize("gru", GRUS)
def test_a_seed_gives_the_initial_weights_of_recbole(gru: str, settings: dict[str, Any]) -> None:
    config, dataset = prepared(settings, gru_type=gru)
    models = []
    for model in (original.DIEN, DIEN):
        torch.manual_seed(0)
        models.append(model(config, dataset).state_dict())
    theirs, ours = models
    assert list(theirs) == list(ours)
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


@pytest.mark.parametrize("preset", ["recbole", "paper", "authors"])
@pytest.mark.parametrize("gru", GRUS)
def test_empty_histories_give_a_finite_loss_and_prediction(
    gru: str, preset: str, settings: dict[str, Any]
) -> None:
    config, dataset = prepared(settings, gru_type=gru, dien_preset=preset)
    model = DIEN(config, dataset)
    for lengths in (torch.zeros(4, dtype=torch.int64), torch.tensor([0, 3, 0, LONGEST])):
        interaction = batch(dataset, 4, lengths)
        loss = model.train().calculate_loss(interaction)
        loss.backward()
        assert torch.isfinite(loss)
        assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
        assert torch.isfinite(model.eval().predict(interaction)).all()


def test_an_empty_history_leaves_the_other_rows_as_they_are(settings: dict[str, Any]) -> None:
    config, dataset = prepared(settings)
    theirs, ours = both(config, dataset)
    interaction = batch(dataset, 4, torch.tensor([2, 0, LONGEST, 1]))
    others = interaction[torch.tensor([0, 2, 3])]
    assert_close(ours.eval().predict(interaction)[[0, 2, 3]], theirs.eval().predict(others), 1e-5)


def test_predict_reads_no_negatives(settings: dict[str, Any]) -> None:
    config, dataset = prepared(settings)
    model = DIEN(config, dataset).eval()
    interaction = batch(dataset)
    expected = model.predict(interaction)
    del interaction.interaction["neg_item_id_list"]
    assert torch.equal(model.predict(interaction), expected)
    with pytest.raises(KeyError, match=r"neg_item_id_list.*dien_fresh_negatives"):
        model.calculate_loss(interaction)


def test_without_auxiliary_loss_none_is_computed(settings: dict[str, Any]) -> None:
    config, dataset = prepared(settings, alpha=0)
    theirs, ours = both(config, dataset)
    interaction = batch(dataset)
    assert_close(ours.eval().calculate_loss(interaction), theirs.eval().calculate_loss(interaction), 1e-5)
    del interaction.interaction["neg_item_id_list"]
    ours.calculate_loss(interaction).backward()
    assert all(p.grad is None for p in ours.interset_extractor.auxiliary_net.parameters())


def test_mixed_precision_trains(settings: dict[str, Any]) -> None:
    """RecBole's enable_amp wraps the loss alike."""
    config, dataset = prepared(settings)
    model = DIEN(config, dataset)
    with torch.autocast("cpu"):
        loss = model.calculate_loss(batch(dataset))
    loss.backward()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("fresh", [False, True])
def test_loss_and_prediction_go_through_the_forward_of_a_subclass_and_through_hooks(
    fresh: bool, settings: dict[str, Any]
) -> None:
    """As RecBole's do."""

    class Shifted(DIEN):
        def forward(self, *given: Tensor) -> tuple[Tensor, Tensor | None]:  # type: ignore[override]
            logits, auxiliary = super().forward(*given)
            return logits + 1, auxiliary

    config, dataset = prepared(settings, dien_fresh_negatives=fresh)
    _, plain = both(config, dataset)
    shifted = Shifted(config, dataset)
    shifted.load_state_dict(plain.state_dict())
    hooked = DIEN(config, dataset)
    hooked.load_state_dict(plain.state_dict())
    hooked.register_forward_hook(lambda module, inputs, output: (output[0] + 1, output[1]))
    interaction = batch(dataset)
    expected = torch.logit(plain.eval().predict(interaction)) + 1
    losses = []
    for model in (shifted.eval(), hooked.eval(), plain):
        torch.manual_seed(0)
        losses.append(model.calculate_loss(interaction))
        if model is not plain:
            assert_close(torch.logit(model.predict(interaction)), expected, 1e-4)
    assert torch.equal(losses[0], losses[1])
    assert (losses[0] - losses[2]).abs() > 1e-3


@pytest.mark.parametrize("gru", GRUS)
def test_hooks_and_pruning_of_parts_take_effect_as_in_recbole(gru: str, settings: dict[str, Any]) -> None:
    config, dataset = prepared(settings, "all", gru_type=gru)
    theirs, ours = both(config, dataset)
    parts = ["embedding_layer", "interset_extractor", "interset_extractor.gru", "interest_evolution"]
    parts += ["interest_evolution.attention_layer", "interest_evolution.dynamic_rnn", "dnn_mlp_layers"]
    parts += ["interset_extractor.auxiliary_net", "interest_evolution.attention_layer.dense"]
    for of_theirs in (True, False):
        model, seen = theirs if of_theirs else ours, set()
        for name in parts:
            model.get_submodule(name).register_forward_hook(lambda *_, name=name, seen=seen: seen.add(name))
        for name, part in model.named_modules():
            if isinstance(part, torch.nn.Linear | torch.nn.GRU):
                for weight in [key for key, _ in part.named_parameters() if key.startswith("weight")]:
                    torch.manual_seed(len(name) + part.get_parameter(weight).numel())
                    prune.random_unstructured(part, weight, amount=0.5)
        model.calculate_loss(batch(dataset))
        assert seen == set(parts)
    assert_same(theirs, ours, batch(dataset, seed=3))


def test_attributes_of_recbole_are_there(settings: dict[str, Any]) -> None:
    config, dataset = prepared(settings)
    theirs, ours = both(config, dataset)
    missing = {name for name in vars(theirs) if not hasattr(ours, name)}
    assert not missing
    for name in ("att_list", "dnn_mlp_list", "interest_mlp_list", "other_parameter_name"):
        assert getattr(ours, name) == getattr(theirs, name)
