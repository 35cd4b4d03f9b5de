"""``current.json``: which model of a folder of published ones is current. Read and written here alone.

::

    DIR/
      current.json        the current version, what was current before, and what is known of each model
      models/VERSION/     what scoring needs of a run folder, copied; VERSION names what it holds
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from dien.errors import PublishError
from dien.files import write_text
from dien.folders import Folder

FORMAT = 1
CURRENT = "current.json"
MODELS = "models"
VERSION = re.compile(r"[0-9a-f]{12}")


class PublishedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the folder.

    Attributes:
        version: names its folder.
        run: the run folder it was copied from.
        published: when, as 2026-01-31T10:00:00+00:00.
        forced: whether it was published although its gate refused it.
        gate: what its gate has found.
    """

    version: str
    run: str
    published: str
    forced: bool
    gate: dict[str, Any]


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``current.json``.

    Attributes:
        format: version of the folder's layout.
        version: of the model that is current.
        since: when it became so, by a publish or a rollback; written as ``published``.
        history: versions that were current one after the other, each once, the current one last. A rollback
            takes the last away.
        models: of the folder, the one that was published first before others.
    """

    format: int
    version: str
    since: str
    history: list[str]
    models: list[PublishedModel]

    def __post_init__(self) -> None:
        versions = [model.version for model in self.models]
        for version in versions:
            if not VERSION.fullmatch(version):
                raise ValueError(f"version {version!r}, expected 12 digits of 0-9 and a-f")
        for name, found in (("models", versions), ("history", self.history)):
            if len(set(found)) < len(found):
                raise ValueError(f"{name}: a version is there twice")
        if unknown := [version for version in self.history if version not in versions]:
            raise ValueError(f"history: {unknown[0]!r} is none of the models")
        if self.history[-1:] != [self.version]:
            raise ValueError(f"history ends with {self.history[-1:]}, expected the version {self.version!r}")

    @property
    def before(self) -> str | None:
        """The version that was current before; None where there was none, or it was removed."""
        return self.history[-2] if len(self.history) > 1 else None

    def model(self, version: str) -> PublishedModel | None:
        """Find a model by its version."""
        return next((model for model in self.models if model.version == version), None)

    def save(self, folder: Path) -> None:
        """Write the ``current.json`` of a folder: what reads it finds the old content or the new.

        Raises:
            DienError: it cannot be written.
        """
        text = msgspec.json.format(msgspec.json.encode(self), indent=2).decode()
        write_text(folder / CURRENT, text + "\n")


def read_published(path: Path) -> Published | None:
    """Read the ``current.json`` of a folder; None where there is none.

    Raises:
        PublishError: it cannot be read, is of another format, or not as ``dien publish`` writes it.
    """
    folder = Folder(path, PublishError, "put a copy of the file back, or publish to a new folder")
    if not (path / CURRENT).exists():
        return None
    content = folder.json(CURRENT)
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise folder.refusal(CURRENT, f"format {found}, this version of dien reads {FORMAT}")
    try:
        return msgspec.convert(content, Published)
    except ValueError as error:
        raise folder.refusal(CURRENT, f"not as dien publish writes it: {error}") from error


def model_folder(path: Path, version: str) -> Path:
    """Name the folder of a published model."""
    return path / MODELS / version


def current_run(path: Path) -> Path:
    """Give the run folder that a path stands for: the current model of a folder of published ones, or itself.

    Where the path is a link, what it leads to now counts.

    Raises:
        PublishError: as :func:`read_published`.
    """
    path = path.resolve()
    published = read_published(path)
    return path if published is None else model_folder(path, published.version)


def now() -> str:
    """Write the time that it is."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
