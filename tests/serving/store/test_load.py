"""A dataset folder fills a store: raw ids and features as in its log, again and again alike."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec import structs

from dien.data.dataset import Dataset
from dien.data.features import Categorical, Numeric
from dien.data.log import Log
from dien.data.prepare import temporal
from dien.data.writer import write
from dien.errors import DataError, StoreError
from dien.run import Run
from dien.serving import Scorer
from dien.serving.store import Behaviour, BehaviourStore, load, load_store, open_store


@pytest.fixture
def store() -> Iterator[BehaviourStore]:
    with closing(open_store("memory:")) as opened:
        yield opened


def users_of(dataset: Dataset) -> list[str]:
    return dataset.user_ids.values.to_list()[1:]


def test_each_user_has_what_the_log_has_oldest_first(
    rich_log: Log, rich_data: Dataset, store: BehaviourStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_AT_ONCE", 50)  # users in several parts
    read: list[int] = []
    loaded = load_store(rich_data, store, most=1000, progress=read.append)
    events = rich_log.events
    assert (loaded.behaviours, loaded.added, loaded.trimmed) == (events.height, events.height, 0)
    assert sum(read) == events.height
    assert len(read) > 5
    users = sorted(set(events["user"]))
    assert loaded.users == len(users)
    for user, kept in zip(users, store.read(users, 1000), strict=True):
        own = events.filter(pl.col("user") == user).sort("time")
        assert [one.item for one in kept] == own["item"].to_list()
        assert [one.time for one in kept] == own["time"].to_list()
        for name in ("action", "dwell", "labels"):
            assert [one.features.get(name) for one in kept] == [
                value if value is None or isinstance(value, str) else approximately(value)
                for value in own[name].to_list()
            ]


def approximately(value: Any) -> Any:
    if isinstance(value, list):
        return value or None  # an empty list is as unknown as none
    return pytest.approx(value, rel=1e-5)


def test_what_is_loaded_scores_as_the_dataset_does(
    rich_run: Run, rich_data: Dataset, store: BehaviourStore
) -> None:
    load_store(rich_data, store, most=1000)
    scorer, behaviours = Scorer(rich_run), rich_data.behaviours
    for row in range(1, 6):
        user = rich_data.user_ids.values[row]
        (kept,) = store.read([user], 1000)
        scores = scorer.score(
            user=user,
            history=[one.item for one in kept],
            candidates=["i1", "i2", "i3"],
            behaviours={
                name: [one.features.get(name) for one in kept] for name in ("action", "dwell", "labels")
            },
            times=[one.time for one in kept],
            time=200_000,
        )
        own = np.arange(behaviours.offsets[row], behaviours.offsets[row + 1])
        since = next(f for f in rich_run.schema.features if f.name == "time_since")
        expected = scorer.score_rows(
            user=np.array([row]),
            history=np.asarray(behaviours.item[own]),
            lengths=np.array([len(own)]),
            candidates=rich_data.item_ids.encode_values(["i1", "i2", "i3"]),
            counts=np.array([3]),
            context=scorer.fields.encode_context({}, 1),
            behaviours={name: column[own] for name, column in behaviours.features.items()}
            | {"time_since": since.encode(200_000 - behaviours.time[own], {})},
            time=np.array([200_000]),
            times=np.asarray(behaviours.time[own]),
        )
        assert scores == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_loading_again_changes_nothing(rich_data: Dataset, most: int) -> None:
    with closing(open_store("memory:", most=most)) as store:
        first = load_store(rich_data, store, most=most)
        kept = store.read(users_of(rich_data), most)
        assert max(map(len, kept)) <= most
        again = load_store(rich_data, store, most=most)
        assert (again.added, again.duplicates) == (0, first.added)
        wider = load_store(rich_data, store, most=1000)
        assert wider.added == wider.trimmed
        assert store.read(users_of(rich_data), most) == kept


def test_behaviours_of_one_item_at_one_time_are_told_apart_whatever_is_read() -> None:
    times, items = [5, 5, 5, 5, 9], ["a", "b", "a", "a", "a"]
    whole = load._events(times, items)
    assert len(set(whole)) == 5
    assert Counter(map(len, whole)) == {8: 5}
    for first in range(5):
        assert load._events(times[first:], items[first:]) == whole[first:]


def test_a_dataset_that_has_grown_adds_its_new_day(
    small_log: Log, tmp_path: Path, store: BehaviourStore
) -> None:
    days = small_log.events.sort("time")
    cut = days["time"][1000]
    first = replace(small_log, events=days.filter(pl.col("time") <= cut))
    write(temporal(first, seed=0), tmp_path / "data")
    loaded = load_store(tmp_path / "data", store, most=1000)
    assert loaded.added == first.events.height
    with closing(open_store("memory:")) as whole:
        write(temporal(small_log, seed=0), tmp_path / "grown")
        load_store(tmp_path / "grown", whole, most=1000)
        more = load_store(tmp_path / "grown", store, most=1000)
        assert (more.added, more.duplicates) == (days.height - loaded.added, loaded.added)
        users = sorted(set(days["user"]))
        assert store.read(users, 1000) == whole.read(users, 1000)


def test_what_a_dataset_does_not_know_any_more_is_named(
    rich_log: Log, tmp_path: Path, store: BehaviourStore
) -> None:
    features = {
        "action": Categorical(side="behaviour", buckets=8),
        "dwell": Numeric(side="behaviour", edges=(5.0, 20.0)),
    }
    events = rich_log.events.select("user", "item", "time", "action", "dwell")
    write(temporal(replace(rich_log, events=events, features=features), warmup=1), tmp_path / "data")
    loaded = load_store(tmp_path / "data", store, most=1000)
    assert (loaded.left_out, loaded.intervals) == (("action",), ("dwell",))
    feature = next(f for f in Dataset.open(tmp_path / "data").schema.features if f.name == "dwell")
    users = sorted(set(events["user"]))
    for user, kept in zip(users, store.read(users, 1000), strict=True):
        own = events.filter(pl.col("user") == user).sort("time")["dwell"].to_list()
        found = [one.features.get("dwell") for one in kept]
        assert not any("action" in one.features for one in kept)
        assert feature.encode(found, {}).tolist() == feature.encode(own, {}).tolist()


def test_the_bytes_of_a_behaviour_are_those_of_the_records(
    small_data: Dataset, store: BehaviourStore
) -> None:
    loaded = load_store(small_data, store, most=1000)
    records: dict[str, bytes] = store._records  # type: ignore[attr-defined]
    assert loaded.bytes_each == round(sum(map(len, records.values())) / loaded.added, 2)


def test_a_store_that_fails_half_way_goes_on_when_loading_again(
    small_data: Dataset, store: BehaviourStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_AT_ONCE", 200)
    append_many, calls = store.append_many, iter([True, True, False])

    def failing(of_users: list[tuple[str, list[Behaviour]]]) -> Any:
        if not next(calls):
            raise StoreError("full")
        return append_many(of_users)

    with monkeypatch.context() as patch:
        patch.setattr(store, "append_many", failing)
        with pytest.raises(StoreError, match="full"):
            load_store(small_data, store, most=1000)
    loaded = load_store(small_data, store, most=1000)
    assert loaded.duplicates
    assert loaded.added + loaded.duplicates == loaded.behaviours


def test_rows_with_their_own_histories_are_refused(small_data: Dataset, store: BehaviourStore) -> None:
    recipe = structs.replace(small_data.info.recipe, history="row")
    own = replace(small_data, info=structs.replace(small_data.info, format=4, recipe=recipe))
    with pytest.raises(DataError, match=r"has a history of its own.*append them to the store from your log"):
        load_store(own, store, most=5)
    with pytest.raises(ValueError, match="most: 0, expected"):
        load_store(small_data, store, most=0)
