from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dien.data.batch import Batch
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.data.features import Feature, Schema
from dien.data.features.encoders import Hashed
from dien.run import Run
from dien.training import evaluate, evaluate_slices
from dien.training.metrics import MetricStream
from dien.training.slices import SLICES, slices_of

SCHEMA = Schema((Feature("item", "item", 6), Feature("user", "user", 3)))

histories = st.lists(st.lists(st.integers(0, 5), max_size=60), min_size=1, max_size=4)


def batch_of(histories: list[list[int]], candidates: list[tuple[int, int]]) -> Batch:
    """Items of each history, and (history, item) of each candidate."""
    lengths = [len(history) for history in histories]
    return Batch(
        history={"item": torch.tensor(list(chain(*histories)), dtype=torch.int64)},
        offsets=torch.tensor(np.cumsum([0, *lengths])),
        history_of=torch.tensor([history for history, _ in candidates], dtype=torch.int64),
        target={"item": torch.tensor([item for _, item in candidates], dtype=torch.int64)},
        user={"user": torch.zeros(len(histories), dtype=torch.int64)},
        context={},
    )


@given(histories, st.data())
def test_a_candidate_is_told_apart_by_its_history_and_by_what_is_known_of_it(
    histories: list[list[int]], data: st.DataObject
) -> None:
    candidate = st.tuples(st.integers(0, len(histories) - 1), st.integers(0, 5))
    candidates = data.draw(st.lists(candidate, max_size=20))
    slices = slices_of(batch_of(histories, candidates), SCHEMA)
    assert tuple(slices) == SLICES
    for number, (row, item) in enumerate(candidates):
        history = histories[row]
        of_item = "unknown" if item == 0 else "in the history" if item in history else "not in the history"
        bands = {"none": (0, 0), "1 to 4": (1, 4), "5 to 19": (5, 19), "20 to 49": (20, 49)}
        band = next((n for n, (low, high) in bands.items() if low <= len(history) <= high), "50 and more")
        chosen = {name for name, members in slices.items() if members[number]}
        assert chosen == {f"history: {band}", f"item: {of_item}"}


@pytest.mark.parametrize(
    "other", [Feature("category", "item", 6), Feature("item", "item", 6, encoder=Hashed(6))]
)
def test_without_an_index_for_each_item_nothing_is_said_of_items(other: Feature) -> None:
    slices = slices_of(batch_of([[1, 2]], [(0, 1), (0, 3)]), Schema((other, *SCHEMA.features[1:])))
    assert len(slices) == 5
    assert all(name.startswith("history: ") for name in slices)


def test_slices_add_up_to_the_split_and_the_whole_is_what_evaluate_says(small_run: Run) -> None:
    parts, whole = evaluate_slices(small_run), evaluate(small_run)
    assert parts.pop("all") == whole
    assert len(parts) > 2
    for kind in ("history: ", "item: "):
        of_kind = [part for name, part in parts.items() if name.startswith(kind)]
        assert all(part.rows for part in of_kind)
        assert sum(part.rows for part in of_kind) == whole.rows
        assert sum(part.positives for part in of_kind) == whole.positives
        log_loss = sum(part.rows * part.log_loss for part in of_kind if part.log_loss is not None)
        assert log_loss == pytest.approx(whole.rows * whole.log_loss)  # type: ignore[operator]


def test_a_slice_has_the_metrics_of_its_rows_alone(small_data: Dataset, small_run: Run) -> None:
    parts = evaluate_slices(small_run)
    model = small_run.load_model().eval()
    batch = Batches(small_data, "test", batch_size=10**9, max_history=12, match_history=1000).batch(0, 0)
    with torch.no_grad():
        logits = model(batch).logits.numpy()
    assert batch.label is not None
    assert batch.user_row is not None
    user = batch.user_row[batch.history_of].numpy()
    for name, chosen in slices_of(batch, small_data.schema).items():
        stream = MetricStream()
        stream.update(logits[chosen], batch.label.numpy()[chosen], user[chosen])
        assert model.calibration is not None
        alone = stream.compute(model.calibration.clicks)
        if not alone.rows:
            assert name not in parts
            continue
        found = parts[name].flat()
        for metric, value in alone.flat().items():
            expected = pytest.approx(value, rel=1e-5) if isinstance(value, float) else value
            assert found[metric] == expected, (name, metric)
