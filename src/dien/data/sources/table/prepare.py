"""From tables to a dataset folder in one call: what ``dien prepare table`` does, for Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, get_args, runtime_checkable

import polars as pl

from dien.data.dataset import Dataset
from dien.data.prepare.append import append as append_to
from dien.data.prepare.impressions import impressions
from dien.data.prepare.splits import ByColumn, SplitRule, usual
from dien.data.rule_names import RuleName
from dien.data.sources.table.reading import read
from dien.data.sources.table.spec import TableSpec
from dien.data.tables import SPLITS, SplitName
from dien.data.writer import dataset_place, write_at
from dien.errors import DataError

OPTIONS = {"warmup", "negatives", "negatives_by", "max_train_rows", "history"}


@runtime_checkable
class Frame(Protocol):
    """A data frame of pandas, which writes itself."""

    def to_parquet(self, path: Any, *, index: bool) -> None: ...  # noqa: D102


Table = pl.DataFrame | Frame | Path | str | Sequence[Path | str]
"""A data frame of Polars or pandas, or files, folders and globs."""


def prepare(
    interactions: Table | Mapping[SplitName, Table] | None,
    out: Path | str,
    *,
    items: Table | None = None,
    users: Table | None = None,
    behaviours: Table | None = None,
    schema: TableSpec | Mapping[str, Any] | Path | str | None = None,
    split: SplitRule | RuleName | None = None,
    append: bool = False,
    skip_bad: int = 0,
    seed: int = 0,
    **options: Any,
) -> Dataset:
    """Prepare tables: Parquet, CSV, JSON lines or data frames, with or without labels (docs/data.md).

    Args:
        interactions: who, with what, when, and whether it was clicked: a data frame, or files; where the
            log is split already, those of train, valid and test by their names; None with ``append``, to add
            the new rows of items and users alone.
        out: the dataset folder to make, or to add to.
        items: what is known of items, likewise.
        users: what is known of users, likewise.
        behaviours: what histories are made of, where it is not in the interactions, likewise.
        schema: which column is what, and the features: the keys of the YAML schema as a mapping, or that
            file; None where the columns are user, item and time, and there is no label and no feature.
        split: which impressions train, validate and test: a rule, or its name for the usual one; None for
            ``time``, or for what the interactions say by their names.
        append: whether ``out`` is there and gets the interactions added, which must be newer.
        skip_bad: how many rows that lack a user, an item, a time or a label may be left out and counted.
        seed: what is drawn follows from it: sampled negatives, and users by ``user``.
        options: others of :func:`~dien.data.prepare.impressions`: ``warmup``, ``negatives``, ``history``.

    Returns:
        The dataset.

    Raises:
        DataError: a table, the schema or an option cannot be used, ``out`` is there already, or cannot be
            written; nothing is left of it then.
        TypeError: an argument is of another type, or does not go with the others.
    """
    known = OPTIONS - {"history"} if append else OPTIONS  # histories go on as they began
    if unknown := sorted(options.keys() - known):
        raise TypeError(f"prepare: no option {unknown[0]}; expected some of {', '.join(sorted(known))}")
    if interactions is None and not append:
        raise TypeError("prepare: interactions is None; expected a data frame of Polars or pandas, or files")
    if interactions is None and (behaviours is not None or (items is None and users is None)):
        given_alone = (
            "behaviours are given" if behaviours is not None else "neither items nor users are given"
        )
        raise TypeError(
            f"prepare: interactions is None, and {given_alone}; give the interactions, or items or users "
            "alone, whose new rows append=True adds"
        )
    log_of_all = None if isinstance(interactions, Mapping) else interactions
    given = {"interactions": log_of_all, "items": items, "users": users, "behaviours": behaviours}
    if isinstance(interactions, Mapping):
        if split not in (None, "column", ByColumn()):
            raise TypeError(
                f"prepare: split is {split!r}, and the interactions say it by name; give one of them"
            )
        split = "column"
        if "train" not in interactions or not set(interactions) <= set(SPLITS):
            raise TypeError(
                f"prepare: interactions of {', '.join(map(repr, interactions)) or 'nothing'}; expected "
                "train, and maybe valid and test"
            )
    out, spec, rule = Path(out), _spec(schema), _rule(split or "time", seed)
    if behaviours is not None:
        if "history" in options:
            raise TypeError("prepare: history and behaviours both say what histories hold; give one of them")
        options |= {} if append else {"history": "behaviours"}
    if spec.interactions.history is not None and not append:
        if "history" in options:
            raise TypeError(
                "prepare: history and interactions.history of the schema both say what histories hold; give "
                "one of them"
            )
        options |= {"history": "row"}
    with dataset_place(out, overwrite=append) as place:
        earlier, scratch = Dataset.open(out) if append else None, place.scratch
        tables = {
            name: None if table is None else _files(name, table, scratch) for name, table in given.items()
        }
        by_split = interactions if isinstance(interactions, Mapping) else {}
        try:
            log = read(
                {name: _files(name, table, scratch) for name, table in by_split.items()}
                or tables["interactions"],
                tables["items"],
                tables["users"],
                spec,
                behaviours=tables["behaviours"],
                skip_bad=skip_bad,
            )
            options = {"seed": seed, **options}
            if earlier is None:
                prepared = impressions(log, rule, scratch=scratch, **options)
            else:
                prepared = append_to(earlier, log, rule, scratch=scratch, **options)
        except DataError as error:  # the file of a data frame is nowhere when it is read
            raise DataError(str(error).replace(f"{scratch}/", "data frame ")) from error
        write_at(prepared, place)
        return Dataset.open(out)


def _spec(schema: TableSpec | Mapping[str, Any] | Path | str | None) -> TableSpec:
    if isinstance(schema, TableSpec):
        return schema
    if isinstance(schema, str | PathLike):
        return TableSpec.load(Path(schema))
    return TableSpec.of(schema, "schema")


def _rule(split: SplitRule | RuleName, seed: int) -> SplitRule:
    if isinstance(split, SplitRule):
        return split
    if split not in get_args(RuleName):
        raise DataError(f"split is {split!r}; expected a rule, or one of {', '.join(get_args(RuleName))}")
    return usual(split, seed)


def _files(name: str, table: Table, scratch: Path) -> list[Path]:
    """Give the files of a table; a data frame is written to one."""
    if isinstance(table, str | PathLike):
        return [Path(table)]
    file = scratch / f"{name}.parquet"
    if isinstance(table, pl.DataFrame):
        table.write_parquet(file)
    elif isinstance(table, Frame):
        table.to_parquet(file, index=False)
    elif isinstance(table, Sequence) and all(isinstance(path, str | PathLike) for path in table):
        return [Path(path) for path in table]
    else:
        raise TypeError(
            f"prepare: {name} is a {type(table).__name__}; expected a data frame of Polars or pandas, or "
            "files"
        )
    return [file]
