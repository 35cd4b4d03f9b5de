"""What training writes on its way: where the disk refuses it, the error says how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from dien.errors import RunError
from dien.files import not_written, replacing

AGAIN = "run the same command again"
"""How commands of many runs go on."""


@contextmanager
def resumable(path: Path, how: str = "go on with --resume") -> Iterator[None]:
    """Turn what a full or forbidden disk raises into an error that says how to go on.

    Args:
        path: what is written.
        how: what to do when there is room.

    Raises:
        RunError: it cannot be written.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise RunError(f"{not_written(path, error)}, then {how}") from error


def write_text(path: Path, text: str, how: str = "go on with --resume") -> None:
    """Write a text file, whole or not at all; arguments and errors as :func:`resumable`."""
    with resumable(path, how), replacing(path) as new:
        new.write_text(text, encoding="utf-8", newline="")
