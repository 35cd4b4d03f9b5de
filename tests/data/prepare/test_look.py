"""What is looked at before a dataset is believed: joins, users of many rows, splits without rows."""

import warnings
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dien.data.log import Log
from dien.data.prepare import impressions, paper
from dien.data.prepare.look import Histories
from dien.data.prepare.splits import ByLast, ByRatio, ByTime, ByUser
from dien.data.sources.table import prepare
from dien.errors import DataError
from tests.data.logs import make_log, random_log

ITEMS = [f"{k:04}" for k in range(1, 13)]
SCHEMA = {"features": {"item": {"kind": None}}}
START = 1_700_000_000


def frame(items: list[str], user: str = "u") -> pl.DataFrame:
    """240 clicks, one a minute, of six users who take turns."""
    rows = range(240)
    return pl.DataFrame(
        {
            "user": [f"{user}{k % 6}" for k in rows],
            "item": [items[k * 7 % len(items)] for k in rows],
            "time": [START + 60 * k for k in rows],
        }
    )


def warned(call: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught]


@pytest.mark.parametrize(
    ("ours", "cause"),
    [
        (lambda item: item.lstrip("0"), "leading zeros"),
        (lambda item: f"{item}.0", "ids that became floats"),
        (lambda item: f"{item} ", "blanks around ids"),
        (lambda item: f"{item.lstrip('0')} ", "blanks, capital letters, zeros in front"),
        (lambda item: f"product-{item}", None),
    ],
)
def test_a_table_without_a_row_for_any_id_is_refused_with_an_id_of_each_side_and_the_cause(
    ours: Callable[[str], str], cause: str | None, tmp_path: Path
) -> None:
    items = pl.DataFrame({"item": ITEMS, "kind": ["a", "b"] * 6})
    log = frame([ours(item) for item in ITEMS])
    with pytest.raises(DataError) as caught:
        prepare(log, tmp_path / "data", items=items, schema=SCHEMA)
    said = str(caught.value)
    assert said.startswith("data frame items.parquet: has a row for none of the 12 items of the log")
    theirs = [item for item in ITEMS if f"the table has {item!r}" in said]
    assert len(theirs) == 1
    if cause is None:
        assert "name the column with the same ids (items.item of the schema, " in said
    else:
        assert f"the log has {ours(theirs[0])!r}, the table has" in said  # the same item
        assert f"they differ by {cause}" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rows", "said"), [(12, None), (11, None), (10, "it has a row for 10 of the 12 items"), (1, "NEARLY ALL")]
)
def test_a_table_that_lacks_more_than_a_tenth_of_the_ids_is_warned_of(
    rows: int, said: str | None, tmp_path: Path
) -> None:
    items = pl.DataFrame({"item": ITEMS[:rows], "kind": ["a", "b", *["a"] * 10][:rows]})
    found = warned(lambda: prepare(frame(ITEMS), tmp_path / "data", items=items, schema=SCHEMA))
    assert [said is not None and said in one for one in found if "has a row for" in one] == [True] * bool(
        said
    )


def test_new_interactions_of_ids_that_a_dataset_has_not_are_warned_of_and_others_are_not(
    tmp_path: Path,
) -> None:
    prepare(frame(ITEMS), tmp_path / "data")
    later = pl.col("time") + 86_400
    again = frame(ITEMS).with_columns(later)
    strange = frame([f"{item}.0" for item in ITEMS]).with_columns(later + 86_400)
    assert not [w for w in warned(lambda: prepare(again, tmp_path / "data", append=True)) if "none of" in w]
    found = warned(lambda: prepare(strange, tmp_path / "data", append=True))
    of_ids = [one for one in found if "none of" in one]
    assert len(of_ids) == 1
    assert of_ids[0].startswith("none of the 12 items of the new interactions is in the dataset: they have ")


