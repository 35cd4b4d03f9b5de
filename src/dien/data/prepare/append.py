"""Add a new day: interactions later than those of a dataset folder; no index changes."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.changing import Attributes, Changing
from dien.data.dataset import Dataset
from dien.data.features.columns import concatenated, continued
from dien.data.log import CONVERSION, WEIGHT, Log
from dien.data.prepare.catalogue import grown_names, numbered, with_new_rows
from dien.data.prepare.changes import Known, later_changes
from dien.data.prepare.features import Features
from dien.data.prepare.impressions import Earlier, impressions
from dien.data.prepare.prepared import Prepared
from dien.data.prepare.splits import SplitRule
from dien.data.ragged import ranges, to_offsets
from dien.data.tables import Behaviours, Split, SplitName, Unclicked
from dien.data.vocabulary import Ids
from dien.errors import DataError

_NOT_LATER = "interactions not later than the dataset"


def append(dataset: Dataset, log: Log, split: SplitRule, **options: Any) -> Prepared:
    """Add a log to a dataset.

    Users, items and vocabularies grow at their ends, so that an index means what it meant. Encoders of
    numbers, and the features of items and users that are known already, stay as they are. Histories reach
    back into the earlier behaviours. The earlier rows of all three splits become training rows; the new
    impressions are split by the rule. A model that was trained on the dataset before can go on with the rows
    it has not seen (``dien train --from``).

    Args:
        dataset: what was prepared before.
        log: what came after, with rows in place of raw ids (Int32), and the same features. Events that are
            not later than everything in the dataset are left out and counted: they are there already, or
            came too late. Where none is later, new items and users are added alone.
        split: which of the new impressions train, validate and test.
        options: of :func:`impressions`; what a behaviour is stays as it was (``history``).

    Raises:
        DataError: the log has other features, no new event, item or user, or behaviours alone; is labelled,
            or has weights or conversions, where the dataset has none or the other way round; or cannot be
            used.
    """
    dataset.check()
    if dataset.info.own_histories:
        raise DataError(
            f"{dataset.path}: each of its rows has a history of its own, to which no later log adds; prepare "
            "all the data again with --out"
        )
    _expect_times_alike(dataset, log)
    labelled = "label" in log.events.columns
    if log.events.height and labelled == dataset.negatives_sampled:
        raise DataError(
            f"{dataset.path}: was prepared {'without' if labelled else 'with'} labels, the new log comes "
            f"{'with' if labelled else 'without'}; prepare both alike"
        )
    has = {WEIGHT: dataset.info.weighted, CONVERSION: dataset.schema.conversion}
    for column, there in has.items():
        if log.events.height and there != (column in log.events.columns):
            was, comes = ("with", "without") if there else ("without", "with")
            raise DataError(
                f"{dataset.path}: was prepared {was} {column[1:]}s, the new log comes {comes}; prepare both "
                f"alike (interactions{column} of the schema)"
            )
    newest = newest_event(dataset)
    later = log.events.filter(pl.col("time") > newest)
    left_out = log.events.height - later.height
    behaviours = None
    if log.behaviours is not None:
        behaviours = log.behaviours.filter(pl.col("time") > newest)
        left_out += log.behaviours.height - behaviours.height
    excluded = {**log.excluded, **({_NOT_LATER: left_out} if left_out else {})}
    if later.is_empty():
        of_new_rows = with_new_rows(dataset, replace(log, excluded=excluded), newest)
        if of_new_rows is not None and (behaviours is None or behaviours.is_empty()):
            return of_new_rows
        if not left_out and behaviours is not None and behaviours.height:
            raise DataError(
                f"{dataset.path}: {behaviours.height:,} behaviours come without any interaction; add them "
                "together with the interactions that came after them"
            )
        nothing = "no item and no user is new"
        if left_out:
            nothing = (
                f"none of {left_out:,} interactions is later than what it holds already (second {newest})"
            )
        raise DataError(f"{dataset.path}: {nothing}; was this log added before?")
    item_rows, items = numbered(dataset.item_ids, log.items, "item")
    user_rows, users = numbered(dataset.user_ids, log.users, "user")
    _warn_if_strange(dataset.item_ids, log.items["item"], item_rows, later["item"])
    _warn_if_strange(dataset.user_ids, log.users["user"], user_rows, later["user"])
    changes, left = later_changes(
        log.changes,
        {"item": item_rows, "user": user_rows},
        {"item": len(dataset.item_ids), "user": len(dataset.user_ids)},
        newest,
    )
    excluded |= left
    log = replace(
        log,
        events=_renumbered(later, item_rows, user_rows),
        behaviours=None if behaviours is None else _renumbered(behaviours, item_rows, user_rows),
        items=items,
        users=users,
        changes=changes,
        excluded=excluded,
    )
    earlier = Earlier(
        features=Features(dataset.schema, tuple(dataset.info.dropped_features), dataset.vocabularies),
        behaviours=_extended(np.diff(dataset.behaviours.offsets), users.height + 1),
        popularity=_extended(dataset.popularity, items.height + 1),
        changing=_known_changes(dataset),
    )
    new = impressions(log, split, earlier=earlier, history=dataset.info.recipe.history, **options)
    return _joined(dataset, new, newest, log)


def _warn_if_strange(known: Ids, ids: pl.Series, rows: NDArray[np.int32], of_events: pl.Series) -> None:
    """Warn where no event has a user, or an item, that the dataset knows: the ids may be written otherwise.

    Args:
        known: ids of the dataset.
        ids: ``[n]`` of the log's table, by the name ``user`` or ``item``.
        rows: ``[n]`` their rows in the dataset; new ones come after those known.
        of_events: the row, from 1, in the log's table of each event.
    """
    seen = np.unique(of_events.to_numpy()) - 1
    if len(known) > 1 and (rows[seen] >= len(known)).all():
        warnings.warn(
            f"none of the {len(seen):,} {ids.name}s of the new interactions is in the dataset: they have "
            f"{ids[int(seen[0])]!r}, the dataset {known.values[1]!r}; if they are the same {ids.name}s, "
            "write their ids alike and prepare all the data again",
            stacklevel=3,
        )


def _expect_times_alike(dataset: Dataset, log: Log) -> None:
    """Refuse to go on with an order of rows, and with features that are told by another clock.

    Warn where times are written in another way: a dataset folder keeps one, for requests.
    """
    for times in (dataset.info.times, log.times):
        if log.events.height and times is not None and times.ordered:
            raise DataError(
                f"{dataset.path}: the log has an order and no time (interactions.time: {{order: file}}), so "
                "that what comes later cannot be told; prepare all of it again with --out"
            )
    before, after = dataset.info.times, log.times
    if before is not None and after is not None and before.key != after.key and log.events.height:
        warnings.warn(
            f"the new interactions write times as {after.text}; before, they were {before.text}; from "
            "here on requests are read as the new ones are",
            stacklevel=3,
        )
    now = log.from_time(dataset.info.from_time)
    for name, was in dataset.info.from_time.items():
        if log.events.height and now.get(name) != was:
            raise DataError(
                f"{dataset.path}: its feature {name} is the {was.what} in {was.zone}, and in the new schema "
                "it is not; prepare both alike (features.context)"
            )


def _renumbered(
    events: pl.DataFrame, item_rows: NDArray[np.int32], user_rows: NDArray[np.int32]
) -> pl.DataFrame:
    """Give the items and users of events the rows that they have among those known already."""
    return events.with_columns(
        pl.Series("item", item_rows[events["item"].to_numpy() - 1]),
        pl.Series("user", user_rows[events["user"].to_numpy() - 1]),
    )


def _extended(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Add a count of 0 for each new row."""
    return np.concatenate([counts, np.zeros(size - len(counts), np.int64)])


