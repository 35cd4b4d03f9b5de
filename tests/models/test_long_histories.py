"""What a model keeps for its backward pass, by the length of its histories."""

import pytest
import torch

from dien.bench.shapes import Shape, draw, schema
from dien.models import build, models
from dien.models.registry import model_config

LENGTHS = 60, 120, 180


def kept_bytes(name: str, length: int) -> int:
    """Count the bytes of all storages that are kept for the backward pass of a batch, each once."""
    config = model_config(name).model_copy(update={"max_history": length, "position_embedding": True})
    torch.manual_seed(0)
    model = build(config, schema(50))
    batch = draw(Shape("", 2, 2), length, items=50, matches=config.matches)
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model.losses(batch).total
    parameters = {one.untyped_storage().data_ptr() for one in model.parameters()}
    assert loss.requires_grad
    return sum(storage.nbytes() for place, storage in kept.items() if place not in parameters)


@pytest.mark.parametrize("name", list(models()))
def test_memory_of_a_training_step_grows_with_the_steps_and_not_faster(name: str) -> None:
    short, middle, long = (kept_bytes(name, length) for length in LENGTHS)
    assert short > 4 * 4 * LENGTHS[0]
    assert long - middle == pytest.approx(middle - short, rel=0.02, abs=4096)
