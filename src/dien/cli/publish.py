"""The commands that publish a run for servers to follow, and that go back to the model before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.progress import TextColumn

from dien.cli import checks, options
from dien.cli.output import Results, finish, print_json, progress, table_of

if TYPE_CHECKING:
    from dien.published import Published
    from dien.serving.publish import Gate, Limits

PublishedFolder = Annotated[
    Path, options.argument("DIR", "Folder of published models, as dien publish writes it.")
]


def publish(
    run: options.RunFolder,
    to: Annotated[
        Path,
        options.option(
            "--to", "DIR", "Folder of published models, that dien serve DIR follows; made if new."
        ),
    ],
    data: Annotated[
        Path | None,
        options.option(
            "--data",
            "DATA",
            "Dataset folder whose held-out rows both models are evaluated on (default: that of the run).",
        ),
    ] = None,
    split: Annotated[
        Literal["valid", "test"], typer.Option("--split", help="Which of its rows are held out.")
    ] = "test",
    metric: Annotated[
        Literal["auc", "gauc", "log_loss"],
        typer.Option("--metric", help="What must not be worse than the current model's."),
    ] = "auc",
    margin: Annotated[
        float,
        options.option("--margin", "X", "By how much it may be worse all the same.", checks.not_negative),
    ] = 0.005,
    requests: Annotated[
        Path | None,
        options.option(
            "--requests", "FILE", "Requests that both models score, in JSON lines, as of dien serve --record."
        ),
    ] = None,
    most_drift: Annotated[
        float,
        options.option(
            "--most-drift",
            "X",
            "Largest mean difference of the two probabilities on these requests.",
            checks.not_negative,
        ),
    ] = 0.1,
    keep: Annotated[
        int,
        options.option(
            "--keep", "N", "Models to keep; the current one and the one before always are.", checks.count
        ),
    ] = 5,
    force: Annotated[
        bool,
        options.flag("--force", "Publish although the gate refuses the run; what it found is still printed."),
    ] = False,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Make a run the current model of a folder, if it is no worse than the one there.

    It is compared with the current model on held-out rows and replayed requests, copied, loaded once, and
    switched in. A server of the folder follows. For example:

        dien publish runs/shop-08 --to published/shop --requests requests.jsonl
    """
    from dien.serving.publish import GateError, Limits
    from dien.serving.publish import publish as publish_run

    limits = Limits(metric, margin, most_drift)
    with progress("comparing", None, TextColumn("{task.completed:,} scored")) as advance:
        try:
            done = publish_run(
                run,
                to,
                data=data,
                split=split,
                requests=requests,
                limits=limits,
                keep=keep,
                force=force,
                device=device,
                progress=advance,
            )
            refusal = None
        except GateError as error:
            refusal = error
    if refusal is not None:
        result = {"published": False, "to": str(to), "forced": False, "gate": refusal.gate.to_dict()}
        if not as_json:
            _print_notes(refusal.gate)
        finish(result, _rows(refusal.gate, limits), f"not published: {run}", as_json)
        raise refusal
    result = {
        "published": done.changed,
        "to": str(to),
        "version": done.version,
        "before": done.before,
        "forced": done.forced,
        "removed": done.removed,
        "gate": None if done.gate is None else done.gate.to_dict(),
    }
    if done.gate is None:
        finish(result, {"version": done.version}, f"nothing to do: {run} is current already", as_json)
        return
    if not as_json:
        _print_notes(done.gate, done.forced)
    rows = _rows(done.gate, limits) | {"version": done.version, "version before": done.before}
    rows |= {"old versions removed": done.removed} if done.removed else {}
    forced = " (forced)" if done.forced else ""
    finish(result, rows, f"published{forced}: {run} in {to}", as_json)


def rollback(
    folder: PublishedFolder,
    to: Annotated[
        str | None,
        options.option(
            "--to",
            "VERSION",
            "Model to go back to, as --list names it (default: the one before).",
            checks.text,
        ),
    ] = None,
    only_list: Annotated[
        bool, options.flag("--list", "List the models of the folder, and change nothing.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Make the model current again that was so before; once more goes one further back.

    A server of the folder follows. For example:

        dien rollback published/shop
    """
    from dien.serving.publish import published_models
    from dien.serving.publish import rollback as roll_back

    if only_list:
        if to is not None:
            raise typer.BadParameter("found --list and --to; give one of them")
        _list(published_models(folder), as_json)
        return
    was = published_models(folder)
    now = roll_back(folder, to)
    result = {"to": str(folder), "version": now.version, "rolled_back": was.version, "before": now.before}
    rows = {"version": now.version, "rolled back": was.version, "version before": now.before}
    finish(result, rows, f"rolled back: {folder} to {now.version}", as_json)


def _rows(gate: Gate, limits: Limits) -> dict[str, Any]:
    """Name what a gate has found, for people."""
    rows: dict[str, Any] = {}
    if (held := gate.held_out) is not None:
        rows["held out"] = f"{held.rows:,} rows, {held.split} of {held.data}"
        found = held.metrics[limits.metric]
        rows[f"{limits.metric} of the new model"] = found.new
        if found.current is not None:
            rows[f"{limits.metric} of the current model"] = found.current
        if found.difference is not None:
            rows["difference"] = f"{found.difference:+.4f}"
        if found.low is not None and found.high is not None:
            rows["difference, 95 % interval"] = f"{found.low:+.4f} to {found.high:+.4f}"
    if (drift := gate.drift) is not None:
        rows["requests replayed"] = drift.requests
        rows["refused by the new model"] = drift.refused
        if drift.mean_difference is not None:
            rows["mean difference of scores"] = drift.mean_difference
            rows["largest difference of scores"] = drift.largest_difference
            rows["rank correlation"] = drift.rank_correlation
            rows["mean score of the new model"] = drift.mean_score
            rows["mean score of the current model"] = drift.mean_score_of_current
    if gate.loaded:
        rows["requests scored by the copy"] = gate.loaded
    return rows


def _print_notes(gate: Gate, forced: bool = False) -> None:
    """Say what was not checked, and what the gate has refused where that was overruled."""
    notes = [f"not checked: {what}" for what in gate.unchecked]
    notes += [f"refused by the gate: {what}" for what in gate.refused] if forced else []
    for note in notes:
        Results().print(note, soft_wrap=True)


def _list(published: Published, as_json: bool) -> None:
    """Print the models of a folder, the newest first."""
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(published))
        return
    table = table_of("version", "published", "run", "forced", "")
    for model in reversed(published.models):
        place = {published.version: "current", published.before: "before"}.get(model.version, "")
        table.add_row(model.version, model.published, model.run, "forced" if model.forced else "", place)
    Results().print(table)
