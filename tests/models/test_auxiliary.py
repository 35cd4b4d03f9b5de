"""A model without auxiliary loss holds nothing of it; all others give every weight a gradient."""

from pathlib import Path

import pytest
import torch

from dien.config import load_config
from dien.data.dataset import Dataset
from dien.models import DIEN, DIENConfig, build, model_config, models
from dien.training import fit
from dien.training.checkpoint import Checkpoint
from tests.models.batches import EVERY_KIND, SCHEMA, random_batch
from tests.training.stopped import of_epoch, stopping

ABLATIONS = ("gru-attention", "gru+aigru", "gru+agru", "gru+augru")


@pytest.mark.parametrize("name", ABLATIONS)
def test_without_auxiliary_loss_there_is_no_auxiliary_network_and_the_rest_starts_the_same(name: str) -> None:
    config = model_config(name)
    assert isinstance(config, DIENConfig)
    torch.manual_seed(3)
    without = build(config, SCHEMA).state_dict()
    torch.manual_seed(3)
    with_it = build(
        config.model_copy(update={"auxiliary_weight": 1.0, "auxiliary_score": False}), SCHEMA
    ).state_dict()
    dropped = with_it.keys() - without.keys()
    assert dropped
    assert all(key.startswith("extractor.auxiliary_net.") for key in dropped)
    assert all(torch.equal(without[key], with_it[key]) for key in without)


@pytest.mark.parametrize("affine", [False, True])
def test_weights_that_hold_an_unused_auxiliary_network_load_with_a_word(affine: bool) -> None:
    config = DIENConfig(gru="gru", auxiliary_affine=affine, auxiliary_score=False)
    with_it = DIEN(config, SCHEMA)
    without = DIEN(config.model_copy(update={"auxiliary_weight": 0}), SCHEMA)
    state = with_it.state_dict()
    before = list(state)
    with pytest.warns(UserWarning, match="passed over .* tensors of an auxiliary network"):
        without.load_state_dict(state)
    assert list(state) == before
    batch = random_batch([3, 2], [0, 1, 1])
    assert torch.equal(without.eval()(batch).logits, with_it.eval()(batch).logits)
    with pytest.raises(RuntimeError, match=r"Missing key.*auxiliary_net"):
        with_it.load_state_dict(without.state_dict())
    with pytest.raises(RuntimeError, match=r"Unexpected key.*extractor.other"):
        without.load_state_dict(without.state_dict() | {"extractor.other.weight": torch.zeros(1)})


def test_an_unfinished_run_of_an_earlier_version_resumes_to_the_same_weights(
    small_data: Dataset, tmp_path: Path
) -> None:
    """Its checkpoint holds the network, and numbers the weights after it higher."""
    keys = ["model.hidden_size=6", "training.epochs=1", "training.batch_size=256"]
    config = load_config(model="gru-attention", overrides=[*keys, "training.checkpoint_steps=5"])
    straight = fit(small_data, config, tmp_path / "straight", show_progress=False)
    assert straight.steps > 10
    folder = tmp_path / "run" / "checkpoints"
    with stopping(of_epoch(1, steps=8)):
        fit(small_data, config, tmp_path / "run", show_progress=False)
    found = Checkpoint.newest(folder)
    assert found is not None
    network = DIEN(DIENConfig(hidden_size=6), small_data.schema).extractor.auxiliary_net
    assert network is not None
    names = [key for key, _ in DIEN(config.model, small_data.schema).named_parameters()]  # type: ignore[arg-type]
    first = names.index("extractor.gru.bias_hh_l0") + 1
    more = {f"model.extractor.auxiliary_net.{key}": w.detach() for key, w in network.named_parameters()}
    numbered = {n if n < first else n + len(more): state for n, state in found.optimiser.items()}
    Checkpoint(found.state, found.tensors | more, numbered).save(folder)
    with pytest.warns(UserWarning, match="passed over"):
        fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)
    runs = (tmp_path / name / "model.safetensors" for name in ("run", "straight"))
    assert len({run.read_bytes() for run in runs}) == 1


LENGTHS = [[3, 0, 1, 5], [1, 0, 1], [0, 0], [1, 1, 1]]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("name", [name for name in models() if name != "wide-deep"])
def test_every_weight_has_a_gradient_however_short_the_histories(name: str, lengths: list[int]) -> None:
    """Processes that train together wait for each."""
    torch.manual_seed(0)
    model = build(model_config(name), EVERY_KIND)
    batch = random_batch(lengths, [0, 1, 1, 0], EVERY_KIND)
    model.losses(batch).total.backward()
    assert [key for key, weight in model.named_parameters() if weight.grad is None] == []
    assert all(torch.isfinite(weight.grad.to_dense()).all() for weight in model.parameters())
