"""The whole-run view as tables of a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from dien.cli.output import table_of

if TYPE_CHECKING:
    from dien.explain import WholeRun


def whole_run_tables(whole: WholeRun) -> list[Table]:
    """Set the click rate in the log beside mean scores and attention.

    Args:
        whole: what was found.

    Returns:
        A table of rows by what their history has; and one of behaviours by place and kind, without those that
        have nothing of the candidate, with mean scores and mean attention.
    """
    rows = table_of("the history has", "rows", "clicked", "score")
    for kind, cell in whole.rows_by_kind.items():
        rows.add_row(kind, f"{cell.number:,}", f"{cell.clicked:.4f}", f"{cell.score:.4f}")
    attended = (f"to {layer.split()[-1]}" for layer in whole.layers)  # states, behaviours
    places = table_of("from the end", "behaviour", "number", "clicked", "score", *attended)
    for kind in whole.kinds[:-1]:
        for band in whole.positions:
            if kind in band.cells:
                cell = band.cells[kind]
                attention = (f"{share:.4f}" for share in cell.attention.values())
                places.add_row(
                    band.name,
                    kind,
                    f"{cell.number:,}",
                    f"{cell.clicked:.4f}",
                    f"{cell.score:.4f}",
                    *attention,
                )
    return [rows, places]
