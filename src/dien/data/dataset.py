"""A dataset folder, memory-mapped: opening it takes the same time whatever its size."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.data.dataset_info import FILE_NAME, DatasetInfo
from dien.data.features import TIME_SINCE, Feature, Schema, Side
from dien.data.features.columns import files_of
from dien.data.ragged import Column
from dien.data.tables import (
    SPLITS,
    Behaviours,
    FeatureTable,
    Split,
    SplitName,
    Tables,
    Unclicked,
    newest_time,
)
from dien.data.vocabulary import Ids, Vocabulary
from dien.errors import DataError


@dataclass(frozen=True, eq=False)
class Dataset(Tables):
    """A prepared dataset on disk; :meth:`open` makes one.

    Attributes:
        path: the dataset folder.
        info: the content of ``dataset.json``: sizes, recipe, how negatives were made, sources.
    """

    path: Path
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

        Of each file only the header and the ends are checked; :meth:`check` reads everything.

        Raises:
            DataError: there is no dataset folder, or a file is missing or does not fit the others.
            TypeError: ``path`` is none.
        """
        if not isinstance(path, str | PathLike):
            raise TypeError(
                f"Dataset.open: found a {type(path).__name__}; expected the path of a dataset folder, which "
                "dien.prepare makes of files or data frames"
            )
        path = Path(path)
        info = DatasetInfo.load(path)
        try:
            schema = Schema.from_json(info.schema)
        except ValueError as error:
            raise _broken(path / FILE_NAME, f"schema: not as prepare writes it: {error}") from error
        n_items, n_users = info.sizes.items + 1, info.sizes.users + 1
        n_behaviours = info.sizes.behaviours

        def table(folder: str, side: Side, length: int) -> FeatureTable:
            return map_table(path / folder, schema.of(side), length)

        behaviours = Behaviours(
            item=map_column(path / "behaviours/item.npy", np.int32, n_behaviours),
            time=map_column(path / "behaviours/time.npy", np.int64, n_behaviours),
            offsets=_offsets(path / "behaviours/offsets.npy", n_users, n_behaviours),
            features=table("behaviours/features", "behaviour", n_behaviours),
            unclicked=_unclicked(path / "behaviours/unclicked", n_behaviours)
            if info.auxiliary_negatives == "unclicked"
            else None,
        )

        def split(name: SplitName) -> Split:
            impressions, rows = info.sizes.splits[name].impressions, info.sizes.splits[name].rows
            return Split(
                user=map_column(path / name / "user.npy", np.int32, impressions),
                end=map_column(path / name / "end.npy", np.int64, impressions),
                time=map_column(path / name / "time.npy", np.int64, impressions),
                context=table(f"{name}/context", "context", impressions),
                offsets=_offsets(path / name / "offsets.npy", impressions, rows),
                item=map_column(path / name / "item.npy", np.int32, rows),
                label=map_column(path / name / "label.npy", np.int8, rows),
            )

        dataset = cls(
            path=path,
            info=info,
            schema=schema,
            items=table("items", "item", n_items),
            popularity=map_column(path / "items/popularity.npy", np.int64, n_items),
            users=table("users", "user", n_users),
            behaviours=behaviours,
            splits={name: split(name) for name in SPLITS},
        )
        vocabularies = (dataset._vocabulary_file(name) for name in schema.vocabularies)
        for file in (path / "items/ids.parquet", path / "users/ids.parquet", *vocabularies):
            if not file.is_file():
                raise _broken(file, "missing")
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
        return self._ids("items", len(self.popularity))

    @cached_property
    def user_ids(self) -> Ids:
        """Raw ids of the user rows, read at first use."""
        return self._ids("users", len(self.behaviours.offsets) - 1)

    @cached_property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """Every vocabulary by the feature that owns it, read at first use."""
        vocabularies = {}
        for name, size in self.schema.vocabularies.items():
            file = self._vocabulary_file(name)
            vocabularies[name] = vocabulary = Vocabulary.load(file)
            if len(vocabulary) != size:
                raise _broken(file, f"{len(vocabulary)} values, expected {size}")
        return vocabularies

    def release(self, split: Split) -> None:
        """Free the memory of pages that were read, so that going through a split does not keep them all.

        They stay in the page cache of the system while there is room.
        """
        tables = [vars(self.behaviours), self.behaviours.features, vars(split), split.context]
        if self.behaviours.unclicked is not None:
            tables.append(vars(self.behaviours.unclicked))
        columns = [column for table in tables for column in table.values() if column is not None]
        for array in (array for column in columns for array in files_of(column).values()):
            mapped = getattr(array, "base", None)
            if isinstance(mapped, np.memmap):
                mapped._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]

    def check(self) -> None:
        """Read every column and check that all fit together.

        Raises:
            DataError: naming the first file in which something is wrong.
        """
        features = {feature.name: feature for feature in self.schema.features}
        tables = (
            ("items", self.items),
            ("users", self.users),
            ("behaviours/features", self.behaviours.features),
        )
        for folder, table in tables:
            for name, column in table.items():
                self._expect(features[name].fits(column), f"{folder}/{name}.npy")
        self._expect(_within(self.popularity) and self.popularity[0] == 0, "items/popularity.npy")

        behaviours = self.behaviours
        self._expect(_ascending(behaviours.offsets), "behaviours/offsets.npy")
        self._expect(_within(behaviours.item, len(self.popularity), least=1), "behaviours/item.npy")
        in_order = behaviours.time[1:] >= behaviours.time[:-1]
        starts = behaviours.offsets[1:-1]
        in_order[starts[(starts > 0) & (starts < len(behaviours.time))] - 1] = True  # another user begins
        self._expect(bool(in_order.all()), "behaviours/time.npy")

        if (unclicked := behaviours.unclicked) is not None:
            within = _within(unclicked.start) and _within(unclicked.end, len(unclicked.item) + 1)
            within = within and bool((unclicked.start <= unclicked.end).all())
            self._expect(within, "behaviours/unclicked/start.npy")
            self._expect(
                _within(unclicked.item, len(self.popularity), least=1), "behaviours/unclicked/item.npy"
            )

        for name, split in self.splits.items():
            self._check_split(name, split, features)
        _ = self.item_ids, self.user_ids, self.vocabularies

    def _check_split(self, name: str, split: Split, features: dict[str, Feature]) -> None:
        offsets = self.behaviours.offsets
        self._expect(_ascending(split.offsets, strictly=True), f"{name}/offsets.npy")
        self._expect(_within(split.item, len(self.popularity), least=1), f"{name}/item.npy")
        self._expect(_within(split.label, 2), f"{name}/label.npy")
        users = _within(split.user, len(offsets) - 1, least=1) and _ascending(split.user)
        self._expect(users, f"{name}/user.npy")
        inside = (offsets[split.user] <= split.end) & (split.end <= offsets[split.user + 1])
        self._expect(bool(inside.all()) and _ascending(split.end), f"{name}/end.npy")
        past = newest_time(self.behaviours, split) <= split.time
        in_order = (split.time[1:] >= split.time[:-1]) | (split.user[1:] != split.user[:-1])
        self._expect(bool(past.all() and in_order.all()), f"{name}/time.npy")
        for feature, column in split.context.items():
            self._expect(features[feature].fits(column), f"{name}/context/{feature}.npy")

    def _expect(self, fits: bool, file: str) -> None:
        if not fits:
            raise _broken(self.path / file, "a value is out of range or out of order (docs/data-format.md)")

    def _vocabulary_file(self, feature: str) -> Path:
        return self.path / "vocabularies" / f"{feature}.parquet"

    def _ids(self, folder: str, size: int) -> Ids:
        file = self.path / folder / "ids.parquet"
        ids = Ids.load(file)
        if len(ids) != size:
            raise _broken(file, f"{len(ids)} ids, expected {size}")
        return ids


