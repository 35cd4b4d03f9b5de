"""What every store of behaviours does, wherever it keeps them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.store.conftest import Opened

from dien.errors import StoreError
from dien.serving.store import Appended, Behaviour

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
IDS = st.one_of(st.integers(-(2**63), 2**64 - 1), st.integers(0, 9).map(str), st.integers(0, 9), TEXTS)
LEAVES = st.one_of(TEXTS, st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False))
FEATURES = st.dictionaries(
    st.sampled_from(["action", "dwell", "tags", "价格", ""]),
    st.one_of(st.none(), LEAVES, st.lists(st.one_of(LEAVES, st.none()), max_size=3)),
    max_size=3,
)
BEHAVIOURS = st.lists(
    st.builds(
        Behaviour,
        IDS,
        st.one_of(st.none(), st.integers(0, 9), st.integers(0, 4_102_444_799)),
        FEATURES,
        st.one_of(st.none(), st.integers(0, 20).map("event {}".format)),
    ),
    max_size=12,
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["u", "v", 1, "1", "", "用户", "x" * 600]), BEHAVIOURS), max_size=8
)


class Plain:
    """A store as one would write it to be read, not to be fast."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept: dict[str, list[tuple[int, Behaviour]]] = {}

    def append(self, user: str | int, behaviours: list[Behaviour]) -> Appended:
        kept = self.kept.setdefault(str(user), [])
        added = late = 0
        oldest = kept[0][0] if len(kept) == self.most else -1
        known_events = {one.event for _, one in kept} - {None}
        for one in behaviours:
            if one.event in known_events:
                continue
            known_events |= {one.event} - {None}
            added += 1
            if one.event is not None and one.time is not None and one.time <= oldest:
                late += 1
                continue
            last = kept[-1][0] if kept else 0
            known = {name: value for name, value in one.features.items() if value is not None}
            kept.append((last if one.time is None else one.time, as_given_back(one, known)))
            kept.sort(key=lambda entry: entry[0])  # stable
        trimmed = max(0, len(kept) - self.most)
        del kept[:trimmed]
        now = next((one.time for _, one in kept if one.time is not None), 0)
        for place, (_, one) in enumerate(kept):  # what preceded one without a time may be gone
            now = now if one.time is None else one.time
            kept[place] = (now, one)
        return Appended(added, len(behaviours) - added, trimmed + late)


def as_given_back(one: Behaviour, features: dict[str, Any]) -> Behaviour:
    return Behaviour(str(one.item), one.time, features, one.event)


@given(steps=STEPS, most=st.integers(1, 15), newest=st.integers(0, 16), many=st.booleans())
@settings(max_examples=60)
def test_a_store_gives_back_the_newest_of_what_was_appended_in_the_order_of_time(
    opened: Opened, steps: list[tuple[str | int, list[Behaviour]]], most: int, newest: int, many: bool
) -> None:
    store, plain = opened(most=most), Plain(most)
    if many:
        expected = sum((plain.append(*step) for step in steps), Appended())
        assert store.append_many(steps) == expected
    else:
        for step in steps:
            assert store.append(*step) == plain.append(*step)
    users = ["nobody", *plain.kept]
    for count in (newest, most):
        wanted = [[one for _, one in plain.kept.get(user, [])] for user in users]
        assert store.read(users, count) == [kept[max(0, len(kept) - count) :] for kept in wanted]
    times = [one.time for kept in store.read(users, most) for one in kept]
    assert len(times) == sum(map(len, plain.kept.values()))


@given(steps=STEPS, most=st.integers(1, 15))
@settings(max_examples=20)
def test_what_comes_again_with_the_ids_of_its_events_and_its_times_changes_nothing(
    opened: Opened, steps: list[tuple[str | int, list[Behaviour]]], most: int
) -> None:
    store, number = opened(most=most), 0
    numbered = []
    for user, behaviours in steps:
        some = []
        for one in behaviours:
            number += 1
            some.append(Behaviour(one.item, one.time or 0, one.features, f"n{number}"))
        numbered.append((user, some))
    store.append_many(numbered)
    users = [user for user, _ in steps]
    before = store.read(users, most)
    again = store.append_many(numbered)
    assert again.added == again.trimmed
    assert store.read(users, most) == before


