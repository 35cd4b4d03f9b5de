"""The whole-run view as tables of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from dien.cli.output import table_of

if TYPE_CHECKING:
    from dien.explain.whole_run import Band, WholeRun


def whole_run_tables(whole: WholeRun) -> list[Table | str]:
    """Set the click rate in the log beside mean scores and attention.

    Args:
        whole: what was found.

    Returns:
        A table of rows by what their history has; tables of behaviours by place and kind, and by age and kind
        where times are known, with mean scores and mean attention; and a sentence about the behaviours that
        have nothing of the candidate, which these do not list.
    """
    rows = table_of("the history has", "rows", "clicked", "score")
    for kind, cell in whole.rows_by_kind.items():
        rows.add_row(kind, f"{cell.number:,}", f"{cell.clicked:.4f}", f"{cell.score:.4f}")
    ages = [_bands("how long ago", whole.ages, whole)] if whole.ages else []
    left_out = (
        f"behaviours of the kind {whole.kinds[-1]!r} are not in these tables; --json and --html have them"
    )
    return [rows, _bands("from the end", whole.positions, whole), *ages, left_out]


def _bands(by: str, bands: Sequence[Band], whole: WholeRun) -> Table:
    """List the behaviours of each band, kind after kind, but for those of the last kind."""
    attended = (f"to {layer.split()[-1]}" for layer in whole.layers)  # states, behaviours
    table = table_of(by, "behaviour", "number", "clicked", "score", *attended)
    for kind in whole.kinds[:-1]:
        for band in bands:
            if kind in band.cells:
                cell = band.cells[kind]
                attention = (f"{share:.4f}" for share in cell.attention.values())
                figures = f"{cell.number:,}", f"{cell.clicked:.4f}", f"{cell.score:.4f}"
                table.add_row(band.name, kind, *figures, *attention)
    return table
