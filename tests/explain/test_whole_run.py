"""The whole-run view against a loop over rows and behaviours, one at a time."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
import torch

from dien.config import load_config
from dien.data.dataset import Dataset
from dien.data.log import Log
from dien.data.prepare import temporal
from dien.data.ragged import Ragged
from dien.errors import ConfigError
from dien.explain import WholeRun, whole_run
from dien.explain.attention import attention_layers
from dien.explain.kept import attention_kept
from dien.run import Run
from dien.training import evaluate, fit
from dien.training.evaluate import evaluation_batches
from tests.data.datasets import stored

DAY = 86400
BANDS = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 7), (8, 10), (11, 15), (16, 20), (21, 30), (31, 50)]
AGES = [0, 3600, DAY, 3 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 182 * DAY, 365 * DAY]


def values_of(dataset: Dataset, name: str, item: int) -> set[int]:
    column: Any = dataset.items[name]
    if isinstance(column, Ragged):
        return set(column.values[column.offsets[item] : column.offsets[item + 1]].tolist()) - {0}
    return {int(column[item])} - {0}


def by_hand(run: Run, dataset: Dataset, by: str | None) -> dict[str, dict[Any, list[Any]]]:
    """What each pair adds: click, score, attentions; by band or age and kind, and by kind of each row."""
    config = run.config.model
    model = run.load_model()
    split, behaviours = dataset.split("test"), dataset.behaviours
    scores: dict[int, float] = {}
    attention: dict[int, list[list[float]]] = {}
    batches = evaluation_batches(
        dataset, "test", config.max_history, config.matched_history, config.filter_by, config.filter_history
    )
    with attention_kept(model) as kept, torch.inference_mode():
        for batch in batches.epoch(0):
            logits = model(batch).logits.double()
            logits = logits if model.calibration is None else model.calibration.clicks(logits)
            assert batch.rows is not None
            at = 0
            for b, row in enumerate(batch.rows.tolist()):
                scores[row] = float(torch.sigmoid(logits[b]))
                length = int(batch.offsets.diff()[batch.history_of[b]])
                attention[row] = [kept[name][at : at + length].tolist() for name in attention_layers(model)]
                at += length
    found: dict[str, dict[Any, list[Any]]] = {"positions": {}, "ages": {}, "rows": {}}
    different: dict[Any, list[int]] = defaultdict(list)

    def add(name: str, key: Any, row: int, adds: list[Any]) -> None:
        tables[name][key].append(adds)
        if row not in different[name, key]:
            different[name, key].append(row)

    tables = {name: defaultdict(list, table) for name, table in found.items()}
    for i in range(len(split)):
        user, end, now = int(split.user[i]), int(split.end[i]), int(split.time[i])
        for row in range(int(split.offsets[i]), int(split.offsets[i + 1])):
            target, clicked = int(split.item[row]), int(split.label[row])
            places = list(range(int(behaviours.offsets[user]), end))
            if config.filter_by == "category":
                wanted = values_of(dataset, "category", target)
                places = [
                    p for p in places if values_of(dataset, "category", int(behaviours.item[p])) & wanted
                ]
            places = places[-config.max_history :]
            kinds = []
            for step, p in enumerate(places):
                item = int(behaviours.item[p])
                if item == target:
                    kind = "same item"
                elif by and values_of(dataset, by, item) & values_of(dataset, by, target):
                    kind = "same category"
                else:
                    kind = "other"
                kinds.append(kind)
                position, age = end - p, now - int(behaviours.time[p])
                adds = [clicked, scores[row], *(one[step] for one in attention[row])]
                band = next(low for low, high in BANDS if low <= position <= high)
                add("positions", (band, kind), row, adds)
                add("ages", (max(low for low in AGES if low <= age), kind), row, adds)
            first = next((k for k in ("same item", "same category", "other") if k in kinds), "no history")
            sums = [sum(a for a, k in zip(one, kinds, strict=True) if k == first) for one in attention[row]]
            add("rows", first, row, [clicked, scores[row], *sums])
    return {**{name: dict(table) for name, table in tables.items()}, "different": dict(different)}


def flat(whole: WholeRun) -> dict[str, dict[Any, Any]]:
    positions = {(band.first, kind): cell for band in whole.positions for kind, cell in band.cells.items()}
    ages = {(band.first, kind): cell for band in whole.ages for kind, cell in band.cells.items()}
    return {"positions": positions, "ages": ages, "rows": whole.rows_by_kind}


def expect_same(whole: WholeRun, expected: dict[str, dict[Any, list[Any]]]) -> None:
    for name, cells in flat(whole).items():
        assert set(cells) == set(expected[name]), name
        for key, cell in cells.items():
            means = np.mean(expected[name][key], axis=0)
            assert cell.rows == len(expected["different"][name, key]), (name, key)
            found = [cell.clicked, cell.score, *cell.attention.values()]
            assert cell.number == len(expected[name][key]), (name, key)
            np.testing.assert_allclose(found, means, atol=1e-6, err_msg=f"{name} {key}")


@pytest.fixture(scope="module")
def with_lists(small_log: Log, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The small log with several tags an item, and times over a year."""
    tags = pl.Series("tags", [[f"t{i % 3}", f"t{i % 7}"] if i % 4 else None for i in range(40)])
    log = Log(
        events=small_log.events.with_columns(pl.col("time") * 30),
        items=small_log.items.with_columns(tags),
        users=small_log.users,
        sources=(),
    )
    return stored(temporal(log, seed=0), tmp_path_factory.mktemp("lists") / "data")


