"""A dataset folder, memory-mapped: opening it takes the same time whatever its size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.data import item_names
from dien.data.changing import Attributes, Changing
from dien.data.dataset_info import FILE_NAME, DatasetInfo, SplitSizes, expect_timed, first_and_last
from dien.data.features import TIME_SINCE, Feature, Schema, Side
from dien.data.features.columns import files_of
from dien.data.features.definition import MapFile
from dien.data.item_names import ItemNames
from dien.data.ragged import Column
from dien.data.tables import (
    SPLITS,
    Behaviours,
    FeatureTable,
    Split,
    SplitName,
    Tables,
    Unclicked,
)
from dien.data.validity import wrong_values
from dien.data.vocabulary import Ids, Vocabulary
from dien.errors import DataError
from dien.folders import Folder, release
from dien.places import put_back

AGAIN = "prepare the data again (dien prepare)"
"""What to do about a dataset folder that is damaged."""

_OPENED_AT_MOST = 3


@dataclass(frozen=True, eq=False)
class Dataset(Tables):
    """A prepared dataset on disk; :meth:`open` makes one.

    Attributes:
        path: the dataset folder.
        identity: of the folder when it was opened: another one may take its place.
        info: the content of ``dataset.json``: sizes, recipe, how negatives were made, sources.
    """

    path: Path
    identity: tuple[int, int]
    info: DatasetInfo

    def __new__(cls, *positional: Any, **fields: Any) -> Dataset:
        """Refuse a path alone: the fields are not read by the constructor."""
        if positional and isinstance(positional[0], str | PathLike):
            raise TypeError(
                f"Dataset takes no path; Dataset.open({str(positional[0])!r}) opens a dataset folder"
            )
        return super().__new__(cls)

    def __repr__(self) -> str:
        sizes = self.info.sizes
        rows = ", ".join(f"{name} {size.rows:,}" for name, size in sizes.splits.items())
        return (
            f"Dataset({str(self.path)!r}: {sizes.users:,} users, {sizes.items:,} items, "
            f"{sizes.behaviours:,} behaviours, {len(self.schema.features)} features; rows: {rows})"
        )

    @classmethod
    def open(cls, path: Path | str) -> Dataset:
        """Open a dataset folder.

        Of each file only the header, the size and the ends are checked; :meth:`check` reads everything. A
        folder that is replaced meanwhile, as by an append, is opened once more.

        Raises:
            DataError: there is no dataset folder, or a file is missing, does not fit the others, is no plain
                file or lies outside the folder.
            TypeError: ``path`` is none.
        """
        if not isinstance(path, str | PathLike):
            raise TypeError(
                f"Dataset.open: found a {type(path).__name__}; expected the path of a dataset folder, which "
                "dien.prepare makes of files or data frames"
            )
        folder = Folder(Path(path), DataError, AGAIN)
        put_back(folder.path, DataError)
        for _ in range(_OPENED_AT_MOST):
            before = folder.identity
            try:
                dataset = cls._open(folder)
            except DataError:
                if folder.identity == before:
                    raise
            else:
                if folder.identity == before:
                    return dataset
        raise DataError(f"{path}: is replaced again and again while it is opened; try again later")

    @classmethod
    def _open(cls, folder: Folder) -> Dataset:
        info = DatasetInfo.load(folder)
        try:
            schema = Schema.from_json(info.schema)
        except ValueError as error:
            raise folder.refusal(FILE_NAME, f"schema: not as prepare writes it: {error}") from error
        try:
            expect_timed(info.from_time, schema)
        except ValueError as error:
            raise folder.refusal(FILE_NAME, f"not as prepare writes it: {error}") from error
        n_items, n_users = info.sizes.items + 1, info.sizes.users + 1
        n_behaviours = info.sizes.behaviours

        def table(name: str, side: Side, length: int) -> FeatureTable:
            return feature_table(folder, name, schema.of(side), length)

        behaviours = Behaviours(
            item=folder.array("behaviours/item.npy", np.int32, n_behaviours),
            time=folder.array("behaviours/time.npy", np.int64, n_behaviours),
            offsets=_offsets(folder, "behaviours/offsets.npy", n_users, n_behaviours),
            features=table("behaviours/features", "behaviour", n_behaviours),
            unclicked=_unclicked(folder, n_behaviours) if info.auxiliary_negatives == "unclicked" else None,
        )

        def split(name: SplitName) -> Split:
            impressions, rows = info.sizes.splits[name].impressions, info.sizes.splits[name].rows
            return Split(
                user=folder.array(f"{name}/user.npy", np.int32, impressions),
                end=folder.array(f"{name}/end.npy", np.int64, impressions),
                time=folder.array(f"{name}/time.npy", np.int64, impressions),
                context=table(f"{name}/context", "context", impressions),
                offsets=_offsets(folder, f"{name}/offsets.npy", impressions, rows),
                item=folder.array(f"{name}/item.npy", np.int32, rows),
                label=folder.array(f"{name}/label.npy", np.int8, rows),
                start=folder.array(f"{name}/start.npy", np.int64, impressions)
                if info.own_histories
                else None,
                weight=folder.array(f"{name}/weight.npy", np.float32, rows) if info.weighted else None,
                conversion=folder.array(f"{name}/conversion.npy", np.int8, rows)
                if schema.conversion
                else None,
            )

        dataset = cls(
            path=folder.path,
            identity=folder.identity,
            info=info,
            schema=schema,
            items=attributes(folder, "items", schema.of("item"), n_items),
            popularity=folder.array("items/popularity.npy", np.int64, n_items),
            users=attributes(folder, "users", schema.of("user"), n_users),
            behaviours=behaviours,
            splits={name: split(name) for name in SPLITS},
        )
        vocabularies = (_vocabulary_file(name) for name in schema.vocabularies)
        named = [item_names.FILE] if info.item_names else []
        for file in ("items/ids.parquet", "users/ids.parquet", *named, *vocabularies):
            folder.expect_file(file)
        object.__setattr__(dataset, "_as_opened", True)  # `replace` leaves it out
        return dataset

    def __reduce__(self) -> Any:
        """Pickle a folder as its path, to be opened again: columns stay on disk."""
        if getattr(self, "_as_opened", False):
            return Dataset.open, (self.path.absolute(),)
        return super().__reduce__()

    @property
    def negatives_sampled(self) -> bool:
        """Whether candidates that were not clicked were drawn, and may be drawn anew; else they are real."""
        return self.info.negatives.sampled

    @cached_property
    def item_ids(self) -> Ids:
        """Raw ids of the item rows, read at first use."""
        return Ids.load(self.folder, "items/ids.parquet", len(self.popularity))

    @cached_property
    def user_ids(self) -> Ids:
        """Raw ids of the user rows, read at first use."""
        return Ids.load(self.folder, "users/ids.parquet", len(self.behaviours.offsets) - 1)

    @cached_property
    def names(self) -> ItemNames | None:
        """Names of the items, read at first use; None where the log has none."""
        return ItemNames.load(self.folder, self.item_ids) if self.info.item_names else None

    @cached_property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """Every vocabulary by the feature that owns it, read at first use."""
        return load_vocabularies(self.folder, self.schema)

    @property
    def folder(self) -> Folder:
        """The folder, to read files of it that somebody else may have made."""
        return Folder(self.path, DataError, AGAIN)

    def expect_unchanged(self) -> None:
        """Refuse a folder that is another one than was opened, as after an append.

        Raises:
            DataError: it is.
        """
        if self.folder.identity != self.identity:
            raise DataError(f"{self.path}: was replaced, as by an append, since it was opened; run again")

    def release(self, split: Split) -> None:
        """Free the memory of pages that were read, so that going through a split does not keep them all.

        They stay in the page cache of the system while there is room.
        """
        behaviours = self.behaviours
        tables: list[dict[str, Any]] = [vars(behaviours), behaviours.features, vars(split), split.context]
        if behaviours.unclicked is not None:
            tables.append(vars(behaviours.unclicked))
        columns = [column for table in tables for column in table.values() if column is not None]
        for array in (array for column in columns for array in files_of(column).values()):
            release(array)

    def check(self, splits: Sequence[SplitName] = SPLITS) -> None:
        """Read every column and check that all fit together.

        Args:
            splits: those to read; training never reads the test split, not for its check either.

        Raises:
            DataError: naming the first file in which something is wrong.
        """
        for file, what in wrong_values(self, splits, self.info.negatives.per_positive):
            raise self.folder.refusal(file, f"{what} (docs/data-format.md)")
        for name in splits:
            self._expect_sizes(name)
        _ = self.item_ids, self.user_ids, self.names, self.vocabularies

    def _expect_sizes(self, name: SplitName) -> None:
        """Refuse a split that holds something else than ``dataset.json`` says."""
        found, said = SplitSizes.of(self.splits[name]), self.info.sizes.splits[name]
        for file, what, ours, theirs in (
            ("label", "positives", found.positives, said.positives),
            ("weight", "sum of the weights", found.weight, said.weight),
            ("conversion", "conversions", found.conversions, said.conversions),
            ("time", "first and last second", first_and_last(self.splits[name]), self.info.time[name]),
        ):
            close = isinstance(ours, float) and isinstance(theirs, float) and np.isclose(ours, theirs)
            if not (ours == theirs or close):
                raise self.folder.refusal(f"{name}/{file}.npy", f"{what} {ours}, {FILE_NAME} says {theirs}")


def feature_table(folder: Folder, name: str, features: Iterable[Feature], length: int) -> FeatureTable:
    """Map the columns of features of behaviours or impressions ``[length]``; ``time_since`` has none.

    Args:
        folder: a dataset folder.
        name: of the folder in it that has the columns.
        features: in order.
        length: of each column.

    Raises:
        DienError: a file is missing or does not fit; of the folder's kind.
    """
    stored = (feature for feature in features if feature.name != TIME_SINCE)
    return {f.name: f.stored.open(_file_of(folder, name, f, True), length, f.size) for f in stored}


def attributes(
    folder: Folder, name: str, features: Iterable[Feature], rows: int, *, mapped: bool = True
) -> Attributes:
    """Read the features of items or users.

    Args:
        folder: a dataset or run folder.
        name: of the folder in it that has the columns.
        features: in order.
        rows: of items or users.
        mapped: whether to map the files, or read them.

    Raises:
        DienError: a file is missing or does not fit; of the folder's kind.
    """

    def column(feature: Feature) -> Column | Changing:
        file = _file_of(folder, name, feature, mapped)
        if not feature.changes:
            return feature.stored.open(file, rows, feature.size)
        since = file(".since", np.int64, None)
        values = feature.stored.open(file, len(since), feature.size)
        offsets = file(".rows", np.int64, rows + 1)
        if offsets[0] != 0 or offsets[1] != 1 or offsets[-1] != len(since):
            raise folder.refusal(
                f"{name}/{feature.name}.rows.npy",
                f"begins with {offsets[0]}, {offsets[1]} and ends with {offsets[-1]}, expected 0, 1 and "
                f"{len(since)}",
            )
        return Changing(values, since, offsets)

    return {feature.name: column(feature) for feature in features}


def _file_of(folder: Folder, name: str, feature: Feature, mapped: bool) -> MapFile:
    def file(suffix: str, dtype: type[np.generic], *shape: int | None) -> NDArray[Any]:
        return folder.array(f"{name}/{feature.name}{suffix}.npy", dtype, *shape, mapped=mapped)

    return file


def load_vocabularies(folder: Folder, schema: Schema) -> dict[str, Vocabulary]:
    """Read every vocabulary of a dataset or run folder, by the feature that owns it.

    Raises:
        DienError: one cannot be read, or has another size than in the schema; of the folder's kind.
    """
    return {
        name: Vocabulary.load(folder, _vocabulary_file(name), size)
        for name, size in schema.vocabularies.items()
    }


def _vocabulary_file(feature: str) -> str:
    return f"vocabularies/{feature}.parquet"


def _unclicked(folder: Folder, behaviours: int) -> Unclicked:
    def file(name: str, dtype: type[np.generic], length: int | None) -> NDArray[Any]:
        return folder.array(f"behaviours/unclicked/{name}.npy", dtype, length)

    return Unclicked(
        start=file("start", np.int64, behaviours),
        end=file("end", np.int64, behaviours),
        item=file("item", np.int32, None),
    )


def _offsets(folder: Folder, name: str, rows: int, total: int) -> NDArray[np.int64]:
    offsets = folder.array(name, np.int64, rows + 1)
    if offsets[0] != 0 or offsets[-1] != total:
        raise folder.refusal(name, f"runs from {offsets[0]} to {offsets[-1]}, expected 0 to {total}")
    return offsets
