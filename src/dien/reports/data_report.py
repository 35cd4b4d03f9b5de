"""The report on a DATA folder as one HTML file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from dien.data.inspection import Coverage, Drift, Inspection
from dien.data.inspection.distribution import DRIFT_BINS, PERCENTS, Distribution
from dien.files import write_text
from dien.reports.page import (
    Cell,
    beside,
    bullets,
    decimals,
    heading,
    histogram,
    page,
    paragraph,
    percent,
    table,
)

MODERATE_PSI, LARGE_PSI = 0.1, 0.25
_Of = TypeVar("_Of", Coverage, Drift)


def write_html(inspection: Inspection, path: Path) -> None:
    """Write a report that needs nothing beside it.

    Args:
        inspection: what was found.
        path: the HTML file; one that is there is replaced.

    Raises:
        RunError: it cannot be written.
    """
    write_text(path, page(f"Data: {Path(inspection.data).name}", _parts(inspection)))


def _parts(inspection: Inspection) -> Iterator[str]:
    yield from _origin(inspection)
    yield heading("What stands out")
    yield bullets(_findings(inspection))
    yield from _splits(inspection)
    yield from _lengths(inspection)
    yield from _popularity(inspection)
    yield from _drift(inspection)
    yield from _coverage(inspection)


def _origin(inspection: Inspection) -> Iterator[str]:
    info = inspection.info
    yield paragraph(
        f"{inspection.users:,} users, {inspection.items:,} items, {inspection.behaviours:,} behaviours. "
        f"Recipe: {info.recipe.name}. Split: {info.split_rule}. Negatives: {info.negatives.rule}."
    )
    excluded = {what: count for what, count in info.excluded.items() if count}
    if excluded:
        yield table(["Left out by prepare", "count"], excluded.items())
    if info.dropped_features:
        yield paragraph("Features without a known value: " + ", ".join(info.dropped_features))


def _findings(inspection: Inspection) -> Iterator[str]:
    """Say in words what a reader should not overlook."""
    if inspection.leaks:
        yield f"{inspection.leaks:,} impressions have a history that is not strictly before them: they leak."
    else:
        yield "Every file fits the others, and every history lies strictly before its impression."
    for name, facts in inspection.splits.items():
        if not facts.rows:
            yield f"{name} is empty."
        elif facts.positives in (0, facts.rows):
            yield f"{name} has rows of one class only: it has no AUC."
    for (feature, place), drifts in _by_feature(inspection.drift).items():
        if much := [split for split, drift in drifts.items() if _mark(drift) == "much"]:
            yield f"{feature} ({place}) drifts much from train to {' and '.join(much)}."
    untrained = {use.feature for use in inspection.tables if not use.unknown}
    for (feature, place), covers in _by_feature(inspection.coverage).items():
        shares = [f"{percent(cover.unknown)} of {split}" for split, cover in covers.items() if cover.unknown]
        if shares and feature in untrained and not covers["train"].unknown:  # as of empty lists
            yield (
                f"{feature} ({place}) is unknown in {' and '.join(shares)}, but never in train: "
                "nothing there teaches the embedding of unknown."
            )


def _splits(inspection: Inspection) -> Iterator[str]:
    yield heading(
        "Splits",
        "A row is a candidate of an impression. New users and items have no row in train; unknown ones have "
        "index 0 as an id, whatever else is known of them.",
    )
    facts = inspection.splits.values()
    rows: list[tuple[str, list[Cell]]] = [
        ("impressions", [f.impressions for f in facts]),
        ("rows", [f.rows for f in facts]),
        ("clicked", [f.positives for f in facts]),
        ("click rate", [percent(f.click_rate) for f in facts]),
        ("click rate against train", [_signed(f.click_rate_change) for f in facts]),
        ("first impression (UTC)", [_moment(f.first) for f in facts]),
        ("last impression (UTC)", [_moment(f.last) for f in facts]),
        ("users", [f.users for f in facts]),
        ("new users", [f.new_users for f in facts]),
        ("rows of new users", [percent(f.new_user_rows) for f in facts]),
        ("rows of unknown users", [percent(f.unknown_user_rows) for f in facts]),
        ("items", [f.items for f in facts]),
        ("new items", [f.new_items for f in facts]),
        ("rows of new items", [percent(f.new_item_rows) for f in facts]),
        ("rows of unknown items", [percent(f.unknown_item_rows) for f in facts]),
        (
            "impressions that leak",
            [(f"{f.leaks:,}", "much") if f.leaks else f.leaks for f in facts],
        ),
    ]
    yield table(["", *inspection.splits], [[name, *cells] for name, cells in rows])


def _lengths(inspection: Inspection) -> Iterator[str]:
    yield heading("Lengths", "Bins double in width; a bar's label is where it begins.")
    of_user = {"behaviours of a user": inspection.history}
    if inspection.unclicked is not None:
        of_user["shown and not clicked up to a behaviour"] = inspection.unclicked
    splits = inspection.splits.items()
    histories = {f"history, {name}": facts.history for name, facts in splits}
    candidates = {f"candidates of an impression, {name}": facts.candidates for name, facts in splits}
    for group in (of_user, histories, candidates):
        yield beside(histogram(name, numbers) for name, numbers in group.items() if numbers.count)
    yield _quantiles({**of_user, **histories, **candidates})


def _popularity(inspection: Inspection) -> Iterator[str]:
    popularity = inspection.popularity
    yield heading(
        "Popularity of items",
        f"The most frequent 1 % of items have {percent(popularity.top_1_percent) or '-'} of all behaviours, "
        f"10 % have {percent(popularity.top_10_percent) or '-'}. Gini coefficient "
        f"{decimals(popularity.gini) or '-'} (0: every item has as many; near 1: one has all).",
    )
    yield beside([histogram("behaviours of an item", popularity.behaviours)])
    yield _quantiles({"behaviours of an item": popularity.behaviours})


def _drift(inspection: Inspection) -> Iterator[str]:
    yield heading(
        "Drift from train",
        f"Over the {DRIFT_BINS} values most frequent in train, the others pooled. PSI, the population "
        f"stability index, is marked from {MODERATE_PSI} (moderate) and {LARGE_PSI} (large), unless draws "
        "from one distribution would show half as much by chance. JS, the Jensen-Shannon divergence in bits, "
        "is 0 where nothing differs and 1 where nothing is shared.",
    )
    splits = [name for name in inspection.splits if name != "train"]
    head = [f"{name}: {what}" for name in splits for what in ("PSI", "by chance", "JS")]
    yield table(
        ["feature", "of", *head],
        [
            [*key, *(cell for name in splits for cell in _distance(by[name]))]
            for key, by in _by_feature(inspection.drift).items()
        ],
        names=2,
    )


def _coverage(inspection: Inspection) -> Iterator[str]:
    rows = _by_feature(inspection.coverage)
    splits = list(inspection.splits)
    yield heading(
        "What is unknown",
        "Share of candidates (target), of steps of histories, of impressions (user, context) whose index is "
        "0, whose list has no known value, or whose number is missing.",
    )
    yield table(
        ["feature", "of", *splits],
        [[*key, *(percent(by[name].unknown) for name in splits)] for key, by in rows.items()],
        names=2,
    )
    numeric = {key: by for key, by in rows.items() if any(c.mean is not None for c in by.values())}
    if numeric:
        yield heading("Numbers", "Scaled as they are stored, where they are known.")
        yield table(
            ["feature", "of", *(f"{name}: {what}" for name in splits for what in ("mean", "std"))],
            [
                [*key, *(decimals(n) for name in splits for n in (by[name].mean, by[name].std))]
                for key, by in numeric.items()
            ],
            names=2,
        )
    yield heading(
        "Embedding tables",
        "Rows that no target, history, user or context of train has; those of items may still be reached by "
        "negatives drawn while training. All that is unknown has one row, index 0: it should be in train.",
    )
    yield table(
        ["feature", "rows", "not in train", "share", "unknown in train"],
        [
            [use.feature, use.size, use.unseen, percent(use.unseen / use.size), use.unknown]
            for use in inspection.tables
        ],
    )


def _by_feature(found: Iterable[_Of]) -> dict[tuple[str, str], dict[str, _Of]]:
    """Gather what was found by feature and place, then by split."""
    gathered: dict[tuple[str, str], dict[str, _Of]] = {}
    for one in found:
        gathered.setdefault((one.feature, one.place), {})[one.split] = one
    return gathered


def _quantiles(lengths: dict[str, Distribution]) -> str:
    head = ["", *({0: "least", 50: "median", 100: "most"}.get(p, f"{p} %") for p in PERCENTS), "mean"]
    return table(
        head,
        [
            [name, *(numbers.quantiles.get(str(p)) for p in PERCENTS), decimals(numbers.mean)]
            for name, numbers in lengths.items()
        ],
    )


def _distance(drift: Drift) -> list[Cell]:
    apart = drift.distance
    if apart is None:
        return [None, None, None]
    psi, mark = f"{apart.psi:.3f}", _mark(drift)
    return [(psi, mark) if mark else psi, f"{apart.by_chance:.3f}", f"{apart.js:.3f}"]


def _mark(drift: Drift) -> str:
    apart = drift.distance
    if apart is None or apart.psi < MODERATE_PSI or not apart.beyond_chance:
        return ""
    return "much" if apart.psi >= LARGE_PSI else "some"


def _signed(change: float | None) -> str | None:
    return None if change is None else f"{100 * round(change, 3) + 0.0:+.1f} %"


def _moment(seconds: int | None) -> str | None:
    """Write a time as numpy does: it takes any, however odd."""
    return None if seconds is None else str(np.datetime64(seconds, "s")).replace("T", " ")