def test_many_threads_that_append_at_once_lose_nothing(opened: Opened) -> None:
    store = opened(most=10_000)

    def work(thread: int) -> Appended:
        done = Appended()
        for step in range(25):
            mine = Behaviour(f"{thread}-{step}", step, {}, f"{thread}-{step}")
            both = Behaviour(f"both-{step}", step, {}, f"both-{step}")
            done += store.append("one", [mine, both])
            store.append(f"user {thread}", [mine])
            assert mine in store.read(["one"], 10_000)[0]
        return done

    with ThreadPoolExecutor(8) as pool:
        done = sum(pool.map(work, range(8)), Appended())
    kept = store.read(["one"], 10_000)[0]
    assert done == Appended(added=225, duplicates=175)
    assert len({one.event for one in kept}) == len(kept) == 225
    assert [one.time for one in kept] == sorted(one.time or 0 for one in kept)
    assert list(map(len, store.read([f"user {thread}" for thread in range(8)], 100))) == [25] * 8


@pytest.mark.parametrize("user", [3, "3", "3.0", np.int64(3), 3.0])
def test_the_spellings_of_an_id_are_one_user(opened: Opened, user: Any) -> None:
    store = opened(most=5)
    store.append("3", [Behaviour("a")])
    store.append(user, [Behaviour("b")])
    assert [one.item for one in store.read([user], 5)[0]] == ["a", "b"]
    assert store.read(["03", " 3", "\uff13"], 5) == [[], [], []]


def test_users_are_forgotten_one_by_one(opened: Opened) -> None:
    store = opened(most=5)
    store.append_many([("a", [Behaviour("x", 1, {}, "e")]), ("b", [Behaviour("x")])])
    assert store.forget("a")
    assert not store.forget("a")
    assert not store.forget("nobody")
    assert list(map(len, store.read(["a", "b"], 5))) == [0, 1]
    assert store.append("a", [Behaviour("x", 1, {}, "e")]) == Appended(added=1)


@pytest.mark.parametrize(
    ("user", "given", "says"),
    [
        (None, Behaviour("x"), "user: None, expected strings or integers"),
        (1.5, Behaviour("x"), "user: 1.5"),
        ("\ud800", Behaviour("x"), "user: .*half of a pair"),
        ("u", Behaviour(None), r"behaviours\[1\].item: None"),  # type: ignore[arg-type]
        ("u", Behaviour("\ud800"), r"behaviours\[1\].item: .*half of a pair"),
        ("u", Behaviour("x", 1_700_000_000_000), r"behaviours\[1\].time: 1700000000000.*divide milliseconds"),
        ("u", Behaviour("x", -1), r"behaviours\[1\].time: -1"),
        ("u", Behaviour("x", True), r"behaviours\[1\].time: True"),
        ("u", Behaviour("x", event=""), r"behaviours\[1\].event: ''"),
        ("u", Behaviour("x", event=7), r"behaviours\[1\].event: 7"),  # type: ignore[arg-type]
        ("u", Behaviour("x", event="\udfff"), r"behaviours\[1\].event: .*half of a pair"),
        ("u", Behaviour("x", features={"f": np.float64(1)}), r"behaviours\[1\].features.f: .*value.item\(\)"),
        ("u", Behaviour("x", features={"f": [[b"x"]]}), r"behaviours\[1\].features.f: .*bytes"),
        ("u", Behaviour("x", features={"f": 1 << 64}), r"behaviours\[1\].features.f: .*64 bits"),
        ("u", Behaviour("x", features={1: 2}), r"behaviours\[1\].features: the name 1"),  # type: ignore[dict-item]
    ],
)
def test_what_cannot_be_kept_is_refused_by_name_and_nothing_beside_it_is_kept(
    opened: Opened, user: Any, given: Behaviour, says: str
) -> None:
    store = opened(most=5)
    with pytest.raises(ValueError, match=says):
        store.append_many([("good", [Behaviour("x")]), (user, [Behaviour("y"), given])])
    assert store.read(["good", "u"], 5) == [[], []]


def test_bounds_that_are_none_are_refused(opened: Opened) -> None:
    store = opened(most=5)
    with pytest.raises(ValueError, match="most: -1, expected a whole number, 0 or more"):
        store.read(["u"], -1)
    with pytest.raises(ValueError, match="most: 0, expected a whole number, 1 or more"):
        opened(most=0)
    assert store.read([], 3) == []
    assert store.append("u", []) == store.append_many([]) == Appended()


def test_a_store_that_is_closed_says_so_and_closes_twice(opened: Opened) -> None:
    store = opened(most=5)
    store.append("u", [Behaviour("x")])
    store.close()
    store.close()
    for use in (
        lambda: store.append("u", [Behaviour("x")]),
        lambda: store.read(["u"], 5),
        lambda: store.forget("u"),
    ):
        with pytest.raises(StoreError, match="is closed"):
            use()
