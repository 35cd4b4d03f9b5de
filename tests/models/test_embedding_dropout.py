"""Dropout of embeddings: in training alone, of every part, and right on average."""

import pytest
import torch

from dien.config import load_config
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.models import build, models
from dien.models.inputs import Embedded, Inputs

PARTS = ("history", "items", "target", "profile", "negatives")


def test_training_drops_numbers_of_every_part_and_scales_the_others(small_data: Dataset) -> None:
    batch = Batches(small_data, "train", batch_size=400, max_history=9, auxiliary=True).batch(0, 0)
    plain, thin = (Inputs(small_data.schema, 6, dropout=rate) for rate in (0.0, 0.25))
    thin.load_state_dict(plain.state_dict())

    def parts(of: Embedded) -> list[torch.Tensor]:
        return [getattr(of, name) for name in PARTS]

    whole = parts(plain(batch, negatives=True))
    assert all(
        torch.equal(a, b) for a, b in zip(parts(thin.eval()(batch, negatives=True)), whole, strict=True)
    )
    torch.manual_seed(0)
    for one, expected in zip(parts(thin.train()(batch, negatives=True)), whole, strict=True):
        kept = one != 0
        torch.testing.assert_close(one[kept], (expected / 0.75)[kept])
        some = expected != 0  # an unknown value starts at 0
        assert (kept & some).sum() / some.sum() == pytest.approx(0.75, abs=0.05)


@pytest.mark.parametrize("name", [name for name in models() if ":" not in name])
def test_every_model_drops_embeddings_in_training_and_not_when_it_scores(
    name: str, small_data: Dataset
) -> None:
    config = load_config(overrides=["model.embedding_dropout=0.5"], model=name).model
    model = build(config, small_data.schema)
    batch = Batches(
        small_data, "train", batch_size=32, max_history=9, match_history=config.matched_history
    ).batch(0, 0)
    with torch.no_grad():
        assert not torch.equal(model(batch).logits, model(batch).logits)
        model.eval()
        assert torch.equal(model(batch).logits, model(batch).logits)
