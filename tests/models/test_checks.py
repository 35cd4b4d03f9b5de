"""Batches made by hand: what is wrong with one is said by its field and feature, and never passed over."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.batch import Batch
from dien.data.features import Feature, Schema
from dien.models import DIEN, DIENConfig, build, model_config
from dien.models.inputs import Inputs
from dien.packed import Packed
from tests.models.batches import EVERY_KIND, SCHEMA, random_batch

LENGTHS, HISTORY_OF = [3, 0, 1, 5], [0, 3, 3, 1, 2, 0, 3]
FIELDS = ("history", "target", "negatives", "user", "context")
INPUTS = Inputs(EVERY_KIND, 2)


def batch() -> Batch:
    return random_batch(LENGTHS, HISTORY_OF, EVERY_KIND)


def longer(column: Any) -> Any:
    if isinstance(column, Packed):
        return Packed(column.values, torch.cat([column.offsets, column.offsets[-1:]]))
    return torch.cat([column, column[-1:]])


def shorter(column: Any) -> Any:
    return Packed(column.values, column.offsets[:-1]) if isinstance(column, Packed) else column[:-1]


def narrow(column: Any) -> Any:
    if isinstance(column, Packed):
        return Packed(column.values.int(), column.offsets)
    return column.int() if column.dtype == torch.int64 else column[:, None]


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "missing": (None, ValueError, "there is no feature {name!r}"),
    "longer": (longer, ValueError, "expected"),
    "shorter": (shorter, ValueError, "expected"),
    "of another type or shape": (narrow, ValueError, "expected"),
    "an array": (np.asarray([1, 2, 3]), TypeError, "numpy.ndarray; expected"),
    "a list": ([1, 2, 3], TypeError, "builtins.list; expected"),
}


@settings(max_examples=80)
@given(field=st.sampled_from(FIELDS), wrong=st.sampled_from(list(WRONG)), data=st.data())
def test_a_wrong_column_is_refused_by_its_field_and_feature(
    field: str, wrong: str, data: st.DataObject
) -> None:
    right = batch()
    columns = dict(getattr(right, field))
    name = data.draw(st.sampled_from(sorted(columns)))
    change, kind, message = WRONG[wrong]
    if change is None:
        del columns[name]
    else:
        columns[name] = change(columns[name]) if callable(change) else change
    with pytest.raises(kind) as caught:
        INPUTS(replace(right, **{field: columns}), negatives=True)
    assert str(caught.value).startswith(f"Batch.{field}")
    assert repr(name) in str(caught.value)
    assert message.format(name=name) in str(caught.value)


@settings(max_examples=60)
@given(field=st.sampled_from(FIELDS), below=st.booleans(), data=st.data())
def test_an_index_beyond_a_feature_is_refused_by_its_field_and_feature(
    field: str, below: bool, data: st.DataObject
) -> None:
    right = batch()
    indexed = {f.name: f.size for f in EVERY_KIND.features if f.kind not in ("numeric", "vector")}
    columns = dict(getattr(right, field))
    holding = [
        name
        for name, column in columns.items()
        if name in indexed and len(column.values if isinstance(column, Packed) else column)
    ]
    name = data.draw(st.sampled_from(sorted(holding)))
    column = columns[name]
    values = (column.values if isinstance(column, Packed) else column).clone()
    at, wrong = data.draw(st.integers(0, len(values) - 1)), -1 if below else indexed[name]
    values[at] = wrong
    columns[name] = Packed(values, column.offsets) if isinstance(column, Packed) else values
    with pytest.raises(IndexError) as caught:
        INPUTS(replace(right, **{field: columns}), negatives=True)
    expected = f"Batch.{field}[{name!r}]: index {wrong} at position {at}; expected 0 to {indexed[name] - 1}"
    assert str(caught.value).startswith(expected)


OFFSETS, OF = batch().offsets, batch().history_of


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "history_of",
            OF.index_fill(0, torch.tensor(2), 4),
            r"4 of candidate 2; expected 0 to 3, one of the 4",
        ),
        ("history_of", OF.index_fill(0, torch.tensor(1), -1), "-1 of candidate 1; expected 0 to 3"),
        ("history_of", OF.double(), "torch.float64"),
        ("history_of", OF[:, None], r"torch.int64 \[7, 1\]; expected \[B\]"),
        ("offsets", OFFSETS.diff(), "expected where each history begins.*lengths_to_offsets"),
        ("offsets", OFFSETS + 1, "rising from 0"),
        ("offsets", OFFSETS[[0, 3, 1, 2, 4]], "rising from 0"),
        ("offsets", OFFSETS[:0], "starting with 0"),
        ("offsets", OFFSETS.float(), "torch.float32"),
        *(
            (field, value, message)
            for field in ("label", "weight", "conversion")
            for value, message in (
                (torch.zeros(7, 1), rf"torch.float32 \[7, 1\]; expected \[7\] .* a {field} of each"),
                (torch.zeros(1), r"torch.float32 \[1\]; expected \[7\]"),
                (torch.tensor(1.0), r"torch.float32 \[\]; expected \[7\]"),
                (torch.zeros(7, dtype=torch.int64), "torch.int64"),
            )
        ),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(field: str, value: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=f"^Batch.{field}: .*{message}"):
        INPUTS(replace(batch(), **{field: value}))


@pytest.mark.parametrize("field", ["label", "weight", "conversion", "offsets", "history_of"])
@pytest.mark.parametrize("value", [[0.0] * 7, np.zeros(7)], ids=["a list", "an array"])
def test_a_field_that_is_no_tensor_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^Batch.{field}: (builtins.list|numpy.ndarray); expected \["):
        INPUTS(replace(batch(), **{field: value}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda right: None,
            r"Batch.matches: None; expected \[4, 13\] .* by item, category, tags, bought_with; ",
        ),
        (lambda right: right[:, 1:], r"Batch.matches: torch.float32 \[4, 12\]; expected \[4, 13\]"),
        (lambda right: right.long(), r"Batch.matches: torch.int64 \[4, 13\]; expected .* floating type"),
        (lambda right: right - 5, "a length or a count is below 0 or NaN; expected 0 or more"),
    ],
)
def test_matches_that_a_model_cannot_read_are_refused(spoil: Any, message: str) -> None:
    inputs = Inputs(EVERY_KIND, 2, matches=True)
    right = random_batch([2, 0, 3], [0, 1, 2, 2], EVERY_KIND)
    assert inputs(right).profile.shape[1] == inputs.profile_width
    assert inputs.profile_width == inputs.profile.width + 1 + 4 * 4
    with pytest.raises(ValueError, match=message):
        inputs(replace(right, matches=spoil(right.matches)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda right: None,
            r"Batch.popularity: None; expected \[4, 18\] .* by item, category, tags, bought_with; ",
        ),
        (lambda right: right[:, 1:], r"Batch.popularity: torch.float32 \[4, 17\]; expected \[4, 18\]"),
        (lambda right: right.long(), r"Batch.popularity: torch.int64 \[4, 18\]; expected .* floating"),
        (lambda right: right.index_fill(1, torch.tensor(9), -1), "a number is below 0, or a count is NaN"),
        (lambda right: right.index_fill(1, torch.tensor(17), -1), "a number is below 0, or a count is NaN"),
        (lambda right: right * torch.nan, "a number is below 0, or a count is NaN; expected 0 or more"),
    ],
)
def test_popularity_that_a_model_cannot_read_is_refused(spoil: Any, message: str) -> None:
    inputs = Inputs(EVERY_KIND, 2, popularity=True)
    right = random_batch([2, 0, 3], [0, 1, 2, 2], EVERY_KIND)
    assert inputs(right).profile.shape[1] == inputs.profile_width
    assert inputs.profile_width == inputs.profile.width + 5 * 4 + 2
    with pytest.raises(ValueError, match=message):
        inputs(replace(right, popularity=spoil(right.popularity)))


def test_a_history_longer_than_there_are_places_with_a_vector_is_refused() -> None:
    inputs = Inputs(EVERY_KIND, 2, positions=4)
    assert inputs(random_batch([4, 0, 3], [0], EVERY_KIND)).history.shape == (7, inputs.history_width)
    with pytest.raises(ValueError, match=r"Batch.offsets: a history of 5 behaviours; expected 4 at most, "):
        inputs(random_batch([5], [0], EVERY_KIND))


def test_what_a_model_does_not_read_is_not_looked_at() -> None:
    more = batch()
    more.target["brand"] = torch.zeros(3)
    unread = replace(more, negatives={})
    for found, expected in zip(INPUTS(unread), INPUTS(batch()), strict=True):
        assert found is expected or torch.equal(found, expected)


def test_a_schema_without_an_item_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no feature of side 'item'.*; it has user of user"):
        DIEN(DIENConfig(), Schema((Feature("user", "user", 5),)))


@pytest.mark.parametrize("name", ["dien", "rocket", "dien:recbole"])
def test_training_on_a_batch_without_negatives_is_refused_and_predicting_is_not(name: str) -> None:
    model = build(model_config(name), SCHEMA)
    without = random_batch(LENGTHS, HISTORY_OF, negatives=False)
    for call in (model, model.losses):
        with pytest.raises(ValueError, match=r"no negatives.*auxiliary_weight = .*auxiliary=True.*eval\(\)"):
            call(without)
    with torch.no_grad():
        model(without)
    model(replace(without, label=None))
    model.eval()(without)
    free = build(model_config("gru-attention"), SCHEMA)
    free.losses(without).total.backward()
