import json
import math
from collections import Counter
from dataclasses import replace
from statistics import fmean, pstdev

import numpy as np
import pytest

from dien.data import ragged
from dien.data.dataset import Dataset
from dien.data.inspection import Coverage, Inspection, advise, inspect_data, summary_rows
from dien.data.prepare.prepared import Prepared
from dien.data.ragged import Ragged
from dien.data.tables import SPLITS
from dien.data.writer import write
from dien.errors import DataError
from tests.data.datasets import random_prepared


@pytest.fixture(scope="module", params=range(4))
def inspected(request, tmp_path_factory) -> tuple[Prepared, Inspection]:
    """A random dataset that was read in parts of a few rows."""
    prepared, path = random_prepared(request.param), tmp_path_factory.mktemp("random") / "DATA"
    write(prepared, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragged, "CHUNK", 1 + 3 * request.param)
        return prepared, inspect_data(Dataset.open(path))


def values_of(column, row):
    """The value of one row in plain Python: an index, a number or a list."""
    if isinstance(column, Ragged):
        return column.values[column.offsets[row] : column.offsets[row + 1]].tolist()
    return column[row].item()


def values_by_place(data: Prepared, split: str) -> dict[tuple[str, str], list]:
    """Every value that stands in a split by feature and place, one impression after the other."""
    rows, found = data.splits[split], {}

    def see(feature, place, value):
        found.setdefault((feature, place), []).append(value)

    for tables, place in (
        (data.items, "target"),
        (data.items, "history"),
        (data.behaviours.features, "history"),
        (data.users, "user"),
        (rows.context, "context"),
    ):
        found |= {(name, place): [] for name in tables}
    for i in range(len(rows)):
        for c in range(rows.offsets[i], rows.offsets[i + 1]):
            for name, column in data.items.items():
                see(name, "target", values_of(column, rows.item[c]))
        for k in range(data.behaviours.offsets[rows.user[i]], rows.end[i]):
            for name, column in data.items.items():
                see(name, "history", values_of(column, data.behaviours.item[k]))
            for name, column in data.behaviours.features.items():
                see(name, "history", values_of(column, k))
        for name, column in data.users.items():
            see(name, "user", values_of(column, rows.user[i]))
        for name, column in rows.context.items():
            see(name, "context", values_of(column, i))
    return found


def is_unknown(value) -> bool:
    if isinstance(value, list):
        return not any(value)
    return value == 0 if isinstance(value, int) else math.isnan(value)


def counted(values: list) -> Counter:
    return Counter(v for value in values for v in (value if isinstance(value, list) else [value]))


def test_coverage_and_numbers_are_those_of_a_loop_over_every_value(inspected):
    prepared, inspection = inspected
    found = {(c.feature, c.place, c.split): c for c in inspection.coverage}
    expected = {}
    for split in SPLITS:
        for (feature, place), values in values_by_place(prepared, split).items():
            unknown = sum(map(is_unknown, values)) / len(values) if values else None
            known = [v for v in values if isinstance(v, float) and not math.isnan(v)]
            mean, std = (fmean(known), pstdev(known)) if known else (None, None)
            expected[feature, place, split] = Coverage(
                feature, place, split, len(values), unknown, pytest.approx(mean), pytest.approx(std)
            )
    assert found == expected


def test_a_tables_unseen_rows_are_those_that_no_feature_sharing_it_has_in_train(inspected):
    prepared, inspection = inspected
    seen = {}
    for (feature, _), values in values_by_place(prepared, "train").items():
        seen.setdefault({"wanted": "tags"}.get(feature, feature), Counter()).update(counted(values))
    sizes = {f.name: f.size for f in prepared.schema.features if f.kind != "numeric"}
    tables = inspection.tables
    assert {use.feature for use in tables} == sizes.keys() - {"time_since", "wanted"}
    for use in tables:
        assert use.size == sizes[use.feature]
        assert use.unseen == sum(seen[use.feature][k] == 0 for k in range(1, use.size))
        assert use.unknown == seen[use.feature][0]


