"""The command that looks at a dataset folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dien.cli import options
from dien.cli.output import finish, messages


def inspect(
    data: options.DataFolder,
    html: Annotated[
        Path | None,
        options.option("--html", "FILE", "Also write a report: one HTML file that needs no network."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Check a dataset folder, and print its sizes, lengths of histories, coverage, and drift between splits.

    For example:

        dien inspect data/shop --html shop.html
    """
    from dien.data.dataset import Dataset
    from dien.data.inspection import inspect_data, summary_rows
    from dien.reports.data_report import write_html

    with messages.status("reading"):
        inspection = inspect_data(Dataset.open(data))
    if html is not None:
        write_html(inspection, html)
    last = f"dataset folder: {data}" + (f"\nreport: {html}" if html is not None else "")
    finish(inspection.to_dict(), summary_rows(inspection), last, as_json)
