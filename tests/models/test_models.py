"""What every model of the paper's tables has to do, by its name on the command line."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.batch import Batch
from dien.data.features import Schema
from dien.models import DIEN, DIENConfig, Model, build, models
from dien.models.din import DIN, DINConfig
from dien.models.pnn import PNN, PNNConfig
from dien.models.rocket import Rocket, RocketConfig
from dien.models.sum_pooling import SumPooling, SumPoolingConfig
from dien.models.wide_deep import WideDeep, WideDeepConfig
from dien.training.optimiser import RowAdam
from tests.embeddings import enlarge
from tests.models.batches import EVERY_KIND, NO_PROFILE, alone, candidates, random_batch

MODELS = {name: found.config for name, found in models().items()}
NAMES = st.sampled_from(list(MODELS))


def model(name: str, schema: Schema, **options: Any) -> Model:
    torch.manual_seed(0)
    found = build(MODELS[name].model_copy(update=options), schema).double().eval()
    enlarge(found)
    return found


@settings(max_examples=40)
@given(
    name=NAMES,
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    data=st.data(),
    schema=st.sampled_from([NO_PROFILE, EVERY_KIND]),
)
def test_a_candidate_scores_the_same_alone_among_others_and_in_any_order(
    name: str, lengths: list[int], data: st.DataObject, schema: Schema
) -> None:
    found = model(name, schema)
    history_of = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=6))
    batch = random_batch(lengths, history_of, schema)
    logits = found(batch).logits
    each = torch.cat([found(alone(batch, b)).logits for b in range(len(batch))])
    torch.testing.assert_close(logits, each, rtol=0, atol=1e-11)
    order = data.draw(st.permutations(range(len(batch))))
    torch.testing.assert_close(found(candidates(batch, order)).logits, logits[order], rtol=0, atol=1e-11)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("lengths", [[5, 0, 17, 1], [3, 3, 3], [1, 1, 1], [0, 0, 0]], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_computes_the_losses_and_gradients_of_the_cpu(name: str, lengths: list[int]) -> None:
    batch = random_batch(lengths, list(range(len(lengths))) * 2, EVERY_KIND)
    found = losses_and_gradients(name, batch, "cuda", torch.float32, steps=1)
    truth = losses_and_gradients(name, batch, "cpu", torch.float64, steps=1)
    for ours, theirs in zip(found, truth, strict=True):
        scale = float(theirs.abs().max()) if theirs.numel() else 1.0
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * max(scale, 1.0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", MODELS)
def test_training_on_a_gpu_takes_the_steps_of_the_cpu(name: str) -> None:
    batch = random_batch([5, 0, 17, 1], list(range(4)) * 2, EVERY_KIND)
    found, truth = (
        losses_and_gradients(name, batch, device, torch.float64, steps=4) for device in ("cuda", "cpu")
    )
    for ours, theirs in zip(found, truth, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


def losses_and_gradients(
    name: str, batch: Batch, device: str, dtype: torch.dtype, *, steps: int
) -> list[torch.Tensor]:
    """Losses of some steps of Adam, and the gradients of the last."""
    # Devices draw other numbers: what they hide of the matches would differ.
    found = model(name, EVERY_KIND, match_dropout=0.0).train().to(device, dtype)
    batch, losses = batch.to(device), []
    optimiser = RowAdam(found.parameters(), lr=0.01)
    for _ in range(steps):
        loss = found.losses(batch).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    gradients = [p.grad.to_dense() for p in found.parameters() if p.grad is not None]
    return [tensor.cpu().double() for tensor in (torch.stack(losses), *gradients)]


@pytest.mark.parametrize("lengths", [[0], [0, 0, 0], [1], [1, 0, 1]])
@pytest.mark.parametrize("name", MODELS)
def test_histories_of_one_behaviour_or_none_give_finite_logits_losses_and_gradients(
    name: str, lengths: list[int]
) -> None:
    found = model(name, EVERY_KIND).train()
    logits, loss = found(random_batch(lengths, list(range(len(lengths))) * 2, EVERY_KIND))
    assert torch.isfinite(logits).all()
    assert loss is None or loss == 0
    (logits.sum() + (0 if loss is None else loss)).backward()
    for parameter in found.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad.to_dense()).all()


@pytest.mark.parametrize("name", MODELS)
def test_dense_gradients_are_the_sparse_ones_and_every_optimiser_of_torch_takes_them(name: str) -> None:
    batch = random_batch([5, 0, 17, 1], list(range(4)) * 2, EVERY_KIND)
    sparse = model(name, EVERY_KIND).train()
    assert sparse.sparse_gradients
    by_key = build(sparse.config.model_copy(update={"sparse_gradients": False}), EVERY_KIND).double().train()
    by_key.load_state_dict(sparse.state_dict())
    by_attribute = copy.deepcopy(sparse)
    by_attribute.sparse_gradients = False
    expected = gradients_of(sparse, batch)
    assert any(gradient.is_sparse for gradient in expected)
    for dense in (by_key, by_attribute):
        assert not dense.sparse_gradients
        for one, other in zip(gradients_of(dense, batch), expected, strict=True):
            assert not one.is_sparse
            torch.testing.assert_close(one, other.to_dense(), rtol=1e-5, atol=1e-7)
        torch.nn.utils.clip_grad_norm_(dense.parameters(), 1.0)
        torch.nn.utils.clip_grad_value_(dense.parameters(), 1.0)
        for optimiser in (torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop, torch.optim.NAdam):
            optimiser(dense.parameters(), lr=1e-3, weight_decay=1e-4).step()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_is_made_by_its_class_has_dense_gradients_by_its_configuration_too(name: str) -> None:
    config = MODELS[name].model_copy(update={"sparse_gradients": False})
    made = models()[name].model(config, EVERY_KIND)
    assert not any(part.sparse for part in made.modules() if isinstance(part, torch.nn.Embedding))


def gradients_of(found: Any, batch: Batch) -> list[torch.Tensor]:
    found.zero_grad()
    torch.manual_seed(1)  # the same candidates' matches are hidden for every one
    found.losses(batch).total.backward()
    return [p.grad for p in found.parameters() if p.grad is not None]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_a_batch_by_heart(name: str) -> None:
    torch.manual_seed(0)
    found = build(MODELS[name], EVERY_KIND).train()
    # Rocket's hint is a squared difference of logits: in long steps it throws what was learned away.
    rate, steps = (0.002, 90) if name == "rocket" else (0.02, 30)
    optimiser = RowAdam(found.parameters(), lr=rate)
    batch = random_batch([5, 7, 3, 6, 1, 4, 2, 8], list(range(8)) * 2, EVERY_KIND)
    targets = []
    for _ in range(steps):
        loss, parts = found.losses(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        sums = {"loss": loss.item()} | {part: value.item() for part, value in parts.items()}
        targets.append(found.record(sums).get("target_loss", loss.item()))
    assert targets[-1] < 0.5 * targets[0]


@pytest.mark.parametrize("name", MODELS)
def test_dien_alone_has_an_auxiliary_loss(name: str) -> None:
    loss = model(name, EVERY_KIND)(random_batch([3, 2], [0, 1], EVERY_KIND)).auxiliary_loss
    assert (loss is not None) == name.startswith(("dien", "rocket"))


def test_the_ablations_are_dien_with_another_gru_and_neither_auxiliary_loss_nor_dins_interest() -> None:
    grus = {"gru-attention": "gru", "gru+aigru": "aigru", "gru+agru": "agru", "gru+augru": "augru"}
    for name, gru in grus.items():
        without = {"gru": gru, "auxiliary_weight": 0, "behaviour_attention": False, "embedding_dropout": 0}
        assert MODELS[name] == MODELS["dien"].model_copy(update=without)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (SumPoolingConfig(), SumPooling),
        (WideDeepConfig(), WideDeep),
        (PNNConfig(), PNN),
        (DINConfig(), DIN),
        (DIENConfig(), DIEN),
        (RocketConfig(), Rocket),
    ],
    ids=str,
)
def test_a_configuration_builds_the_model_it_names(config: DIENConfig, kind: type[DIEN]) -> None:
    assert type(build(config, NO_PROFILE)) is kind


@settings(max_examples=20)
@given(st.sampled_from(sorted(set(MODELS) - {"rocket"})), st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_a_row_of_a_whole_weight_counts_in_the_loss_as_so_many_rows(name: str, counts: list[int]) -> None:
    batch = random_batch([2, 0, 3], [k % 3 for k in range(len(counts))], EVERY_KIND, negatives=False)
    one = model(name, EVERY_KIND)
    weight = torch.tensor(counts, dtype=torch.float64)
    weighted = one.losses(replace(batch, label=batch.label.double(), weight=weight)).total
    again = [k for k, count in enumerate(counts) for _ in range(count)]
    repeated = replace(candidates(batch, again), label=batch.label[again].double())
    expected = one.losses(repeated).total * len(again) / len(counts) if again else torch.zeros(())
    torch.testing.assert_close(weighted, expected.double())
