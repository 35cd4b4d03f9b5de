"""Write a prepared dataset as a dataset folder: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data import item_names
from dien.data.changing import Changing
from dien.data.dataset_info import (
    EXTENDED,
    FILE_NAME,
    FORMAT,
    OWN_HISTORIES,
    DatasetInfo,
    Sizes,
    SplitSizes,
    first_and_last,
)
from dien.data.features.columns import files_of
from dien.data.prepare.prepared import Prepared
from dien.data.ragged import Column
from dien.errors import DataError
from dien.places import Place, claimed


def write(prepared: Prepared, path: Path, overwrite: bool = False) -> None:
    """Write the dataset folder beside ``path`` and put it into its place at once.

    The same dataset gives the same bytes: nothing in them depends on when or where they were written.

    Args:
        prepared: what to write.
        path: the dataset folder; its parents are made.
        overwrite: whether a dataset folder that is there already is replaced.

    Raises:
        DataError: ``path`` exists already, another process writes to it, or something could not be written,
            as on a full disk. What is at ``path`` then stays as it was.
    """
    with dataset_place(path, overwrite) as place:
        write_at(prepared, place)


@contextmanager
def dataset_place(path: Path, overwrite: bool = False) -> Iterator[Place]:
    """Lock a dataset folder for this process, and hand out the place to write it at.

    What was opened from the folder before it was locked may have changed.

    Raises:
        DataError: as :func:`check_free`; another process writes to it, or it cannot be written.
    """
    with claimed(path, DataError, overwrite) as place:
        check_free(path, overwrite)
        yield place


def write_at(prepared: Prepared, place: Place) -> None:
    """Write the dataset folder at a place that this process has locked.

    Raises:
        DataError: no training row has a weight, or something could not be written. What was there then stays
            as it was.
    """
    weight = prepared.splits["train"].weight
    if weight is not None and not weight.any():
        raise DataError(
            f"no row to train on: the weights of all {len(weight):,} training rows are 0; expected one above "
            "0; name another column as interactions.weight, or none"
        )
    with built(place) as new:
        for name, array in arrays_of(prepared).items():
            _save_array(new / f"{name}.npy", array)
        for folder in ("vocabularies", "items", "users"):  # a side may have no feature, as rare ids alone
            (new / folder).mkdir(exist_ok=True)
        for name, vocabulary in prepared.vocabularies.items():
            vocabulary.save(new / "vocabularies" / f"{name}.parquet")
        prepared.item_ids.save(new / "items" / "ids.parquet")
        prepared.user_ids.save(new / "users" / "ids.parquet")
        if prepared.names is not None:
            prepared.names.save(new / item_names.FILE)
        _info(prepared).save(new)


def check_free(path: Path, overwrite: bool = False) -> None:
    """Refuse a path that may not be written to; worth asking before a long preparation.

    Raises:
        DataError: something is there already that is no dataset folder, or may not be overwritten, or holds
            a file of somebody's own.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); choose another path") from error
    if not (path / FILE_NAME).is_file():
        raise DataError(f"{path}: exists and is no dataset folder; choose another path")
    if not overwrite:
        raise DataError(f"{path}: exists already; remove it or choose another path")
    for file in sorted(path.rglob("*")):
        ours = file == path / FILE_NAME or file.suffix in (".npy", ".parquet") or file.is_dir()
        if not (ours or file.name.startswith(".")):
            raise DataError(
                f"{file}: is none of a dataset folder's files and would be lost; move it elsewhere"
            )


@contextmanager
def built(place: Place) -> Iterator[Path]:
    """Hand out an empty folder that is put into its place when all went well.

    An exception (Ctrl-C too) removes it; what was there is there again then.

    Raises:
        DataError: something could not be written, as on a full disk.
    """
    try:
        with place.building() as new:
            yield new
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{place.path}: could not be written: {error}; nothing is left of it. Free some space or choose "
            "another folder, then run again"
        ) from error


def arrays_of(prepared: Prepared) -> dict[str, NDArray[Any]]:
    """Name every array by its path in the dataset folder, without ``.npy``."""
    behaviours = prepared.behaviours
    arrays: dict[str, NDArray[Any]] = {
        **flat("items", prepared.items),
        "items/popularity": prepared.popularity,
        **flat("users", prepared.users),
        "behaviours/item": behaviours.item,
        "behaviours/time": behaviours.time,
        "behaviours/offsets": behaviours.offsets,
        **flat("behaviours/features", behaviours.features),
    }
    if behaviours.unclicked is not None:
        arrays |= {f"behaviours/unclicked/{name}": a for name, a in vars(behaviours.unclicked).items()}
    for name, split in prepared.splits.items():
        arrays |= {
            f"{name}/user": split.user,
            f"{name}/end": split.end,
            f"{name}/time": split.time,
            **flat(f"{name}/context", split.context),
            f"{name}/offsets": split.offsets,
            f"{name}/item": split.item,
            f"{name}/label": split.label,
        }
        if split.start is not None:
            arrays[f"{name}/start"] = split.start
        if split.weight is not None:
            arrays[f"{name}/weight"] = split.weight
        if split.conversion is not None:
            arrays[f"{name}/conversion"] = split.conversion
    return arrays


def flat(folder: str, table: Mapping[str, Column | Changing]) -> dict[str, NDArray[Any]]:
    """Name the arrays of a feature table, without the suffix; some columns have several."""
    return {
        f"{folder}/{name}{suffix}": array
        for name, column in table.items()
        for suffix, array in files_of(column).items()
    }


def _info(prepared: Prepared) -> DatasetInfo:
    train = prepared.splits["train"]
    version = FORMAT if train.weight is None and train.conversion is None else EXTENDED
    return DatasetInfo(
        format=version if train.start is None else OWN_HISTORIES,
        schema=prepared.schema.to_json(),
        dropped_features=list(prepared.dropped),
        sizes=Sizes(
            items=len(prepared.item_ids) - 1,
            users=len(prepared.user_ids) - 1,
            behaviours=len(prepared.behaviours.item),
            splits={name: SplitSizes.of(split) for name, split in prepared.splits.items()},
        ),
        time={name: first_and_last(split) for name, split in prepared.splits.items()},
        recipe=prepared.recipe,
        split_rule=prepared.split_rule,
        negatives=prepared.negatives,
        auxiliary_negatives="sampled" if prepared.behaviours.unclicked is None else "unclicked",
        excluded=prepared.excluded,
        sources=list(prepared.sources),
        truth=prepared.truth,
        times=prepared.times,
        from_time=prepared.from_time,
        log=prepared.form,
        item_names=prepared.names is not None,
    )


def _save_array(path: Path, array: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(array, np.memmap) and str(array.filename).endswith(".npy"):
        with suppress(OSError):  # it lies in the scratch folder already: no copy where the disk is the same
            os.link(str(array.filename), path)
            return
    save_array(path, array)


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as ``.npy``, the bytes of ``np.save``.

    Raises:
        OSError: it cannot be written. ``np.save`` does not say so when the last of it finds no room.
    """
    array = np.asarray(array, order="C")
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)