def test_facts_of_a_split_are_those_of_a_loop_over_its_impressions(inspected):
    prepared, inspection = inspected
    behaviours = prepared.behaviours
    train = prepared.splits["train"]
    for name in SPLITS:
        rows, facts = prepared.splits[name], inspection.splits[name]
        user_of_row = [rows.user[i] for i in range(len(rows)) for _ in range(*rows.offsets[i : i + 2])]
        n = len(rows.item)

        def share(hits, n=n):
            return pytest.approx(sum(hits) / n) if n else None

        new_users, new_items = set(rows.user) - set(train.user), set(rows.item) - set(train.item)
        assert (facts.impressions, facts.rows, facts.positives) == (len(rows), n, rows.label.sum())
        assert facts.click_rate == share(rows.label)
        expected_change = rows.label.mean() / train.label.mean() - 1 if n else None
        assert facts.click_rate_change == pytest.approx(expected_change)
        assert (facts.users, facts.items) == (len(set(rows.user)), len(set(rows.item)))
        assert (facts.new_users, facts.new_items) == (len(new_users), len(new_items))
        assert facts.new_user_rows == share(u in new_users for u in user_of_row)
        assert facts.new_item_rows == share(k in new_items for k in rows.item)
        assert facts.unknown_user_rows == share(prepared.users["user"][u] == 0 for u in user_of_row)
        assert facts.unknown_item_rows == share(prepared.items["item"][k] == 0 for k in rows.item)
        assert (facts.first, facts.last) == ((min(rows.time), max(rows.time)) if n else (None, None))
        histories = [
            behaviours.time[behaviours.offsets[u] : e] for u, e in zip(rows.user, rows.end, strict=True)
        ]
        assert facts.leaks == sum(any(h >= t) for h, t in zip(histories, rows.time, strict=True))
        for found, lengths in (
            (facts.history, [len(h) for h in histories]),
            (facts.candidates, np.diff(rows.offsets).tolist()),
        ):
            assert found.count == sum(found.counts) == len(lengths)
            assert found.mean == (pytest.approx(fmean(lengths)) if lengths else None)
    assert inspection.leaks == sum(facts.leaks for facts in inspection.splits.values())


def test_popularity_and_lengths_are_those_of_the_behaviours(inspected):
    prepared, inspection = inspected
    of_item = np.bincount(prepared.behaviours.item, minlength=13)[1:]
    assert inspection.popularity.behaviours.quantiles["100"] == of_item.max()
    assert inspection.popularity.top_1_percent == pytest.approx(of_item.max() / 60)  # 1 of 12 items
    assert inspection.popularity.top_10_percent == pytest.approx(sum(sorted(of_item)[-2:]) / 60)  # 2 of 12
    pairs = sum(abs(int(a) - int(b)) for a in of_item for b in of_item)
    assert inspection.popularity.gini == pytest.approx(pairs / (2 * 12 * 60))
    assert (inspection.users, inspection.items, inspection.behaviours) == (9, 12, 60)
    assert inspection.history.count == 9
    assert inspection.history.mean == pytest.approx(60 / 9)
    assert inspection.unclicked.mean == pytest.approx(len(prepared.behaviours.unclicked.item) / 60)


def test_drift_compares_every_feature_without_a_number_with_train(inspected):
    prepared, inspection = inspected
    expected = {
        (feature, place, split)
        for split in ("valid", "test")
        for feature, place in values_by_place(prepared, split)
        if place != "history" and feature != "price"
    }
    drift = inspection.drift
    assert {(d.feature, d.place, d.split) for d in drift} == expected
    empty = {name for name in SPLITS if not len(prepared.splits[name])}
    assert all((d.distance is None) == (d.split in empty) for d in drift if d.feature != "wanted")


def test_a_split_that_is_train_again_does_not_drift(tmp_path):
    prepared = random_prepared(5)
    again = replace(prepared, splits=dict.fromkeys(SPLITS, prepared.splits["train"]))
    write(again, tmp_path / "DATA")
    inspection = inspect_data(Dataset.open(tmp_path / "DATA"))
    assert inspection.drift
    assert all(d.distance.psi == 0 and d.distance.js == pytest.approx(0) for d in inspection.drift)
    facts = inspection.splits["test"]
    assert (facts.new_users, facts.new_items, facts.click_rate_change) == (0, 0, 0)


def test_an_inspection_becomes_plain_json_and_a_short_table(inspected):
    _, inspection = inspected
    data = json.loads(json.dumps(inspection.to_dict(), allow_nan=False))
    assert data["splits"]["train"]["history"]["quantiles"]["50"] is not None
    assert data["leaks"] == inspection.leaks
    rows = summary_rows(inspection)
    assert rows["impressions that leak"] == inspection.leaks
    assert rows["train"].startswith("30 impressions, ")
    assert all(isinstance(value, str | int) for value in rows.values())


def test_a_dataset_prepared_by_a_recipe_has_no_leak(small_data):
    inspection = inspect_data(small_data)
    assert inspection.leaks == 0
    sizes = small_data.info.sizes.splits
    assert {name: (f.rows, f.positives) for name, f in inspection.splits.items()} == {
        name: (size.rows, size.positives) for name, size in sizes.items()
    }


