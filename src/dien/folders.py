"""Reading a folder that somebody else may have made: what is not as it should be is refused before its use.

A dataset folder and a run folder may come from anywhere, and may be damaged. Each of their files is opened
here: it is a regular file, it lies in the folder, and it has the type and the size that are expected.
"""

from __future__ import annotations

import ctypes
import errno
import json
import math
import mmap
import os
import stat
from functools import cache, cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dien.errors import DienError
from dien.files import not_read
from dien.lock import open_unfollowed

MOST_TEXT = 256 << 20
"""Bytes of a JSON, YAML or text file; no folder that dien writes has one as large."""

_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Folder:
    """A folder to read.

    The folder itself may be a link. A link in it is followed where it stays in the folder, and nowhere else.

    Args:
        path: the folder.
        error: what is raised of a file that cannot be used.
        again: what to do about a file that is damaged, as "prepare the data again".
    """

    def __init__(self, path: Path, error: type[DienError], again: str) -> None:
        self.path, self.error, self.again = path, error, again

    @cached_property
    def _root(self) -> str:
        return os.path.realpath(self.path)

    @property
    def identity(self) -> tuple[int, int]:
        """Tell this folder from another that took its place; (0, 0) where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0
        return found.st_dev, found.st_ino

    def refusal(self, name: str, what: str) -> DienError:
        """Make the error that says what is wrong with a damaged file."""
        return self.error(f"{self.path / name}: {what}; {self.again}")

    def expect_inside(self, name: str) -> str:
        """Give the path of a file or folder without links.

        Raises:
            DienError: a link leads out of this folder.
        """
        real = os.path.realpath(self.path / name)
        if os.path.commonpath([self._root, real]) != self._root:
            raise self.error(
                f"{self.path / name}: is a link that leads out of {self.path}; put the file in its place"
            )
        return real

    def expect_file(self, name: str) -> None:
        """Refuse what :meth:`open` would, and open nothing.

        Raises:
            DienError: as :meth:`open`.
        """
        self._regular(name)

    def open(self, name: str) -> BinaryIO:
        """Open a file to read its bytes.

        Raises:
            DienError: it is missing, may not be read, is no regular file, or a link leads out of the folder.
        """
        real = self._regular(name)
        try:
            # A pipe or a link may have come since it was looked at.
            file = os.fdopen(open_unfollowed(real, os.O_RDONLY), "rb")
        except OSError as error:
            raise self._unread(name, error) from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise self.refusal(name, "is not a file")
        return file

    def read(self, name: str, most: int | None = None) -> bytes:
        """Read the bytes of a file.

        Args:
            name: the file.
            most: bytes it may have; None for any.

        Raises:
            DienError: as :meth:`open`, or it is too large.
        """
        with self.open(name) as file:
            size = os.fstat(file.fileno()).st_size
            if most is not None and size > most:
                raise self.refusal(name, f"{size:,} bytes, expected {most:,} at most")
            try:
                return file.read()
            except (OSError, MemoryError) as error:
                raise self._unread(name, error) from error

    def text(self, name: str) -> str:
        """Read a UTF-8 text file.

        Raises:
            DienError: as :meth:`read`, or it is no such text.
        """
        try:
            return self.read(name, MOST_TEXT).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.refusal(name, f"not UTF-8: {error}") from error

    def json(self, name: str) -> Any:
        """Read a JSON file.

        Raises:
            DienError: as :meth:`read`, or it is not JSON, holds a number that is not finite, or half of a
                character.
        """
        data = self.read(name, MOST_TEXT)
        try:
            found = json.loads(data, parse_float=_finite, parse_constant=_finite)
            json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError, MemoryError) as error:
            raise self.refusal(name, f"not JSON: {error}") from error
        return found

    def array(
        self, name: str, dtype: type[np.generic], *shape: int | None, mapped: bool = True
    ) -> NDArray[Any]:
        """Read a ``.npy`` file of this type and shape.

        Args:
            name: the file.
            dtype: of the array.
            shape: of the array; None takes any length.
            mapped: whether to map it, which takes the same time whatever its size: a page is read when it is
                used. The file must then not be cut short while the array is in use. Otherwise it is read.

        Raises:
            DienError: as :meth:`open`; it is no such file, or its size is not what its header says.
        """
        with self.open(name) as file:
            found, fortran, found_type = self._header(name, file)
            fits = len(shape) == len(found) and all(n in (None, m) for n, m in zip(shape, found, strict=True))
            if found_type != dtype or not fits or min(found, default=0) < 0:
                wrong = f"{found_type} {list(found)}"
                raise self.refusal(name, f"{wrong}, expected {np.dtype(dtype)} {_lengths(shape)}")
            begin, size = file.tell(), os.fstat(file.fileno()).st_size
            count = int(np.prod(np.array(found, dtype=object)))
            end = begin + count * found_type.itemsize
            if size != end or begin % found_type.itemsize:
                raise self.refusal(name, f"not a whole .npy file: {size:,} bytes, its header says {end:,}")
            try:
                data = _pages(file, size)[begin:].view(dtype) if mapped else _numbers(file, dtype, count)
            except (OSError, MemoryError) as error:
                raise self._unread(name, error) from error
        return np.asarray(data.reshape(found, order="F" if fortran else "C"))

    def _header(self, name: str, file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        try:
            version = np.lib.format.read_magic(file)
            if version not in _HEADER:
                raise ValueError(f"version {version}")
            shape, fortran, dtype = _HEADER[version](file)
            return tuple(int(n) for n in shape), bool(fortran), dtype
        except OSError as error:
            raise self._unread(name, error) from error
        # The header is read as a literal of Python, which has many ways to fail.
        except (ValueError, TypeError, SyntaxError, OverflowError, RecursionError, MemoryError) as error:
            raise self.refusal(name, f"not a whole .npy file: {error}") from error

    def _regular(self, name: str) -> str:
        real = self.expect_inside(name)
        try:
            mode = Path(real).stat().st_mode
        except OSError as error:
            raise self._unread(name, error) from error
        if not stat.S_ISREG(mode):
            raise self.refusal(name, f"is a {_kind(mode)}, expected a file")
        return real

    def _unread(self, name: str, error: OSError | MemoryError) -> DienError:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return self.refusal(name, "missing")
        return self.error(not_read(self.path / name, error, self.again))


def release(array: NDArray[Any]) -> None:
    """Free the memory of the pages that were read of a mapped array; they are read again when they are used.

    They stay in the page cache of the system while there is room. Nothing happens to an array in memory, nor
    where the system has no such call.
    """
    base: Any = array
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    if isinstance(base, _Pages):
        base.release()


class _Pages:
    """The bytes of an open file as memory that is read-only; the file may be closed.

    Python's own ``mmap`` keeps a descriptor for each, and a process may have 1,024 of them.
    """

    def __init__(self, file: int, size: int) -> None:
        self._libc, self._size = _libc(), size
        self._address = self._libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file, 0)
        if self._address == ctypes.c_void_p(-1).value:
            self._address = None
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        self.__array_interface__ = {
            "data": (self._address, True),
            "shape": (size,),
            "typestr": "|u1",
            "version": 3,
        }

    def release(self) -> None:
        """Free what was read."""
        if (unused := getattr(mmap, "MADV_DONTNEED", None)) is not None:
            self._libc.madvise(self._address, self._size, unused)

    def __del__(self) -> None:
        if getattr(self, "_address", None) is not None:
            self._libc.munmap(self._address, self._size)


@cache
def _libc() -> ctypes.CDLL:
    """Give the calls of the system that map files, with their types."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_ssize_t
    ]  # fmt: skip
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc


def _pages(file: BinaryIO, size: int) -> NDArray[np.uint8]:
    if hasattr(mmap, "PROT_READ"):
        return np.asarray(_Pages(file.fileno(), size))
    return np.memmap(file, np.uint8, "r", shape=(size,))  # Windows


def _numbers(file: BinaryIO, dtype: type[np.generic], count: int) -> NDArray[Any]:
    numbers = np.empty(count, dtype)
    if file.readinto(numbers.view(np.uint8)) != numbers.nbytes:  # type: ignore[attr-defined]
        raise OSError(errno.EIO, "cut short while it was read")
    return numbers


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def _lengths(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if n is None else str(n) for n in shape) + "]"


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(mode), "device")
