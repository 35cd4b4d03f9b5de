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

    It says, too, how many clicks repeat, how many are on items that training has not seen, how many steps
    of histories are targets, and what follows from that for the model.

    For example:

        dien inspect data/shop --html shop.html
    """
    from dien.data.dataset import Dataset
    from dien.data.inspection import advise, inspect_data, summary_rows
    from dien.reports.data_report import write_html

    with messages.status("reading"):
        inspection = inspect_data(Dataset.open(data))
    if html is not None:
        write_html(inspection, html)
    advice = advise(inspection)
    last = [f"what follows: {sentence}" for sentence in advice] + [f"dataset folder: {data}"]
    if html is not None:
        last.append(f"report: {html}")
    found = inspection.to_dict() | {"advice": advice}
    finish(found, summary_rows(inspection), "\n".join(last), as_json)
