"""What is known of items and users from the interactions: the latest value, or each from its time on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import polars as pl

from dien.data.features import Definition, Side
from dien.data.sources.table.changes import from_the_start, ordered
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
        features: by name; those that change over time are passed over.
        rows: of all items or users.
        counts: the items or users whose value changes are counted there, by feature.

    Returns:
        A column ``[rows]`` for each feature; null where no interaction knows the value. Where more than a
        tenth of the items or users change theirs, there is a warning.
    """
    found = pl.DataFrame({side: pl.int_range(1, rows + 1, dtype=pl.Int32, eager=True)})
    for name, feature in features.items():
        if feature.changes:
            continue
        known = _known(events, of_histories, side, name, feature)
        value = pl.col(name)
        if isinstance(known.schema[name], pl.List):
            value = value.cast(pl.List(pl.String)).list.join("\0")
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
                "interactions, and the latest value is taken, for what happened before it, too: say changes: "
                "true for the value at the time, make it a feature of the context (known when the item is "
                "shown) or of the behaviour (known only afterwards), or leave it out",
                stacklevel=2,
            )
        latest = each.select(side, pl.col(name).cast(feature.dtype))
        found = found.join(latest, on=side, how="left", maintain_order="left")
    return found.drop(side)


def changes_of_each(
    events: pl.DataFrame,
    of_histories: pl.DataFrame,
    side: Side,
    features: Mapping[str, Definition],
    counts: Counts,
) -> dict[str, pl.DataFrame]:
    """Take every known value of each item or user, for the features that change over time.

    A value holds from the time of its row on, and the first one before it, too. Where all rows are clicks it
    holds from the next second on: a click would else know more of its item than its negatives of theirs.

    Args:
        events: as of :func:`latest_of_each`, like the others.
        of_histories: likewise.
        side: likewise.
        features: by name; those that do not change are passed over.
        counts: the items or users whose value changes are counted there, by feature.

    Returns:
        By feature its values, as :class:`~dien.data.log.Log` has them.
    """
    found = {}
    for name, feature in features.items():
        if feature.changes:
            known = _known(events, of_histories, side, name, feature)
            if "label" not in events.columns:
                known = known.with_columns(pl.col("time") + 1)
            found[name] = from_the_start(side, ordered(side, name, [known], feature, counts))
    return found


def _known(
    events: pl.DataFrame, of_histories: pl.DataFrame, side: Side, name: str, feature: Definition
) -> pl.DataFrame:
    """List the rows that know a value of a feature, those of histories first."""
    known = events.select(side, "time", name).filter(pl.col(name).is_not_null())
    if name in of_histories.columns:
        earlier = of_histories.select(side, "time", name).filter(pl.col(name).is_not_null())
        plain = pl.col(name).cast(feature.dtype)
        known = pl.concat([earlier.with_columns(plain), known.with_columns(plain)])
    return known


def no_changes(side: Side, features: Mapping[str, Definition]) -> dict[str, pl.DataFrame]:
    """Give the same where there are no interactions."""
    changing = {name: one.dtype for name, one in features.items() if one.changes}
    return {
        name: pl.DataFrame(schema={str(side): pl.Int32(), "time": pl.Int64(), name: dtype})
        for name, dtype in changing.items()
    }
