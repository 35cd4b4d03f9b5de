"""A folder of published models: a run is copied into it, made current, and older ones are removed.

The current model is never changed, and nothing that ``current.json`` does not name is read. So a process
that is killed at any moment leaves the old model current, or the new one, whole; what it has left besides is
removed by the next one.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import structs

from dien.errors import PublishError
from dien.files import make_folder, sync
from dien.places import making, owned
from dien.published import (
    CURRENT,
    FORMAT,
    MODELS,
    VERSION,
    Published,
    PublishedModel,
    model_folder,
    now,
    read_published,
)
from dien.run import Run

_OURS = re.compile(rf"{VERSION.pattern}|\.{VERSION.pattern}\.scratch\.[0-9a-f]{{8}}")


@contextmanager
def publishing(path: Path) -> Iterator[Published | None]:
    """Keep every other publish and rollback away from a folder, and tidy up after those that were killed.

    Args:
        path: the folder, there or not.

    Yields:
        What is published there; None where nothing is.

    Raises:
        PublishError: another process publishes there, the folder cannot be written, or its ``current.json``
            is not as expected, or missing beside models.
    """
    with owned(path, PublishError):
        published = read_published(path)
        if published is None and path.exists() and (other := _of_others(path)):
            raise PublishError(
                f"{path}: holds {other} and no {CURRENT}; expected a folder of published models, or none: "
                "choose another --to"
            )
        if published is None and (models := _models(path)) > 1:  # a first publish that is killed leaves one
            raise PublishError(
                f"{path}: holds {models} models and no {CURRENT}; put a copy of the file back, or choose "
                "another --to"
            )
        _tidy(path, published)
        yield published


def copy_run(run: Run, path: Path, version: str, replaces: bool = False) -> Path:
    """Copy what scoring needs of a run into the folder of published models.

    They are copies, no links: a run folder that is trained on or edited later changes no published model.

    Args:
        run: finished.
        path: the folder, which this process has for itself (:func:`publishing`).
        version: of the run, which is not current.
        replaces: whether a copy that is there already is replaced: it may be damaged.

    Raises:
        PublishError: it cannot be written, or the run was changed since its version was found.
        RunError: a file of the run cannot be read.
    """
    to = model_folder(path, version)
    try:
        make_folder(to.parent)
        with making(to, PublishError, replaces) as place, place.building() as new:
            for name in run.scoring_files:
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                with run.folder.open(name) as source, (new / name).open("xb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
            if (found := Run.open(new).version) != version:
                raise PublishError(
                    f"{run.path}: was changed while it was published: its version was {version}, is {found}; "
                    "publish it again"
                )
    except OSError as error:
        raise PublishError(
            f"{to}: could not be written ({error.strerror}); make room, or choose another --to"
        ) from error
    return to


def with_model(published: Published | None, model: PublishedModel) -> Published:
    """Make a model current, the newest of a folder.

    Args:
        published: what is published there by now.
        model: of which the folder has the files.
    """
    models, history = ([], []) if published is None else (published.models, published.history)
    others = [one for one in models if one.version != model.version]
    return Published(
        format=FORMAT,
        version=model.version,
        since=model.published,
        history=[*(one for one in history if one != model.version), model.version],
        models=[*others, model],
    )


def with_current(published: Published, version: str) -> Published:
    """Make a model of a folder current again: what was current after it leaves the history."""
    history = published.history
    kept = history[: history.index(version)] if version in history else history
    return structs.replace(published, version=version, since=now(), history=[*kept, version])


def with_newest(published: Published, keep: int) -> Published:
    """Leave out the oldest models of a folder, but neither the current one nor the one before.

    Args:
        published: what is published there.
        keep: how many models to keep.
    """
    needed = {published.version, published.before}
    others = [model.version for model in published.models if model.version not in needed]
    gone = others[: max(0, len(published.models) - keep)]
    return structs.replace(
        published,
        history=[version for version in published.history if version not in gone],
        models=[model for model in published.models if model.version not in gone],
    )


def switch(path: Path, before: Published | None, to: Published) -> list[str]:
    """Write ``current.json``, then remove the models that it no longer names.

    Args:
        path: the folder, which this process has for itself (:func:`publishing`).
        before: what was published there.
        to: what is from now on.

    Returns:
        The versions that were removed.

    Raises:
        DienError: it cannot be written; what was published is so still.
    """
    to.save(path)
    removed = (
        [] if before is None else [one.version for one in before.models if to.model(one.version) is None]
    )
    for version in removed:
        remove(path, version)
    return removed


def remove(path: Path, version: str) -> None:
    """Remove the files of a model that ``current.json`` does not name; what cannot be removed stays."""
    shutil.rmtree(model_folder(path, version), ignore_errors=True)
    with suppress(OSError):
        sync(path / MODELS)


def _of_others(path: Path) -> str | None:
    """Name something in a folder that no publish has made; None where there is nothing."""
    if not path.is_dir():
        return "a file"
    names = sorted(one.name for one in path.iterdir())
    return next(
        (name for name in names if name not in (MODELS, ".lock") and not name.startswith(f".{CURRENT}")), None
    )


def _models(path: Path) -> int:
    """Count the models of a folder that are whole: a copy gets its name when it is."""
    models = path / MODELS
    return sum(bool(VERSION.fullmatch(one.name)) for one in models.iterdir()) if models.is_dir() else 0


def _tidy(path: Path, published: Published | None) -> None:
    """Remove the models that killed processes have left, and say so."""
    named = set() if published is None else {model.version for model in published.models}
    models = path / MODELS
    for left in sorted(models.iterdir()) if models.is_dir() else ():
        if _OURS.fullmatch(left.name) and left.name not in named:
            shutil.rmtree(left, ignore_errors=True)
            done = "could not be removed, remove it" if os.path.lexists(left) else "removed"
            warnings.warn(f"{left}: {done}; a process that was killed had left it", UserWarning, stacklevel=4)