def newest_event(dataset: Dataset) -> int:
    """Find the newest second of anything in a dataset."""
    times = [second for span in dataset.info.time.values() if span for second in span]
    behaviours = dataset.behaviours.time
    return max([*times, int(behaviours.max()) if len(behaviours) else 0])


def _joined(dataset: Dataset, new: Prepared, newest: int, log: Log) -> Prepared:
    """Put the earlier behaviours and rows before the new ones."""
    old = dataset.behaviours
    n_users = len(new.user_ids)
    counts = _extended(np.diff(old.offsets), n_users)
    new_counts = np.diff(new.behaviours.offsets)
    offsets = to_offsets(counts + new_counts)
    # [U] by how much the behaviours of each user move
    shift = offsets[:-1] - np.concatenate(
        [old.offsets[:-1], np.full(n_users + 1 - len(old.offsets), old.offsets[-1])]
    )
    old_place = ranges(offsets[:-1], counts)
    new_place = ranges(offsets[:-1] + counts, new_counts)
    new_shift = offsets[:-1] + counts - new.behaviours.offsets[:-1]

    def interleaved(first: Any, second: Any) -> Any:
        return _interleaved(old_place, first, new_place, second)

    behaviours = Behaviours(
        item=interleaved(old.item, new.behaviours.item),
        time=interleaved(old.time, new.behaviours.time),
        offsets=offsets,
        features={name: interleaved(c, new.behaviours.features[name]) for name, c in old.features.items()},
        unclicked=_unclicked(old, new.behaviours, interleaved),
    )

    def moved(split: Split, by: NDArray[np.int64]) -> Split:
        return replace(split, end=split.end + by[split.user])

    splits: dict[SplitName, Split] = {name: moved(split, new_shift) for name, split in new.splits.items()}
    earlier = [moved(split, shift) for split in dataset.splits.values()]
    splits["train"] = _sorted([*earlier, splits["train"]])
    n_items = len(dataset.popularity)
    return replace(
        new,
        items=_known_rows_as_before(dataset.items, new.items, n_items),
        users=_known_rows_as_before(dataset.users, new.users, len(old.offsets) - 1),
        behaviours=behaviours,
        splits=splits,
        recipe=msgspec.structs.replace(new.recipe, appended_after=newest),
        sources=(*dataset.info.sources, *new.sources),
        form=new.form or dataset.info.log,
        names=grown_names(dataset, new.item_ids, log),
    )


