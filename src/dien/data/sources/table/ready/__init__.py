"""Ready schemas of published data sets, by name: what ``--schema`` takes in the place of a file.

Each file begins with the data set, where its format is described, the command, and what is not read.
"""

from __future__ import annotations

import difflib
from pathlib import Path

READY = {file.stem: file for file in sorted(Path(__file__).parent.glob("*.yaml"))}
"""Their files by name."""


def ready_or_file(path: Path) -> Path:
    """Find the file of a ready schema, where there is no file of that name.

    Args:
        path: a file, or a name in :data:`READY`.
    """
    if path.exists() and not path.is_dir():  # the folder of a data set often has its name
        return path
    return READY.get(str(path), path)


def about(name: str) -> str:
    """Say in a line what a ready schema is of: the first line of its file.

    Args:
        name: in :data:`READY`.
    """
    return READY[name].read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def names_near(name: str) -> list[str]:
    """List the names of all ready schemas, those that are most like a name first.

    Args:
        name: that no ready schema has.
    """
    return difflib.get_close_matches(name, READY, len(READY), cutoff=0.0)
