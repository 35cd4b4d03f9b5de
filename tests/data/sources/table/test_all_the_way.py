"""Whatever the tables hold: an error that says why, or a dataset that is consistent and has no leak."""

import tempfile
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.dataset import Dataset
from dien.data.inspection import inspect_data
from dien.data.prepare import impressions
from dien.data.prepare.splits import ByColumn, ByLast, ByTime, ByUser
from dien.data.sources import table
from dien.data.writer import write
from dien.errors import DataError

START = 1_700_000_000
rows = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.sampled_from("uvwx"),
            "item": st.sampled_from("abcdef"),
            "time": st.integers(START, START + 15),
            "label": st.sampled_from([0, 1]),
            "page": st.integers(0, 2),
            "part": st.sampled_from(["train", "valid", "test", "other"]),
            "dwell": st.none() | st.floats(0, 100),
            "tags": st.lists(st.sampled_from("pqr"), max_size=2),
            "device": st.none() | st.sampled_from(["phone", "desk"]),
        }
    ),
    max_size=40,
)
rules = st.sampled_from(
    [ByTime(0.5, 0.75), ByTime(0.4, 0.8, gap=2), ByLast(), ByUser(0, 0.3, 0.3), ByColumn()]
)


@settings(max_examples=60)
@given(
    rows, rules, st.integers(0, 2), st.booleans(), st.booleans(), st.sampled_from(["popularity", "uniform"])
)
def test_tables_end_in_an_error_that_says_why_or_in_consistent_data(
    rows: list[dict], rule: object, warmup: int, labelled: bool, paged: bool, by: str
) -> None:
    named = (
        {"split": "part"}
        | ({"label": "label"} if labelled else {})
        | ({"impression": "page"} if paged else {})
    )
    features = {
        "behaviour": {"dwell": {"kind": "numeric", "quantiles": 3}, "time_since": None},
        "context": {"device": None, "tags": {"kind": "multi"}},
    }
    spec = table.TableSpec.of({"interactions": named, "features": features}, "spec")
    schema = {"user": pl.String, "item": pl.String, "time": pl.Int64, "label": pl.Int8, "page": pl.Int64}
    schema |= {"part": pl.String, "dwell": pl.Float64, "tags": pl.List(pl.String), "device": pl.String}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pl.DataFrame(rows, schema=schema).write_parquet(folder / "log.parquet")
        try:
            log = table.read([folder / "log.parquet"], None, None, spec)
            made = impressions(log, rule, warmup=warmup, negatives=1, negatives_by=by)  # type: ignore[arg-type]
        except DataError as error:
            assert "; " in str(error) or ": " in str(error)  # noqa: PT017
            return
        write(made, folder / "data")
        inspection = inspect_data(Dataset.open(folder / "data"))
        assert not inspection.leaks
