"""What is kept of a file that was read: its name, its hash and its size."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

_BLOCK = 1 << 20  # bytes hashed at once


class SourceFile(msgspec.Struct, frozen=True):
    """A file that was read.

    Attributes:
        name: its name, without the folder it lay in.
        sha256: of its bytes as they lie on disk, compressed or not.
        size: bytes.
    """

    name: str
    sha256: str
    size: int


def source_file(path: Path) -> SourceFile:
    """Hash a file that is read by other means."""
    sha256 = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            size += len(block)
    return SourceFile(path.name, sha256.hexdigest(), size)
