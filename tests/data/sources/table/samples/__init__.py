"""Small made samples of published data sets, in their exact formats: 60 users, 40 items, random clicks."""

from pathlib import Path

from tests.data.sources.table.samples import ads, analytics, media, reviews, shops
from tests.data.sources.table.samples.making import ROWS, SAMPLES, Draw

__all__ = ["ROWS", "SAMPLES", "ads", "analytics", "media", "reviews", "shops", "write"]


def write(name: str, folder: Path, rows: int = ROWS) -> int:
    """Write the files of a sample, as they are called where they are published.

    Args:
        name: of its ready schema.
        folder: where they are written.
        rows: its events, or pages.

    Returns:
        How many candidates it has.
    """
    return SAMPLES[name](folder, Draw(name, rows)) or rows
