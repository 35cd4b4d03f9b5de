"""What training writes on its way: where the disk refuses it, the error says how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from dien.errors import RunError
from dien.files import not_written, replacing


@contextmanager
def resumable(path: Path) -> Iterator[None]:
    """Turn what a full or forbidden disk raises into an error that says how to go on."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise RunError(f"{not_written(path, error)}, then go on with --resume") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file of a run, whole or not at all.

    Raises:
        RunError: it cannot be written.
    """
    with resumable(path), replacing(path) as new:
        new.write_text(text, encoding="utf-8", newline="")
