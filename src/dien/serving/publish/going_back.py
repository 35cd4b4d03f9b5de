"""Going back to a model that was current before."""

from __future__ import annotations

from pathlib import Path

from dien.errors import PublishError
from dien.published import CURRENT, Published, model_folder, read_published
from dien.serving.publish.folder import publishing, switch, with_current
from dien.serving.publish.loading import expect_loads


def rollback(path: Path | str, to: str | None = None) -> Published:
    """Make the model current again that was so before, or another one of the folder.

    A second rollback goes one further back. The model that was current stays in the folder, until a publish
    removes it as one of the oldest.

    Args:
        path: folder of published models.
        to: version of the model; None for the one before.

    Returns:
        What is published there now.

    Raises:
        PublishError: there is no such model, it is current already, another process publishes there, or the
            folder cannot be written.
        RunError: the model cannot be loaded any more; the current one stays so.
    """
    path = Path(path)
    published_models(path)
    with publishing(path) as published:
        assert published is not None
        version = published.before if to is None else to
        if version is None:
            raise PublishError(f"{path}: no model was current before {published.version}{_others(published)}")
        if version == published.version:
            raise PublishError(f"{path}: {version} is current already{_others(published)}")
        if published.model(version) is None:
            raise PublishError(f"{path}: found no version {version!r}{_others(published)}")
        expect_loads(model_folder(path, version))
        rolled = with_current(published, version)
        switch(path, published, rolled)
        return rolled


def published_models(path: Path | str) -> Published:
    """Tell what is published in a folder.

    Raises:
        PublishError: it is no folder of published models.
    """
    path = Path(path)
    if (published := read_published(path)) is None:
        raise PublishError(
            f"{path / CURRENT}: No such file or directory; name a folder that dien publish wrote (--to)"
        )
    return published


def _others(published: Published) -> str:
    """Name the versions that one may go back to."""
    others = [model.version for model in published.models if model.version != published.version]
    return f"; choose one of {', '.join(others)} (--to)" if others else "; there is no other in the folder"
