"""Following a folder of published models: whether its ``current.json`` is another than it was."""

from __future__ import annotations

from pathlib import Path

from dien.published import CURRENT

Look = tuple[int, int, int]


class Following:
    """Looks at the ``current.json`` of a folder, which a publish or a rollback replaces.

    Args:
        path: what is served; where it is no folder of published models, nothing ever changes.
    """

    def __init__(self, path: Path) -> None:
        self._file = path / CURRENT
        self._seen = self._look()

    def changed(self) -> bool:
        """Tell whether the file was replaced since this was asked last; False where it is gone."""
        found = self._look()
        if found is None or found == self._seen:
            return False
        self._seen = found
        return True

    def ask_again(self) -> None:
        """Have the next :meth:`changed` be true: what the file says could not be looked into yet."""
        self._seen = None

    def _look(self) -> Look | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
