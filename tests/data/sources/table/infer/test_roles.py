from pathlib import Path

import polars as pl
import pytest

from dien.data.sources.table.infer.head import HeadColumn, head_of
from dien.data.sources.table.infer.roles import find_role


def columns(tmp_path: Path, **values: list[object]) -> list[HeadColumn]:
    pl.DataFrame(values).write_parquet(tmp_path / "t.parquet")
    return head_of([tmp_path / "t.parquet"])


@pytest.mark.parametrize("name", ["category_id", "campaign_code", "goodsid"])
def test_an_id_is_never_taken_for_the_time(name: str, tmp_path: Path) -> None:
    moments = [1_600_000_000 + k for k in range(40)]
    assert find_role("time", columns(tmp_path, **{name: moments}), None).column is None


def test_moments_after_tomorrow_and_before_1990_are_no_times(tmp_path: Path) -> None:
    late = [2_076_143_556_756_208_123 + k for k in range(40)]
    old = [3_600 * k for k in range(40)]
    assert find_role("time", columns(tmp_path, a=late, b=old), None).column is None


def test_of_moments_without_a_name_the_finest_is_the_time_and_that_is_said(tmp_path: Path) -> None:
    days = ["2024-01-31"] * 20 + ["2024-02-01"] * 20
    found = find_role("time", columns(tmp_path, birth=days, x=[1_600_000_000 + k for k in range(40)]), None)
    assert found.column is not None
    assert found.column.name == "x"
    assert found.why.endswith("check it")


def test_milliseconds_beside_a_date_are_the_time(tmp_path: Path) -> None:
    found = find_role("time", columns(tmp_path, date=[20220422] * 9, time_ms=[1_650_593_405_007] * 9), None)
    assert found.column is not None
    assert found.column.name == "time_ms"


def test_a_word_in_the_name_of_a_column_of_few_values_is_no_user(tmp_path: Path) -> None:
    assert find_role("user", columns(tmp_path, user_age=[20, 30, 40] * 9), None).column is None
    assert find_role("user", columns(tmp_path, user_hash=["a", "b"] * 9), None).column is not None


def test_why_the_column_of_a_name_is_not_taken_is_said(tmp_path: Path) -> None:
    found = find_role("user", columns(tmp_path, user_id=[1.5, 2.5]), None)
    assert found.why == "user_id holds floats"
    late = find_role("time", columns(tmp_path, timestamp=["a", "b"]), None)
    assert late.why.startswith("timestamp found 'a'; expected")
