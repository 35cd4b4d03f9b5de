"""A batch as models take it."""

from dataclasses import fields, replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from dien.data.batch import STEPS_AT_ONCE, Batch, rows_at_once
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


@given(st.integers(1, 10_000), st.integers(1, 2**31 - 1))
def test_candidates_at_once_read_a_bounded_number_of_steps(most: int, max_history: int) -> None:
    rows = rows_at_once(most, max_history)
    assert 1 <= rows <= most
    assert rows == 1 or rows * max_history <= STEPS_AT_ONCE
    assert rows == most or (rows + 1) * max_history > STEPS_AT_ONCE  # and no fewer than that