def _interleaved(
    first_place: NDArray[np.int64], first: Any, second_place: NDArray[np.int64], second: Any
) -> Any:
    """Join two columns, each entry at its place; the places of both together are all there are."""
    order = np.empty(len(first_place) + len(second_place), np.int64)
    order[first_place] = np.arange(len(first_place))
    order[second_place] = len(first_place) + np.arange(len(second_place))
    return concatenated([first, second])[order]


def _known_rows_as_before(old: Attributes, new: Attributes, rows: int) -> Attributes:
    """Keep the features of the rows that were there before; take those of new rows, and later changes."""
    joined: Attributes = {}
    for name, column in new.items():
        before = old[name]
        if isinstance(before, Changing) and isinstance(column, Changing):
            joined[name] = continued(before, column)
        elif not isinstance(before, Changing) and not isinstance(column, Changing):
            joined[name] = concatenated([before, column[np.arange(rows, len(column))]])
    return joined


def _known_changes(dataset: Dataset) -> Known:
    """List the changing features of a dataset, with the values that are known."""
    kinds = {feature.name: feature.stored for feature in dataset.schema.features}
    tables = {**dataset.items, **dataset.users}
    changing = {name: column for name, column in tables.items() if isinstance(column, Changing)}
    return {name: (column, kinds[name].known(column.values)) for name, column in changing.items()}


def _unclicked(old: Behaviours, new: Behaviours, interleaved: Any) -> Unclicked | None:
    if old.unclicked is None or new.unclicked is None:
        return None
    before = len(old.unclicked.item)
    return Unclicked(
        start=interleaved(old.unclicked.start, new.unclicked.start + before),
        end=interleaved(old.unclicked.end, new.unclicked.end + before),
        item=np.concatenate([old.unclicked.item, new.unclicked.item]),
    )


def _sorted(splits: list[Split]) -> Split:
    """Join splits and sort their impressions by user, then end, then time."""
    user, end, time = (
        np.concatenate([getattr(split, name) for split in splits]) for name in ("user", "end", "time")
    )
    lengths = np.concatenate([np.diff(split.offsets) for split in splits])
    order = np.lexsort((time, end, user))
    candidates = ranges(to_offsets(lengths)[:-1][order], lengths[order])
    return Split(
        user=user[order],
        end=end[order],
        time=time[order],
        context={
            name: concatenated([split.context[name] for split in splits])[order] for name in splits[0].context
        },
        offsets=to_offsets(lengths[order]),
        item=np.concatenate([split.item for split in splits])[candidates],
        label=np.concatenate([split.label for split in splits])[candidates],
        weight=_of_rows([split.weight for split in splits], candidates),
        conversion=_of_rows([split.conversion for split in splits], candidates),
    )


def _of_rows(columns: list[Any], candidates: NDArray[np.int64]) -> Any:
    """Join what rows have beside their label, None where they have not, and put it in order."""
    return None if columns[0] is None else np.concatenate(columns)[candidates]
