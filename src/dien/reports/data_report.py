"""The report of ``dien inspect --html``: what a dataset folder holds, as one HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from dien.data.inspection import STEPS, Coverage, Drift, Inspection, advise
from dien.data.inspection.distribution import DRIFT_BINS, PERCENTS, Distribution
from dien.files import write_text
from dien.reports.charts import histogram
from dien.reports.parts import Bullets, Cell, Heading, Paragraph, Part, Row, Table, decimals, percent, section
from dien.reports.rendering import report

MODERATE_PSI, LARGE_PSI = 0.1, 0.25
_Found = TypeVar("_Found", Coverage, Drift)


def write_html(inspection: Inspection, path: Path) -> None:
    """Write the report: one HTML file that loads nothing else.

    Args:
        inspection: what :func:`~dien.data.inspection.inspect_data` found.
        path: the HTML file; one that is there is replaced.

    Raises:
        RunError: it cannot be written.
    """
    write_text(path, report(f"Dataset: {Path(inspection.data).name}", _parts(inspection)))


def _parts(inspection: Inspection) -> Iterator[Part]:
    yield from _origin(inspection)
    yield Heading("Findings")
    yield Bullets(list(_findings(inspection)))
    yield from _what_follows(inspection)
    yield from _splits(inspection)
    yield from _lengths(inspection)
    yield from _popularity(inspection)
    yield from _drift(inspection)
    yield from _coverage(inspection)


def _origin(inspection: Inspection) -> Iterator[Part]:
    info = inspection.info
    yield Paragraph(
        f"{inspection.users:,} users, {inspection.items:,} items, {inspection.behaviours:,} behaviours. "
        f"Recipe: {info.recipe.name}. Split: {info.split_rule}. Negatives: {info.negatives.rule}."
    )
    excluded = {what: count for what, count in info.excluded.items() if count}
    if excluded:
        yield Table(["left out by dien prepare, or odd", "count"], list(excluded.items()))
    if info.dropped_features:
        yield Paragraph("Features without any known value, left out: " + ", ".join(info.dropped_features))


def _findings(inspection: Inspection) -> Iterator[str]:
    """Say in words what needs attention."""
    if inspection.leaks:
        yield f"{inspection.leaks:,} impressions leak: their history is not strictly before them."
    else:
        yield "Every file fits the others, and every history lies strictly before its impression."
    for found in inspection.telling:
        yield (
            f"{found.feature} alone tells the label (AUC {found.auc:.3f} on held-out training rows): it "
            "seems to be written after the click; move it to features.behaviour, or leave it out."
        )
    for name, facts in inspection.splits.items():
        if not facts.rows:
            yield f"{name} has no rows."
        elif facts.positives in (0, facts.rows):
            yield f"{name} has rows with one label only: it has no AUC."
    for (feature, place), drifts in _by_feature(inspection.drift).items():
        if much := [split for split, drift in drifts.items() if _mark(drift) == "much"]:
            yield f"{feature} ({place}) drifts much from train to {' and '.join(much)}."
    untrained = {use.feature for use in inspection.tables if not use.unknown}
    for (feature, place), covers in _by_feature(inspection.coverage).items():
        shares = [f"{percent(cover.unknown)} of {split}" for split, cover in covers.items() if cover.unknown]
        if shares and feature in untrained and not covers["train"].unknown:  # as of empty lists
            yield (
                f"{feature} ({place}) is unknown in {' and '.join(shares)}, but never in train: "
                "the embedding of unknown values is not trained (rare_share trains it, or for ids of "
                "items and users training.id_dropout)."
            )


def _what_follows(inspection: Inspection) -> Iterator[Part]:
    """Say what share of steps are targets, and what the shares of clicks and steps mean for the model."""
    share = percent(inspection.target_steps)
    if inspection.info.own_histories:
        share = "not known, as each row carries its own history"
    yield from section(
        "What follows for the model",
        f"Of the steps of train's histories (the newest {STEPS} behaviours of each), the share that are "
        f"training targets of their own: {share or 'there are no steps'}. How many clicks repeat, and how "
        "many are on unknown items, is in the table of splits. What is advised was measured "
        "(docs/ablations.md).",
    )
    yield Bullets(advise(inspection) or ["Nothing that was measured."])


def _splits(inspection: Inspection) -> Iterator[Part]:
    yield from section(
        "Splits",
        "A row is a candidate of an impression. New users and items have no row in train. Unknown ones have "
        "no id in the vocabulary (index 0); other features of them may be known. A click is on an item of "
        "the history where any behaviour before it has that item.",
    )
    facts = inspection.splits.values()
    ordered = inspection.info.times is not None and inspection.info.times.ordered
    clock = "number of the row" if ordered else "UTC"
    rows: list[tuple[str, list[Cell]]] = [
        ("impressions", [f.impressions for f in facts]),
        ("rows", [f.rows for f in facts]),
        ("clicked", [f.positives for f in facts]),
        ("click rate", [percent(f.click_rate) for f in facts]),
        ("click rate, relative to train", [_signed(f.click_rate_change) for f in facts]),
        (f"first impression ({clock})", [_moment(f.first, ordered) for f in facts]),
        (f"last impression ({clock})", [_moment(f.last, ordered) for f in facts]),
        ("users", [f.users for f in facts]),
        ("new users", [f.new_users for f in facts]),
        ("rows of new users", [percent(f.new_user_rows) for f in facts]),
        ("rows of unknown users", [percent(f.unknown_user_rows) for f in facts]),
        ("items", [f.items for f in facts]),
        ("new items", [f.new_items for f in facts]),
        ("rows of new items", [percent(f.new_item_rows) for f in facts]),
        ("rows of unknown items", [percent(f.unknown_item_rows) for f in facts]),
        ("clicks on unknown items", [percent(f.unknown_item_clicks) for f in facts]),
        ("clicks on an item of the history", [percent(f.repeated_clicks) for f in facts]),
        (
            "impressions that leak",
            [(f"{f.leaks:,}", "much") if f.leaks else f.leaks for f in facts],
        ),
    ]
    if weights := [f.weights for f in facts if f.weights is not None]:
        rows += [
            ("weight of a row: mean", [decimals(w.mean) for w in weights]),
            ("weight of a row: least", [decimals(w.least) for w in weights]),
            ("weight of a row: most", [decimals(w.most) for w in weights]),
            ("rows of weight 0", [percent(w.zero) for w in weights]),
        ]
    if all(f.unknown_conversions is not None for f in facts):
        rows += [
            ("conversions of a click", [percent(f.conversion_rate) for f in facts]),
            ("clicks whose conversion is not known", [f.unknown_conversions for f in facts]),
        ]
    yield Table(["", *inspection.splits], [[name, *cells] for name, cells in rows])


def _lengths(inspection: Inspection) -> Iterator[Part]:
    yield from section(
        "Lengths", "Each bin is twice as wide as the one before; its label is where it begins."
    )
    of_user = {"behaviours of a user": inspection.history}
    if inspection.unclicked is not None:
        of_user["shown and not clicked up to a behaviour"] = inspection.unclicked
    splits = inspection.splits.items()
    histories = {f"history, {name}": facts.history for name, facts in splits}
    candidates = {f"candidates of an impression, {name}": facts.candidates for name, facts in splits}
    for group in (of_user, histories, candidates):
        yield Row([histogram(name, numbers) for name, numbers in group.items() if numbers.count])
    yield _quantiles({**of_user, **histories, **candidates})


def _popularity(inspection: Inspection) -> Iterator[Part]:
    popularity = inspection.popularity
    yield from section(
        "Popularity of items",
        f"The most frequent 1 % of items have {percent(popularity.top_1_percent) or '-'} of all behaviours, "
        f"the most frequent 10 % have {percent(popularity.top_10_percent) or '-'}. Gini coefficient "
        f"{decimals(popularity.gini) or '-'} (0: every item has equally many; near 1: one item has all).",
    )
    yield Row([histogram("behaviours of an item", popularity.behaviours)])
    yield _quantiles({"behaviours of an item": popularity.behaviours})


def _drift(inspection: Inspection) -> Iterator[Part]:
    yield from section(
        "Drift from train",
        f"How far the values of a feature are from those in train: over the {DRIFT_BINS} values most "
        "frequent there, all others together. PSI is the population stability index. It is marked from "
        f"{MODERATE_PSI} on (moderate) and from {LARGE_PSI} on (large), unless chance alone would give half "
        "as much (column: by chance). JS is the Jensen-Shannon divergence in bits: 0 where nothing differs, "
        "1 where no value is in both.",
    )
    splits = [name for name in inspection.splits if name != "train"]
    head = [f"{name}: {what}" for name in splits for what in ("PSI", "by chance", "JS")]
    yield Table(
        ["feature", "of", *head],
        [
            [*key, *(cell for name in splits for cell in _distance(by[name]))]
            for key, by in _by_feature(inspection.drift).items()
        ],
        names=2,
    )


def _coverage(inspection: Inspection) -> Iterator[Part]:
    rows = _by_feature(inspection.coverage)
    splits = list(inspection.splits)
    yield from section(
        "Unknown values",
        "Share of candidates (target), of steps of histories (history) and of impressions (user, context) "
        "whose index is 0 (unknown), whose list has no known value, or whose number is missing.",
    )
    yield Table(
        ["feature", "of", *splits],
        [[*key, *(percent(by[name].unknown) for name in splits)] for key, by in rows.items()],
        names=2,
    )
    numeric = {key: by for key, by in rows.items() if any(c.mean is not None for c in by.values())}
    if numeric:
        yield from section(
            "Numeric features", "Mean and standard deviation of the known values, scaled as they are stored."
        )
        yield Table(
            ["feature", "of", *(f"{name}: {what}" for name in splits for what in ("mean", "std"))],
            [
                [*key, *(decimals(n) for name in splits for n in (by[name].mean, by[name].std))]
                for key, by in numeric.items()
            ],
            names=2,
        )
    yield from section(
        "Embedding tables",
        "Rows that no target, history, user or context of train has are not trained; those of items may be, "
        "by negatives that are drawn while training. All unknown values share one row, index 0: it should "
        "occur in train.",
    )
    yield Table(
        ["feature", "rows", "not in train", "% not in train", "unknown in train"],
        [
            [use.feature, use.size, use.unseen, percent(use.unseen / use.size), use.unknown]
            for use in inspection.tables
        ],
    )


def _by_feature(found: Iterable[_Found]) -> dict[tuple[str, str], dict[str, _Found]]:
    """Group what was found by feature and place, then by split."""
    gathered: dict[tuple[str, str], dict[str, _Found]] = {}
    for one in found:
        gathered.setdefault((one.feature, one.place), {})[one.split] = one
    return gathered


def _quantiles(lengths: dict[str, Distribution]) -> Table:
    head = ["", *({0: "least", 50: "median", 100: "most"}.get(p, f"{p} %") for p in PERCENTS), "mean"]
    return Table(
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


def _moment(seconds: int | None, ordered: bool) -> str | None:
    """Write a time by numpy, which takes any second; or the number of a row."""
    if seconds is None or ordered:
        return None if seconds is None else f"{seconds:,}"
    return str(np.datetime64(seconds, "s")).replace("T", " ")
