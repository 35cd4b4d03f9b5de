"""A batch as models take it."""

from dataclasses import fields, replace

import torch

from dien.data.batch import Batch
from dien.packed import Packed


def test_every_tensor_of_a_batch_goes_to_the_device_and_what_is_none_stays_none() -> None:
    lists = Packed(torch.arange(3), torch.tensor([0, 1, 3]))
    filled = {
        field.name: {"one": torch.arange(2), "many": lists} if "Columns" in str(field.type) else torch.ones(2)
        for field in fields(Batch)
    }
    moved = Batch(**filled).to("meta")
    for field in fields(Batch):
        value = getattr(moved, field.name)
        tensors = [value]
        if isinstance(value, dict):
            tensors = [value["one"], value["many"].values, value["many"].offsets]
        assert [tensor.device.type for tensor in tensors] == ["meta"] * len(tensors), field.name
    bare = replace(Batch(**filled), label=None, negatives=None).to("meta")
    assert bare.label is None
    assert bare.negatives is None
