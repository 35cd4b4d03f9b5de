"""The page of the whole-run view: what a log says beside what runs have learned from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dien.explain.whole_run import WholeRun
from dien.files import write_text
from dien.reports.rendering import fill


def write_whole_run(runs: Sequence[WholeRun], path: Path) -> None:
    """Write the page of the whole-run view; arguments as of :func:`whole_run_html`.

    Args:
        runs: likewise.
        path: the HTML file; one that is there is replaced.

    Raises:
        RunError: it cannot be written.
    """
    write_text(path, whole_run_html(runs))


def whole_run_html(runs: Sequence[WholeRun]) -> str:
    """Make the page of the whole-run view: one HTML file that loads nothing else.

    Args:
        runs: of one dataset and split, at least one.

    Returns:
        The page as HTML; ``frontend/src/whole-run`` draws it.
    """
    title = " and ".join(f"{run.run} ({run.model})" for run in runs)
    return fill(
        "whole_run.html.j2",
        title=f"What the log says and what was learned: {title}",
        scripted=True,
        runs={"runs": [run.to_dict() for run in runs]},
    )
