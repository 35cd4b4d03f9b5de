"""Configurations tuned for the public data sets, by name: what ``--config`` takes in the place of a file.

Each file says what found it; all models of a file had the same budget (docs/results.md).
"""

from __future__ import annotations

from pathlib import Path

PRESETS = {file.stem: file for file in sorted(Path(__file__).parent.glob("*.yaml"))}
"""Files with keys under ``models: NAME:``, by the name of the data they were tuned on."""


def preset_or_file(path: Path) -> Path:
    """Find the file of a preset, where there is no file of that name.

    Args:
        path: a file, or a name in :data:`PRESETS`.
    """
    return path if path.exists() else PRESETS.get(str(path), path)
