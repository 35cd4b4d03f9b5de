"""Records of training as JSON files: each a type, which is checked when it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from dien.errors import RunError
from dien.folders import Folder

T = TypeVar("T")


def load(path: Path, kind: type[T], command: str) -> T:
    """Read a JSON file.

    Args:
        path: the file.
        kind: what is in it, a struct or dataclass.
        command: that writes it.

    Raises:
        RunError: it cannot be read, or a field is missing or of another type; the message names the field.
    """
    folder = Folder(path.parent, RunError, f"run {command} into another folder")
    if not path.exists():
        raise RunError(f"{path}: No such file or directory; name a folder that {command} wrote")
    text = folder.text(path.name)
    try:
        return msgspec.convert(json.loads(text), kind)
    except (ValueError, RecursionError) as error:
        raise folder.refusal(path.name, f"not as {command} writes it ({error})") from error


def text_of(record: Any) -> str:
    """Put a struct or dataclass as the text of a JSON file."""
    return json.dumps(msgspec.to_builtins(record), indent=2) + "\n"
