"""What every source's command ends with: read a log, prepare it, write the dataset folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dien.cli.output import finish, messages

if TYPE_CHECKING:  # a command imports what it needs
    from dien.data.log import Log
    from dien.data.prepare.look import Histories
    from dien.data.prepare.prepared import Prepared

_HISTORIES = {
    "clicked": "interactions with label 1 alone",
    "all": "all interactions, whatever their label",
    "behaviours": "the log of behaviours alone",
    "row": "what stands in each row",
}


def write_data(
    read: Callable[[], Log],
    build: Callable[[list[Log], Path], Prepared],
    out: Path,
    as_json: bool,
    *,
    overwrite: bool = False,
) -> None:
    """Read a log, prepare it, write the dataset folder, and print its sizes.

    Args:
        read: reads the log; called once the folder is locked, so that nobody else changes what is there.
        build: prepares it: takes it out of the list that holds it, so that nobody else holds a large log,
            and a folder for what grows on the way.
        out: the dataset folder.
        as_json: whether one JSON object is printed.
        overwrite: whether a dataset folder that is there is replaced.
    """
    from msgspec import UNSET

    from dien.data.dataset import Dataset
    from dien.data.prepare.look import Histories
    from dien.data.writer import dataset_place, write_at

    with dataset_place(out, overwrite) as place:
        logs = [read()]
        with messages.status("preparing"):
            prepared = build(logs, place.scratch)
        with messages.status("writing"):
            write_at(prepared, place)
        dataset = Dataset.open(out)
        info, looked = dataset.info, prepared.looked
        histories = {name: Histories.of(dataset.behaviours, split) for name, split in dataset.splits.items()}
    rows: dict[str, Any] = {name: getattr(info.sizes, name) for name in ("users", "items", "behaviours")}
    ordered = info.times is not None and info.times.ordered
    times, utc = ("order", "") if ordered else ("times", " (UTC)")
    if looked is not None:
        rows[f"{times} of the log{utc}"] = _span((looked.first, looked.last), ordered)
        for join in looked.joins:
            rows[f"{join.side}s with a row in their table"] = f"{join.met:,} of {join.ids:,}"
    if info.times is not None:
        rows["times are written as"] = info.times.text
    for split, size in info.sizes.splits.items():
        clicked = f", {size.positives / size.rows:.1%} clicked" if size.rows else ""
        rows[f"{split} rows"] = f"{size.rows:,} in {size.impressions:,} impressions{clicked}"
        if (span := info.time[split]) is not None:
            rows[f"{split} {times}{utc}"] = _span(span, ordered)
            rows[f"{split} histories"] = _lengths(histories[split])
    for split, size in info.sizes.splits.items():
        if size.conversions is not UNSET:
            rows[f"{split} conversions"] = f"{size.conversions:,} of {size.positives:,} clicks"
    for split, size in info.sizes.splits.items():
        if size.weight is not UNSET:
            rows[f"{split} weights add up to"] = size.weight
    if info.weighted:
        rows["mean weight of the training rows"] = info.mean_weight
        if info.negatives.sampled:
            rows["weight of a sampled negative"] = "that of its click"
    if info.negatives.sampled:
        rows |= {
            "label": "none: every row counts as a click",
            "sampled negatives of each click": info.negatives.per_positive,
        }
    held = "every interaction" if info.negatives.sampled else _HISTORIES["clicked"]
    rows["histories hold"] = held if info.recipe.history == "clicked" else _HISTORIES[info.recipe.history]
    rows |= {f"left out or odd: {what}": count for what, count in info.excluded.items()}
    if info.dropped_features:
        rows["features left out"] = info.dropped_features
    if info.truth is not None:
        rows["best AUC of any model (test)"] = info.truth.best_auc["test"]
    looked_json = {
        "log": None if looked is None else asdict(looked),
        "histories": {name: asdict(one) for name, one in histories.items()},
    }
    finish({"data": str(out), **info.to_json(), **looked_json}, rows, f"dataset folder: {out}", as_json)


def _span(times: tuple[int, int], ordered: bool) -> str:
    """Write the first and the last minute of something, or the first and the last row."""
    from dien.data.prepare.splits import in_words

    first, last = (in_words(second, ordered) for second in times)
    if not ordered:
        first, last = (written[: len("2024-01-31 10:00")] for written in (first, last))
    return f"{first} to {last}"


def _lengths(histories: Histories) -> str:
    return f"mean {histories.mean:.1f}, longest {histories.longest:,}, {histories.empty:.1%} empty"
