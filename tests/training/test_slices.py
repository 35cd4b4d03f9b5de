from dataclasses import replace
from itertools import chain

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dien.config import load_config
from dien.data.batch import Batch
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.data.features import Feature, Schema
from dien.data.features.encoders import Hashed
from dien.data.prepare import temporal
from dien.run import Run
from dien.training import evaluate, evaluate_slices, fit
from dien.training.metrics import MetricStream
from dien.training.slices import AGAINST_KNOWN, SLICES, slices_of
from tests.data.datasets import stored
from tests.data.logs import random_log

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
    clicked = data.draw(st.lists(st.booleans(), min_size=len(candidates), max_size=len(candidates)))
    batch = replace(batch_of(histories, candidates), label=torch.tensor(clicked, dtype=torch.float32))
    slices = slices_of(batch, SCHEMA)
    assert tuple(slices) == SLICES
    against = slices.pop(AGAINST_KNOWN)
    assert against.tolist() == [
        yes if item == 0 else not yes for (_, item), yes in zip(candidates, clicked, strict=True)
    ]
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
        if not alone.rows or name == AGAINST_KNOWN:  # no item is new
            assert name not in parts
            continue
        found = parts[name].flat()
        for metric, value in alone.flat().items():
            expected = pytest.approx(value, rel=1e-5) if isinstance(value, float) else value
            assert found[metric] == expected, (name, metric)


@pytest.fixture(scope="module")
def new_items(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on real negatives, where a third of the items of the test split are not in train."""
    log = random_log(users=20, items=30, events=1500, labelled=True)
    late = pl.col("time") >= log.events["time"].quantile(0.9)
    new = pl.when(late & (pl.int_range(pl.len()) % 3 == 0)).then(pl.lit("new")).otherwise(pl.col("item"))
    events = log.events.with_columns(new.alias("item"))
    items = pl.concat([log.items, pl.DataFrame({"item": ["new"], "category": ["c0"]})])
    folder = tmp_path_factory.mktemp("new")
    data = stored(temporal(replace(log, events=events, items=items), warmup=1), folder / "data")
    config = load_config(overrides=["training.epochs=1"], model="sum-pooling")
    fit(data, config, folder / "run", show_progress=False)
    return Run.open(folder / "run")


def test_unknown_items_are_ranked_among_themselves_and_against_known_ones(new_items: Run) -> None:
    parts = evaluate_slices(new_items)
    model, data = new_items.load_model().eval(), new_items.dataset()
    batch = Batches(data, "test", batch_size=10**9, max_history=50, match_history=1000).batch(0, 0)
    with torch.no_grad():
        score = model(batch).logits.numpy()
    assert batch.label is not None
    clicked, unknown = batch.label.numpy() == 1, batch.target["item"].numpy() == 0  # type: ignore[union-attr]
    for name, others in (("item: unknown", unknown & ~clicked), (AGAINST_KNOWN, ~unknown & ~clicked)):
        above, below = score[unknown & clicked][:, None], score[others]
        assert parts[name].auc == pytest.approx(((above > below) + (above == below) / 2).mean(), abs=1e-6)
        assert (parts[name].rows, parts[name].positives) == (above.size + below.size, above.size)
    assert parts[AGAINST_KNOWN].log_loss is None  # chosen by labels, its click rate is of no rows at all
    assert parts["item: unknown"].log_loss is not None


def test_where_no_negative_is_unknown_one_is_told_that_unknown_items_have_no_auc(
    new_items: Run,
) -> None:
    data = new_items.dataset()
    test = data.splits["test"]
    known = test.item[data.items["item"][test.item] > 0][0]  # type: ignore[index]
    item = np.where(test.label == 1, test.item, known)
    data = replace(data, splits={**data.splits, "test": replace(test, item=item)})
    parts = evaluate_slices(new_items, data)
    assert parts["item: unknown"].auc is None
    assert parts["item: unknown"].note == "no AUC: every label is 1"
    assert parts[AGAINST_KNOWN].auc is not None