def crowd(name: str, own: int, others: int, each: int) -> Log:
    """A user with many rows beside others with few."""
    users = [name] * own + [f"u{k}" for k in range(others)] * each
    rows = [(user, f"i{k % 9}", START + 60 * k) for k, user in enumerate(users)]
    order = np.random.default_rng(0).permutation(len(rows))
    return make_log([(*rows[k][:2], START + 60 * place) for place, k in enumerate(order)])


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (crowd("u_all", 1_500, 50, 20), "user 'u_all' has 1,500 of 2,500 rows (60.0%): an id with so many"),
        (crowd("u_all", 900, 50, 20), None),  # a small log
        (crowd("u_all", 1_500, 2, 700), None),  # few users have much each
        (
            crowd("unknown", 40, 50, 20),
            "user 'unknown' has 40 of 1,040 rows (3.8%): it seems to stand for users",
        ),
        (crowd("unknown", 5, 50, 20), None),
        (crowd("0", 40, 50, 20), None),  # an id as the others
        (crowd("0", 400, 50, 20), "user '0' has 400 of 1,400 rows (28.6%): it seems to stand for users"),
    ],
)
def test_a_user_who_stands_for_many_is_warned_of(log: Log, said: str | None) -> None:
    found = [one for one in warned(lambda: impressions(log, ByTime())) if one.startswith("user ")]
    assert [said is not None and one.startswith(said) for one in found] == [True] * (said is not None)


def test_an_item_that_stands_for_what_is_not_known_is_warned_of() -> None:
    rows = [(f"u{k % 7}", "unknown" if k % 5 == 0 else f"i{k % 9}", START + k) for k in range(300)]
    found = warned(lambda: impressions(make_log(rows), ByTime()))
    assert [one for one in found if one.startswith("item 'unknown' has 60 of 300 rows (20.0%)")]


def november(day: int, minute: int = 0) -> datetime:
    return datetime(2023, 11, day, 0, minute, tzinfo=timezone.utc)


def test_a_split_by_time_that_is_empty_is_warned_of_with_the_reason_and_the_remedy() -> None:
    log = make_log([(f"u{k % 5}", f"i{k % 7}", START + 3_600 * k) for k in range(100)])
    valid, test = warned(lambda: impressions(log, ByTime(november(20), november(25))))
    ends = "is empty: the log ends on 2023-11-19 01:13:20 UTC, before"
    assert valid.startswith(f"valid {ends} --valid-from 2023-11-20 00:00:00 UTC; set an earlier --valid-from")
    assert test.startswith(f"test {ends} --test-from 2023-11-25 00:00:00 UTC; set an earlier --test-from")
    (valid,) = warned(lambda: impressions(log, ByTime(november(18, 15), november(18, 16))))
    assert valid.startswith(
        "valid is empty: no impression from 2023-11-18 00:15:00 UTC to 2023-11-18 00:16:00"
    )
    assert "set --valid-from and --test-from further apart" in valid


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda log: impressions(log, ByLast(), warmup=0), "no user has 3 moments or more"),
        (lambda log: impressions(log, ByRatio(), warmup=0), "no user has enough events"),
        (lambda log: impressions(log, ByUser(), warmup=0), "there are too few users"),
        (paper, "there are too few users"),
    ],
)
def test_a_split_by_user_that_is_empty_is_warned_of_with_the_reason(
    make: Callable[[Log], object], why: str
) -> None:
    log = make_log([(user, item, START + k) for k, (user, item) in enumerate(["ua", "ub", "va", "vb"])])
    found = warned(lambda: make(log))
    assert {one.partition(" is empty: ")[0] for one in found} >= {"valid"}
    assert all(f" is empty: {why}" in one for one in found)


def test_labels_that_are_all_alike_are_warned_of_split_by_split() -> None:
    rows = [(f"u{k % 5}", f"i{k % 7}", START + 60 * k, int(k < 75 or k % 2)) for k in range(100)]
    found = warned(lambda: impressions(make_log(rows, "label"), ByTime(0.75, 0.9)))
    assert [one.partition(";")[0] for one in found] == [
        "train: every label is 1: there is nothing to learn from"
    ]
    assert warned(lambda: impressions(random_log(20, 10, 400, labelled=True), ByTime())) == []


def test_histories_are_measured_over_the_impressions_of_a_split() -> None:
    prepared = impressions(random_log(20, 10, 400), ByTime(), warmup=0)
    for split in prepared.splits.values():
        lengths = split.end - prepared.behaviours.offsets[split.user]
        found = Histories.of(prepared.behaviours, split)
        assert (found.mean, found.longest) == (pytest.approx(lengths.mean()), lengths.max())
        assert found.empty == pytest.approx((lengths == 0).mean())
