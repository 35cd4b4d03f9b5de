"""The command that says what decided the scores of a user's candidates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dien.cli import checks, options
from dien.cli.output import Results, finish, messages, print_as_it_is, table_of

if TYPE_CHECKING:
    from dien.explain import Explanation, ShownItem

SHOWN = 15
"""Behaviours that the table has: those of most influence."""


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

    from dien.explain import best_items, expect_known, user_request
    from dien.explain import explain as explained
    from dien.files import write_text
    from dien.reports.explanation_page import explanation_html
    from dien.run import Run
    from dien.serving import Scorer

    if candidates is not None and top is not None:
        raise typer.BadParameter("--candidates and --top each say what is explained; keep one of them")
    opened = Run.open(run)
    dataset = opened.dataset(data)
    scorer = Scorer(opened, dataset, device)
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
    results.print(_candidates(explanation), "")
    results.print(f"{_named(explanation.candidates[best].item)}: behaviours of most influence")
    results.print(_behaviours(explanation, best), "")
    rows = {run.name: f"{run.influence:+.4f}" for run in explanation.candidates[best].runs}
    last = [*_flip(explanation), f"run folder: {run}"]
    if html is not None:
        last.append(f"page: {html}")
    finish({}, rows, "\n".join(last), as_json=False)


def _candidates(explanation: Explanation) -> Table:
    table = table_of("candidate", "score", "logit")
    for one in explanation.candidates:
        table.add_row(_named(one.item), f"{one.score:.4f}", f"{one.logit:.4f}")
    return table


def _behaviours(explanation: Explanation, best: int) -> Table:
    """List the behaviours of most influence, by size."""
    one = explanation.candidates[best]
    names = [f"attention: {layer}" for layer in one.attention]
    table = table_of("behaviour", "from the end", "day", *names, "influence")
    T = len(explanation.history)
    for place in sorted(range(T), key=lambda t: -abs(one.influence[t]))[:SHOWN]:
        shown = explanation.history[place]
        attention = [f"{weights[place]:.4f}" for weights in one.attention.values()]
        influence = f"{one.influence[place]:+.4f}"
        table.add_row(_named(shown.item), str(T - place), (shown.time or "-")[:10], *attention, influence)
    return table


def _named(item: ShownItem) -> str:
    """Write an item for people: its name, where it has one, and its id."""
    about = item.features.get("category")
    what = item.name or about
    return item.id if what is None or what == item.id else f"{what} ({item.id})"


def _flip(explanation: Explanation) -> list[str]:
    """Say without which behaviours the second candidate would come first."""
    flip = explanation.flip
    if flip is None:
        return []
    first, second = (_named(explanation.candidates[k].item) for k in (flip.first, flip.second))
    T = len(explanation.history)
    places = ", ".join(str(T - place) for place in flip.removed[::-1]) + " from the end"
    fewest = "the fewest" if flip.exact else "fewer may do"
    return [
        f"without the behaviours {places} ({fewest}), the order turns: {first} scores {flip.after[0]:.4f}, "
        f"{second} {flip.after[1]:.4f}"
    ]