@pytest.mark.parametrize(
    ("model", "options", "layers"),
    [
        ("dien", [], ["interest states", "behaviours"]),
        ("gru-attention", [], ["interest states"]),
        ("din", ["model.filter_by=category"], ["behaviours"]),
        ("sum-pooling", [], []),
    ],
)
def test_every_figure_is_that_of_a_loop_over_rows_and_behaviours(
    model: str, options: list[str], layers: list[str], with_lists: Dataset, tmp_path: Path
) -> None:
    chosen = ["training.epochs=1", "model.max_history=12", *options]
    fit(with_lists, load_config(model=model, overrides=chosen), tmp_path / "run", show_progress=False)
    run = Run.open(tmp_path / "run")
    for by in ("category", "tags"):
        whole = whole_run(run, category=by, device="cpu")
        assert (whole.layers, whole.category, whole.reads) == (layers, by, 12)
        expect_same(whole, by_hand(run, with_lists, by))


def test_the_whole_is_what_evaluate_says(small_run: Run) -> None:
    whole, metrics = whole_run(small_run, device="cpu"), evaluate(small_run, device="cpu")
    assert whole.rows == metrics.rows == sum(cell.number for cell in whole.rows_by_kind.values())
    assert whole.clicked == metrics.positives / metrics.rows
    assert metrics.calibration == pytest.approx(whole.score / whole.clicked)
    assert whole.impressions == whole.of_impressions
    assert whole.category == "category"  # the first feature of items in the schema


def test_a_sample_is_stated_and_the_same_each_time(small_run: Run) -> None:
    part, again = (whole_run(small_run, sample=20, device="cpu") for _ in range(2))
    assert part == again
    assert part.impressions == 20 < part.of_impressions
    more = whole_run(small_run, sample=10**6, device="cpu")
    assert more == whole_run(small_run, device="cpu")


def test_it_is_one_json_object_that_reads_back(small_run: Run) -> None:

    whole = whole_run(small_run, sample=20, device="cpu")
    assert msgspec.json.decode(whole.to_json(), type=WholeRun) == whole


def test_what_cannot_be_is_refused_with_what_can(small_run: Run) -> None:
    with pytest.raises(ConfigError, match=r"category 'colour': expected a feature of items.*: category"):
        whole_run(small_run, category="colour")
    with pytest.raises(ValueError, match="sample is 0, expected at least 1"):
        whole_run(small_run, sample=0)
