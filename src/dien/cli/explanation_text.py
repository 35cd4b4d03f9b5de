"""An explanation on the terminal: its tables and sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

from dien.cli.output import table_of

if TYPE_CHECKING:
    from dien.explain import Explanation, ShownItem

SHOWN = 15
"""Behaviours that the table has: those of most influence."""

DIGITS = 4
"""Digits of a number after the point, where they tell it from others."""


def candidates_table(explanation: Explanation) -> Table:
    """List the candidates with their scores."""
    table = table_of("candidate", "score", "logit")
    for one in explanation.candidates:
        table.add_row(named(one.item), probability(one.score), f"{one.logit:.4f}")
    return table


def probability(value: float, other: float | None = None) -> str:
    """Write a probability with the digits that tell it from 0, from 1 and from another one."""
    apart = [gap for gap in (value, 1 - value, abs(value - (value if other is None else other))) if gap > 0]
    return f"{value:.{max(DIGITS, *(1 - math.floor(math.log10(gap)) for gap in apart))}f}"


def behaviours_table(explanation: Explanation, best: int) -> Table:
    """List the behaviours of most influence, by size."""
    one = explanation.candidates[best]
    names = [f"attention: {layer}" for layer in one.attention]
    table = table_of("behaviour", "from the end", "day", *names, "influence")
    T = len(explanation.history)
    for place in sorted(range(T), key=lambda t: -abs(one.influence[t]))[:SHOWN]:
        shown = explanation.history[place]
        attention = [_number(weights[place]) for weights in one.attention.values()]
        influence = _number(one.influence[place], "+")
        table.add_row(named(shown.item), str(T - place), (shown.time or "-")[:10], *attention, influence)
    return table


def _number(value: float | None, sign: str = "-") -> str:
    """Write a number of a behaviour; a dash where there is none, as it is not read as a sequence."""
    if value is None:
        return "-"
    text = f"{value:{sign}.{DIGITS}f}"
    return f"{value:{sign}.1g}" if value and float(text) == 0 else text


def reads_text(explanation: Explanation, best: int) -> str:
    """Say how much of the history the model reads, and how."""
    T, reads, matched = len(explanation.history), explanation.candidates[best].reads, explanation.matched
    which = "the newest" if explanation.filter_by is None else f"of the same {explanation.filter_by}"
    parts = [f"{T:,} behaviours, all read as a sequence"] if T else ["the history is empty"]
    if reads < T:
        over = (
            f"matches over {f'the newest {matched:,}' if matched < T else 'all'}" if matched else "no matches"
        )
        parts = [f"{T:,} behaviours: read as a sequence {reads:,}, {which}; {over}"]
    if explanation.left_out:
        parts.append(f"{explanation.left_out:,} older ones are not read")
    return "; ".join(parts)


def named(item: ShownItem) -> str:
    """Write an item for people: its name, or else the first feature that it has, and its id."""
    what = item.name or next((f"{name} {value}" for name, value in item.features.items()), None)
    return item.id if what is None or what == item.id else f"{what} ({item.id})"


def flip_texts(explanation: Explanation) -> list[str]:
    """Say without which behaviours the second candidate would come first, or that none are found."""
    flip = explanation.flip
    if len(explanation.candidates) < 2:
        return []
    if flip is None:
        first, second = (named(one.item) for one in explanation.candidates[:2])
        return [f"the order of {first} and {second}: no behaviours found without which it turns"]
    first, second = (named(explanation.candidates[k].item) for k in (flip.first, flip.second))
    T = len(explanation.history)
    places = ", ".join(str(T - place) for place in flip.removed[::-1]) + " from the end"
    fewest = "the fewest" if flip.exact else "fewer may do"
    low, high = probability(*flip.after), probability(*flip.after[::-1])
    return [
        f"without the behaviours {places} ({fewest}), the order turns: {first} scores {low}, {second} {high}"
    ]
