"""Write a prepared dataset as a dataset folder: whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.dataset_info import FILE_NAME, FORMAT, DatasetInfo, Sizes, SplitSizes
from dien.data.features.columns import files_of
from dien.data.prepare.prepared import Prepared
from dien.data.tables import FeatureTable
from dien.errors import DataError
from dien.files import sync


def write(prepared: Prepared, path: Path, overwrite: bool = False) -> None:
    """Write the dataset folder beside ``path`` and rename it into place.

    The same dataset gives the same bytes: nothing in them depends on when or where they were written.

    Args:
        prepared: what to write.
        path: the dataset folder; its parents are made.
        overwrite: whether a dataset folder that is there already is replaced.

    Raises:
        DataError: ``path`` exists already, or something could not be written, as on a full disk. What is at
            ``path`` then stays as it was.
    """
    check_free(path, overwrite)
    with new_folder(path) as new:
        for name, array in arrays_of(prepared).items():
            _save_array(new / f"{name}.npy", array)
        for folder in ("vocabularies", "items", "users"):  # a side may have no feature, as rare ids alone
            (new / folder).mkdir(exist_ok=True)
        for name, vocabulary in prepared.vocabularies.items():
            vocabulary.save(new / "vocabularies" / f"{name}.parquet")
        prepared.item_ids.save(new / "items" / "ids.parquet")
        prepared.user_ids.save(new / "users" / "ids.parquet")
        _info(prepared).save(new)
        for file in new.rglob("*"):
            if file.is_file():
                sync(file)


def check_free(path: Path, overwrite: bool = False) -> None:
    """Refuse a path that may not be written to; worth asking before a long preparation.

    Raises:
        DataError: something is there already that is no dataset folder, or may not be overwritten.
    """
    if not (path.exists() or path.is_symlink()):
        return
    if not (path / FILE_NAME).is_file():
        raise DataError(f"{path}: exists and is no dataset folder; choose another path")
    if not overwrite:
        raise DataError(f"{path}: exists already; remove it or choose another path")


@contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """Hand out a folder on the disk of ``path`` for columns while they grow, and remove it in the end.

    Raises:
        DataError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=f".{path.name}.scratch.", dir=path.parent)
    except OSError as error:
        raise DataError(f"{path.parent}: cannot be written: {error}; choose another folder") from error
    with folder as name:
        yield Path(name)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Hand out an empty folder that takes the place of ``path`` when all went well.

    An exception (Ctrl-C too) removes it; what was at ``path`` is there again then.

    Raises:
        DataError: something could not be written, as on a full disk.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        new, old = work / "new", work / "old"
        try:
            new.mkdir()
            yield new
            if path.exists():
                path.rename(old)
            new.rename(path)
        finally:
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(work, ignore_errors=True)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path}: could not be written: {error}; nothing is left of it. Free some space or choose "
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
    return arrays


def flat(folder: str, table: FeatureTable) -> dict[str, NDArray[Any]]:
    """Name the arrays of a feature table, without the suffix; a multi-valued column has two."""
    return {
        f"{folder}/{name}{suffix}": array
        for name, column in table.items()
        for suffix, array in files_of(column).items()
    }


def _info(prepared: Prepared) -> DatasetInfo:
    return DatasetInfo(
        format=FORMAT,
        schema=prepared.schema.to_json(),
        dropped_features=list(prepared.dropped),
        sizes=Sizes(
            items=len(prepared.item_ids) - 1,
            users=len(prepared.user_ids) - 1,
            behaviours=len(prepared.behaviours.item),
            splits={
                name: SplitSizes(
                    impressions=len(split),
                    rows=len(split.item),
                    positives=int(split.label.sum(dtype=np.int64)),
                )
                for name, split in prepared.splits.items()
            },
        ),
        time={name: _first_and_last(split.time) for name, split in prepared.splits.items()},
        recipe=prepared.recipe,
        split_rule=prepared.split_rule,
        negatives=prepared.negatives,
        auxiliary_negatives="sampled" if prepared.behaviours.unclicked is None else "unclicked",
        excluded=prepared.excluded,
        sources=list(prepared.sources),
        truth=prepared.truth,
    )


def _first_and_last(time: NDArray[np.int64]) -> tuple[int, int] | None:
    return (int(time.min()), int(time.max())) if len(time) else None


def _save_array(path: Path, array: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(array, np.memmap) and str(array.filename).endswith(".npy"):
        with suppress(OSError):  # it lies in the scratch folder already: no copy where the disk is the same
            os.link(str(array.filename), path)
            return
    np.save(path, array, allow_pickle=False)
