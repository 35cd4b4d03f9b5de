"""A batch as models take it."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dien.data.batch import ENTRIES_AT_ONCE, STEPS_AT_ONCE, Batch, candidates_at_once, rows_at_once
from dien.models import ModelConfig
from dien.packed import Packed
from dien.serving.requests import REQUESTS_AT_ONCE
from dien.serving.scorer import CANDIDATES_AT_ONCE
from dien.training.evaluate import EVALUATION_ROWS


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


@given(st.integers(1, 10_000), st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
def test_candidates_at_once_read_and_search_a_bounded_number_of_behaviours(
    most: int, max_history: int, longest: int
) -> None:
    def fits(rows: int) -> bool:
        return rows * max_history <= STEPS_AT_ONCE and rows * longest <= ENTRIES_AT_ONCE

    rows = rows_at_once(most, max_history, longest)
    assert 1 <= rows <= most
    assert rows == 1 or fits(rows)
    assert rows == most or not fits(rows + 1)  # and no fewer than that


def test_by_default_as_many_are_read_at_once_as_of_short_histories() -> None:
    usual = ModelConfig(name="any", matches=True, filter_by="item")
    for most in (EVALUATION_ROWS, CANDIDATES_AT_ONCE, REQUESTS_AT_ONCE):
        assert rows_at_once(most, usual.max_history, usual.longest_history) == most


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=30), st.integers(1, 12))
def test_candidates_of_requests_are_cut_in_order_and_search_a_bounded_number_or_a_single_history(
    requests: list[tuple[int, int]], most: int
) -> None:
    counts, lengths = (np.array([one[k] for one in requests], np.int64) for k in (0, 1))
    request_of = np.repeat(np.arange(len(requests)), counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dien.data.batch.ENTRIES_AT_ONCE", 40)
        parts = list(candidates_at_once(counts, lengths, most, 1))
    assert [k for part in parts for k in range(part.start, part.stop)] == list(range(len(request_of)))
    for part in parts:
        read = np.unique(request_of[part])
        assert 1 <= len(request_of[part]) <= most
        assert len(read) == 1 or lengths[read[0] : read[-1] + 1].sum() <= 40
