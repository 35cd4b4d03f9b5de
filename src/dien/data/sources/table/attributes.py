"""What is known of items and users from the interactions themselves: the latest known value of each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import polars as pl

from dien.data.features import Definition, Side
from dien.data.sources.table.counts import Counts

_CHANGES = ".changes"  # a column; no feature's name begins with a dot
_OFTEN = 0.1  # of the items or users: so many that change make the latest value doubtful


def latest_of_each(
    events: pl.DataFrame,
    of_histories: pl.DataFrame,
    side: Side,
    features: Mapping[str, Definition],
    rows: int,
    counts: Counts,
) -> pl.DataFrame:
    """Take the latest known value of each item or user; of one second, that of the last row.

    Args:
        events: the interactions ``[E]``: the row of each item or user, from 1, the time, and the columns of
            the features, null where a row does not know the value.
        of_histories: what stood in histories of the rows, likewise, and before them; without these columns
            where there is nothing.
        side: whether items or users are meant.
        features: by name.
        rows: of all items or users.
        counts: the items or users whose value changes are counted there, by feature.

    Returns:
        A column ``[rows]`` for each feature; null where no interaction knows the value. Where more than a
        tenth of the items or users change theirs, there is a warning.
    """
    found = pl.DataFrame({side: pl.int_range(1, rows + 1, dtype=pl.Int32, eager=True)})
    for name, feature in features.items():
        known = events.select(side, "time", name).filter(pl.col(name).is_not_null())
        if name in of_histories.columns:
            earlier = of_histories.select(side, "time", name).filter(pl.col(name).is_not_null())
            plain = pl.col(name).cast(feature.dtype)
            known = pl.concat([earlier.with_columns(plain), known.with_columns(plain)])
        value = pl.col(name).list.join("\0") if isinstance(known.schema[name], pl.List) else pl.col(name)
        each = (
            known.sort("time", maintain_order=True)
            .group_by(side)
            .agg(pl.col(name).last(), (value.n_unique() > 1).alias(_CHANGES))
        )
        changes = int(each[_CHANGES].sum())
        counts.add(f"{side}s whose {name} changes (kept, the latest value)", changes)
        if changes > _OFTEN * each.height:
            warnings.warn(
                f"features.{side}.{name}: {changes:,} of {each.height:,} {side}s change it in the "
                "interactions, and the latest value is taken, for what happened before it, too; make it a "
                "feature of the context (known when the item is shown) or of the behaviour (known only "
                "afterwards), or leave it out",
                stacklevel=2,
            )
        latest = each.select(side, pl.col(name).cast(feature.dtype))
        found = found.join(latest, on=side, how="left", maintain_order="left")
    return found.drop(side)
