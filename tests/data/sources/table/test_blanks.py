"""Ids with blanks around them are ids of their own, and that is said."""

import warnings
from pathlib import Path

import polars as pl
import pytest

from dien.data.sources.table import TableSpec, read

COUNT = "users whose id has blanks around it (kept, the blanks are of the id)"


def test_ids_that_differ_by_blanks_alone_are_kept_counted_and_warned_of(tmp_path: Path) -> None:
    log = pl.DataFrame({"user": ["a", "a ", " b", "c"], "item": [1, 2, 3, 4], "time": [1_700_000_000] * 4})
    log.write_csv(tmp_path / "log.csv")
    with pytest.warns(
        UserWarning, match="column 'user': 'a ' and 'a' are two users, and 1 users differ so by"
    ):
        made = read([tmp_path / "log.csv"], None, None, TableSpec())
    assert made.users["user"].to_list() == ["a", "a ", " b", "c"]
    assert made.excluded == {COUNT: 2}
    log[2:].write_csv(tmp_path / "log.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read([tmp_path / "log.csv"], None, None, TableSpec()).excluded == {COUNT: 1}