def test_inspection_refuses_a_file_with_a_value_out_of_range(tmp_path):
    write(random_prepared(), tmp_path / "DATA")
    file = tmp_path / "DATA" / "items" / "category.npy"
    column = np.load(file)
    column[2] = 5
    np.save(file, column)
    with pytest.raises(DataError, match=r"items/category.npy: a value is out of range"):
        inspect_data(Dataset.open(tmp_path / "DATA"))


def test_conversions_are_described_for_each_split(tmp_path):
    prepared, rng = random_prepared(2), np.random.default_rng(0)
    splits = {
        name: replace(split, conversion=(rng.integers(-1, 2, len(split.item)) * split.label).astype(np.int8))
        for name, split in prepared.splits.items()
    }
    schema = replace(prepared.schema, conversion=True)
    write(replace(prepared, schema=schema, splits=splits), tmp_path / "DATA")
    inspection = inspect_data(Dataset.open(tmp_path / "DATA"))
    for name, facts in inspection.splits.items():
        of_clicks = splits[name].conversion[splits[name].label == 1].tolist()
        known = [one for one in of_clicks if one >= 0]
        assert facts.unknown_conversions == of_clicks.count(-1)
        assert facts.conversion_rate == (known.count(1) / len(known) if known else None)
        assert "not known" in summary_rows(inspection)[f"{name}: conversions"]


def test_weights_are_described_for_each_split(tmp_path, monkeypatch):
    monkeypatch.setattr(ragged, "CHUNK", 3)
    prepared, rng = random_prepared(2), np.random.default_rng(0)
    splits = {
        name: replace(split, weight=rng.integers(0, 4, len(split.item)).astype(np.float32))
        for name, split in prepared.splits.items()
    }
    write(replace(prepared, splits=splits), tmp_path / "DATA")
    inspection = inspect_data(Dataset.open(tmp_path / "DATA"))
    for name, facts in inspection.splits.items():
        weights = splits[name].weight.tolist()
        found = facts.weights
        if weights:
            assert found.mean == pytest.approx(fmean(weights))
            assert (found.least, found.most) == (min(weights), max(weights))
            assert found.zero == weights.count(0) / len(weights)
            assert f"{name}: weights" in summary_rows(inspection)
        else:
            assert (found.mean, found.least, found.most, found.zero) == (None,) * 4


def test_clicks_on_unknown_items_and_repeats_are_those_of_a_loop_over_clicks(inspected):
    prepared, inspection = inspected
    for name, facts in inspection.splits.items():
        split, clicks = prepared.splits[name], []
        for i in range(len(split)):
            history = prepared.behaviours.item[prepared.behaviours.offsets[split.user[i]] : split.end[i]]
            rows = range(split.offsets[i], split.offsets[i + 1])
            clicks += [(split.item[c], split.item[c] in history) for c in rows if split.label[c]]
        unknown = [prepared.items["item"][item] == 0 for item, _ in clicks]
        expected = (fmean(unknown), fmean(again for _, again in clicks)) if clicks else (None, None)
        assert (facts.unknown_item_clicks, facts.repeated_clicks) == expected
        assert f"{name}: clicks on an item of the history" in summary_rows(inspection)
    assert inspection.target_steps is not None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"repeated_clicks": 0.5}, ["50.0% of the training clicks", "leave model.matches on"]),
        ({"repeated_clicks": 0.0}, []),
        ({"repeated_clicks": 0.05}, []),
        ({"repeated_clicks": None}, []),
        (
            {"target_steps": 0.0},
            ["no step of a history is a training target", "leave model.auxiliary_weight"],
        ),
        ({"target_steps": 0.87}, ["87.0% of the steps", "leave model.auxiliary_steps=new"]),
        ({"target_steps": 0.2}, []),
        ({"unknown_item_clicks": 0.38}, ["New items make 38.0% of the test clicks"]),
        ({"unknown_item_clicks": 0.05}, []),
    ],
)
def test_advice_follows_from_what_was_measured_and_nothing_is_advised_between(found, said, inspected):
    _, inspection = inspected
    plain = {
        "repeated_clicks": 0.05,
        "unknown_item_clicks": None,
        "target_steps": None,
        **found,
    }
    facts = {
        name: replace(
            facts,
            repeated_clicks=plain["repeated_clicks"],
            unknown_item_clicks=plain["unknown_item_clicks"],
        )
        for name, facts in inspection.splits.items()
    }
    advice = advise(replace(inspection, splits=facts, target_steps=plain["target_steps"]))
    assert len(advice) == bool(said)
    for part in said:
        assert part in advice[0]
    assert all(sentence.endswith(".") for sentence in advice)