def _broken(file: Path, what: str) -> DataError:
    return DataError(f"{file}: {what}; prepare the data again (dien prepare)")


def map_column(path: Path, dtype: type[np.generic], *shape: int | None) -> NDArray[Any]:
    """Map a column and check its header; None takes any length."""
    try:
        column = np.load(path, mmap_mode="r")
    except FileNotFoundError as error:
        raise _broken(path, "missing") from error
    except (OSError, ValueError, EOFError) as error:
        raise _broken(path, f"not a whole .npy file: {error}") from error
    fits = len(shape) == column.ndim and all(
        n in (None, found) for n, found in zip(shape, column.shape, strict=True)
    )
    if column.dtype != dtype or not fits:
        found = f"{column.dtype} {list(column.shape)}"
        raise _broken(path, f"{found}, expected {np.dtype(dtype)} {list(shape)}")
    return np.asarray(column)


def map_table(folder: Path, features: Iterable[Feature], length: int) -> FeatureTable:
    """Map the columns of features ``[length]``; ``time_since`` has none.

    Raises:
        DataError: a file is missing or does not fit.
    """

    def column(feature: Feature) -> Column:
        def file(suffix: str, dtype: type[np.generic], *shape: int) -> NDArray[Any]:
            return map_column(folder / f"{feature.name}{suffix}.npy", dtype, *shape)

        return feature.stored.open(file, length, feature.size)

    return {feature.name: column(feature) for feature in features if feature.name != TIME_SINCE}


def _unclicked(folder: Path, behaviours: int) -> Unclicked:
    end = map_column(folder / "end.npy", np.int64, behaviours)
    return Unclicked(
        start=map_column(folder / "start.npy", np.int64, behaviours),
        end=end,
        item=map_column(folder / "item.npy", np.int32, None),
    )


def _offsets(path: Path, rows: int, total: int) -> NDArray[np.int64]:
    offsets = map_column(path, np.int64, rows + 1)
    if offsets[0] != 0 or offsets[-1] != total:
        raise _broken(path, f"runs from {offsets[0]} to {offsets[-1]}, expected 0 to {total}")
    return offsets


def _within(column: NDArray[np.integer], size: int | None = None, least: int = 0) -> bool:
    """Whether every value is at least ``least`` and below ``size``."""
    if not len(column):
        return True
    return bool(column.min() >= least and (size is None or column.max() < size))


def _ascending(column: NDArray[np.integer], strictly: bool = False) -> bool:
    """Whether no value is smaller than the one before it, or, strictly, none as small."""
    before, after = column[:-1], column[1:]
    return bool((before < after if strictly else before <= after).all())
