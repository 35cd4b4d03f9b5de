"""The command that says what decided the scores of a user's candidates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dien.cli import checks, options
from dien.cli.explanation_text import behaviours_table, candidates_table, flip_texts, named, reads_text
from dien.cli.output import Results, finish, messages, print_as_it_is


def explain(
    run: options.RunFolder,
    user: Annotated[str, options.option("--user", "ID", "Whose history: an id of the log.", checks.text)],
    candidates: Annotated[
        checks.Names | None,
        options.option("--candidates", "IDS", "Items to explain, with commas between.", checks.names),
    ] = None,
    top: Annotated[
        int | None,
        options.option(
            "--top",
            "N",
            "Instead of --candidates: so many items of the catalogue that score best; 5 without either.",
            checks.whole(1),
        ),
    ] = None,
    time: Annotated[
        str | None,
        options.option(
            "--time",
            "TIME",
            "Explain as of then: the history is what came before. By default all that the log has.",
            checks.text,
        ),
    ] = None,
    data: Annotated[Path | None, options.moved("DATA", "the dataset folder is")] = None,
    html: Annotated[
        Path | None,
        options.option("--html", "FILE", "Also write a page: one HTML file that needs no network."),
    ] = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Say which behaviours of a user decided the scores of items.

    The influence of a behaviour is the log odds of a click with it, minus those without it. The table has the
    best of the items; --html and --json have all that is known of each.

    For example:

        dien explain runs/shop --user 1234 --top 3 --html user.html

        dien explain runs/shop --user 1234 --candidates 71,1290 --json
    """
    from msgspec import structs

    from dien.errors import DataError
    from dien.explain import best_items, expect_known, user_request
    from dien.explain import explain as explained
    from dien.files import write_text
    from dien.reports.explanation_page import explanation_html
    from dien.run import Run
    from dien.serving import Scorer

    if candidates is not None and top is not None:
        raise typer.BadParameter("--candidates and --top each say what is explained; keep one of them")
    for candidate in candidates or ():
        if candidates and candidates.count(candidate) > 1:
            raise typer.BadParameter(f"--candidates: {candidate} is there twice; name each item once")
    opened = Run.open(run)
    dataset = opened.dataset(data)
    scorer = Scorer(opened, dataset, device)
    try:
        scorer.fields.time.plain(time)
    except ValueError as error:
        raise DataError(f"--{error}") from None
    with messages.status("explaining"):
        request = user_request(scorer, dataset, user, candidates or (), time)
        if candidates is None:
            request = structs.replace(request, candidates=best_items(scorer, request, top or 5))
        else:
            expect_known(scorer, candidates)
        explanation = explained(scorer, request)
    if html is not None:
        write_text(html, explanation_html(explanation))
    if as_json:
        print_as_it_is(explanation.to_json().decode() + "\n")
        return
    best = max(range(len(explanation.candidates)), key=lambda b: explanation.candidates[b].score)
    results = Results()
    results.print(candidates_table(explanation), "")
    results.print(f"{named(explanation.candidates[best].item)}: behaviours of most influence")
    results.print(behaviours_table(explanation, best))
    results.print(reads_text(explanation, best), "")
    rows = {run.name: f"{run.influence:+.4f}" for run in explanation.candidates[best].runs}
    if rows:
        results.print(f"{named(explanation.candidates[best].item)}: influence of several, left out at once")
    last = [*flip_texts(explanation), f"run folder: {run}"]
    if html is not None:
        last.append(f"page: {html}")
    finish({}, rows, "\n".join(last), as_json=False)
