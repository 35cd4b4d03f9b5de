"""Kinds of files that are not read, each with the line that converts it."""

from __future__ import annotations

import shlex
from pathlib import Path

_EXCEL = "an Excel workbook", "import pandas; pandas.read_excel({name}).to_csv({new}, index=False)", ".csv"
_ARROW = "an Arrow file", "import polars; polars.read_ipc({name}).write_parquet({new})", ".parquet"
_PICKLE = "a pickle", "import pandas; pandas.read_pickle({name}).to_parquet({new})", ".parquet"
_BY_PYTHON = {
    ".xlsx": _EXCEL,
    ".xls": _EXCEL,
    ".ods": ("a workbook of OpenDocument", *_EXCEL[1:]),
    ".feather": _ARROW,
    ".arrow": _ARROW,
    ".ipc": _ARROW,
    ".avro": ("an Avro file", "import polars; polars.read_avro({name}).write_parquet({new})", ".parquet"),
    ".orc": ("an ORC file", "import pandas; pandas.read_orc({name}).to_parquet({new})", ".parquet"),
    ".pkl": _PICKLE,
    ".pickle": _PICKLE,
}
"""By suffix: what it is, what of Python converts it, and to what."""
_ARCHIVE = "an archive of files"
_BY_COMMAND = {
    ".xz": ("packed by xz", "xz -dk"),
    ".lzma": ("packed by lzma", "xz -dk"),
    ".lz4": ("packed by lz4", "lz4 -dk"),
    ".tar": (_ARCHIVE, "tar -xf"),
    ".tgz": (_ARCHIVE, "tar -xf"),
    ".7z": (_ARCHIVE, "7z x"),
    ".rar": (_ARCHIVE, "unrar x"),
}
"""By suffix: what it is, and the command that unpacks it."""


def not_read(path: Path, suffix: str) -> str | None:
    """Say what a file is and which line converts it, for errors; None of kinds that are not known.

    Args:
        path: the file.
        suffix: that files of its kind have, as ``.xlsx``.
    """
    if suffix in _BY_PYTHON:
        what, code, new = _BY_PYTHON[suffix]
        made = code.format(name=repr(path.name), new=repr(path.with_suffix(new).name))
        return f'{path}: {what}, which is not read; convert it: python -c "{made}"'
    if suffix in _BY_COMMAND:
        what, command = _BY_COMMAND[suffix]
        return f"{path}: {what}, which is not read; unpack it: {command} {shlex.quote(path.name)}"
    return None
