"""Explanations made up for tests of what shows them: of any size, with hostile names."""

import math
from typing import TypeVar

from dien.explain import (
    ExplainedCandidate,
    Explanation,
    Flip,
    Guess,
    Influenced,
    ShownBehaviour,
    ShownItem,
)

HOSTILE = (
    "<script>document.title='taken'</script>",
    '"><img src=x onerror="document.title=\'taken\'">',
    "</script><script>document.title='taken'</script>",
    "{{ 7 * 7 }} ${7 * 7} & <b>bold</b>",
    "line\nbreak \u2028 and \u202e turned",
    "😀 " + "a very long name " * 12,
)
"""Names that must be shown as the text they are."""
T = TypeVar("T")
CATEGORIES = ("Lips", "Eyes", "Hair & Nails", "<i>Skin</i>")


def explanation(
    length: int = 30,
    candidates: int = 3,
    *,
    evolving: bool = True,
    attention: bool = True,
    timed: bool = True,
    named: bool = True,
    user: str | None = "U-1",
    reads: int | None = None,
) -> Explanation:
    """Make an explanation of so many behaviours ``T`` and candidates ``B``.

    Args:
        length: of the history, ``T``.
        candidates: ``B``.
        evolving: whether the model has evolving states and an auxiliary network, as DIEN.
        attention: whether it has attention, as DIN.
        timed: whether times are known.
        named: whether items have names; every other one has a hostile one.
        user: raw id.
        reads: how many of the newest behaviours are read as a sequence; None for all.
    """
    return Explanation(
        run="quickstart",
        model="dien" if evolving else "din" if attention else "sum-pooling",
        user=user,
        time="2024-03-01T12:00:00Z" if timed else None,
        calibrated=True,
        history=[ShownBehaviour(item=_item(k, named), time=_time(k, length, timed)) for k in range(length)],
        left_out=7,
        matched=length,
        candidates=[
            _candidate(b, length, length if reads is None else reads, evolving, attention, named)
            for b in range(candidates)
        ],
        guess=[
            Guess(step=k, probability=0.5 + 0.4 * math.sin(k), rank=1 + k % 9, among=100)
            for k in range(0 if reads is None else length - reads, length - 1)
        ]
        if evolving
        else [],
        flip=Flip(first=0, second=1, removed=[length - 1], exact=True, scored=length, after=(0.2, 0.3))
        if candidates > 1 and length
        else None,
        variance=[0.61, 0.17] if evolving else [],
    )


def _item(number: int, named: bool) -> ShownItem:
    name = HOSTILE[number // 2 % len(HOSTILE)] if number % 2 else f"Red lipstick no. {number}"
    category = CATEGORIES[number // 3 % len(CATEGORIES)]
    return ShownItem(
        id=f"B{number:05d}", name=name if named else None, features={"category": category, "price": "9.5"}
    )


def _time(place: int, length: int, timed: bool) -> str | None:
    days = (length - place) * 2
    return (
        f"{2023 - days // 365}-{12 - days % 365 // 31:02d}-{28 - days % 28:02d}T08:30:00Z" if timed else None
    )


def _candidate(
    number: int, length: int, reads: int, evolving: bool, attention: bool, named: bool
) -> ExplainedCandidate:
    def read(values: list[T]) -> list[T | None]:
        return [None] * (length - reads) + values[length - reads :]  # type: ignore[return-value]

    influence = [math.sin(k * (number + 1)) * k / max(length, 1) for k in range(length)]
    raw = [math.exp(math.cos(k + number)) for k in range(length)]
    weights = [w / sum(raw) for w in raw]
    logit = 1.5 - number
    layers = {"interest states" if evolving else "behaviours": read(weights)}
    return ExplainedCandidate(
        item=_item(1000 + number, named),
        score=1 / (1 + math.exp(-logit)),
        logit=logit,
        influence=influence,
        runs=[
            Influenced(name=f"last {n}", first=length - n, last=length - 1, influence=sum(influence[-n:]))
            for n in (1, 5, 10)
            if n <= length
        ],
        features={
            "item": read([0.7 * one for one in influence]),
            "category": read([0.3 * one for one in influence]),
        },
        attention=layers if attention else {},
        gate=read([w * 0.5 for w in weights]) if evolving else [],
        path=read([(math.cos(k / 9 + number / 5), math.sin(k / 7)) for k in range(length)])
        if evolving
        else [],
        reads=reads,
    )
