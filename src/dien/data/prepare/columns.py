"""Write columns slice by slice, in memory or on disk."""

from __future__ import annotations

from io import BufferedWriter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.errors import DataError
from dien.files import not_written

_HEADER = 128  # bytes: numpy pads the header of a column of any length to this


class ColumnWriter:
    """Columns that slices are appended to.

    Args:
        folder: write them there as ``.npy`` files, so that memory does not grow with them; None keeps them in
            memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._files: dict[str, tuple[BufferedWriter, np.dtype[Any], tuple[int, ...]]] = {}

    def append(self, name: str, array: NDArray[Any]) -> None:
        """Append ``[n, ...]`` to a column; its type is that of the first array.

        Raises:
            DataError: it cannot be written, as on a full disk; so does :meth:`finish`.
        """
        if self._folder is None:
            self._parts.setdefault(name, []).append(array)
            return
        path = self._folder / f"{name}.npy"
        try:
            if name not in self._files:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = path.open("wb")
                file.write(bytes(_HEADER))
                self._files[name] = (file, array.dtype, (0, *array.shape[1:]))
            file, dtype, (length, *rest) = self._files[name]
            # Not numpy's tofile: it does not say so when the last of it finds no room.
            file.write(np.ascontiguousarray(array, dtype).data)
        except OSError as error:
            raise DataError(not_written(path, error)) from error
        self._files[name] = (file, dtype, (length + len(array), *rest))

    def finish(self) -> dict[str, NDArray[Any]]:
        """Close the columns and return them; those on disk are memory-mapped."""
        if self._folder is None:
            columns = {}
            while self._parts:
                name, parts = self._parts.popitem()
                columns[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
            return columns
        try:
            for file, dtype, shape in self._files.values():
                file.seek(0)
                header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                assert file.tell() == _HEADER
                file.close()
        except OSError as error:
            raise DataError(not_written(Path(file.name), error)) from error
        return {name: np.load(self._folder / f"{name}.npy", mmap_mode="r") for name in self._files}
