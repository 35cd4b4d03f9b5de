"""Synthetic click logs whose truth is known: interests that drift, clicks by a stated probability.

Each user has an interest, one of K categories on a ring, at first any with equal chance. Impressions come one
at a time, at moments that do not depend on the interest; the category shown is uniform, the item within it
drawn by popularity. How likely a click is depends on how far the category shown is from the interest.
After a click the interest may move, mostly to the next category on the ring: the order of clicks matters.

A model sees a user's past clicks and a candidate, not what the user passed over. As categories are shown with
equal chance, an impression is clicked equally often whatever the interest; so how many impressions went by
without a click says nothing, and the clicks alone give the exact posterior of the interest by forward
filtering: weigh by P(click | interest, category), normalise, move. The mean of P(click | interest, category)
under it is the best score of a candidate: none has a higher AUC in expectation. (Training rows do show what
was passed over; a model that learnt a user's by heart would know a little more than a history shows.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dien.data.log import Log
from dien.data.ragged import row_of, to_offsets
from dien.data.tables import SplitName, Tables
from dien.data.writer import built, dataset_place
from dien.errors import DataError
from dien.progress import Progress

SAME, NEIGHBOUR, OTHER = 0.95, 0.5, 0.05
"""P(click) where the category shown is the interest, next to it on the ring, or any other."""
MOVE, AHEAD = 0.25, 0.9
"""P(the interest moves after a click), and P(to the next category | it moves); else to any, uniformly."""
CATEGORIES = 12
PER_DAY = 5.0

_FIRST_DAY = date(2024, 1, 1)
_START = 1_704_067_200  # its first second
_DAY = 86_400
_BLOCK = 1 << 22  # events made at a time, about


@dataclass(frozen=True)
class Synthetic:
    """A log and its truth.

    Attributes:
        log: events in time order with ``label`` and the context ``hour`` (which has no influence); items with
            ``category``; users without features.
        probability: ``[E]`` float32, of a click given the user's earlier clicks: the best score.
        spell: ``[E]`` int32, how often the user's interest had moved before: events of one user and number
            had one interest, which caused the clicks among them.
        rule: how clicks were drawn, in words and numbers.
    """

    log: Log
    probability: NDArray[np.float32]
    spell: NDArray[np.int32]
    rule: str


@dataclass(frozen=True)
class Simulation:
    """What a synthetic log is drawn by; equal ones give equal logs.

    Attributes:
        users: how many; each has at least one impression, at most one a second.
        items: how many, spread evenly over the categories; low ids are popular.
        days: from 2024-01-01 UTC on.
        seed: of all draws.
        per_day: mean impressions of a user and day. Their number over all days is geometric: many users have
            few, some have several times the mean.
        categories: K, on a ring.

    Raises:
        DataError: one of them is out of range.
    """

    users: int
    items: int
    days: int
    seed: int
    per_day: float = PER_DAY
    categories: int = CATEGORIES

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("users", self.users, 1, 2**31 - 1),
            ("days", self.days, 1, 36_500),
            ("seed", self.seed, 0, 2**63 - 1),
            ("categories", self.categories, 3, 1000),
            ("items", self.items, self.categories, 2**31 - 1),
            ("per_day", self.per_day, 1 / self.days if self.days > 0 else 1, _DAY),
        ):
            if not low <= value <= high:
                raise DataError(f"{name} is {value}, expected {low:g} to {high:,}")

    def generate(self) -> Synthetic:
        """Make the log in memory, with the best score of every event."""
        blocks = list(self._blocks(score=True))
        time = np.concatenate([block.time for block in blocks])
        order = np.argsort(time, kind="stable")
        time = time[order]
        events = pl.DataFrame(
            {
                "user": np.concatenate([block.user for block in blocks])[order],
                "item": np.concatenate([block.item for block in blocks])[order],
                "time": time,
                "hour": _hour(time),
                "label": np.concatenate([block.label for block in blocks])[order],
            }
        )
        log = Log(
            events=events.with_columns(pl.col("hour").cast(pl.String)),
            items=self._items_table().with_columns(pl.col("item").cast(pl.String)),
            users=self._users_table().with_columns(pl.col("user").cast(pl.String)),
            sources=(),
        )
        probability = np.concatenate([block.probability for block in blocks])[order]
        spell = np.concatenate([block.spell for block in blocks])[order]
        return Synthetic(log, probability, spell, _rule(self.categories))

    def write(self, folder: Path, *, progress: Progress | None = None) -> None:
        """Write the same log as Parquet with integer ids, in memory that does not grow with it.

        Makes ``items.parquet``, ``users.parquet`` and ``interactions/day=2024-01-01/part-000.parquet`` and so
        on: for each day and block of users a file by time, of user, item, time (seconds since 1970), hour and
        label.

        Args:
            folder: must not exist; complete, or not there at all.
            progress: called with the number of impressions just written.

        Raises:
            DataError: ``folder`` is there already or cannot be written.
        """
        with dataset_place(folder) as place, built(place) as new:
            (new / "interactions").mkdir()
            self._items_table().write_parquet(new / "items.parquet")
            self._users_table().write_parquet(new / "users.parquet")
            for number, block in enumerate(self._blocks(score=False)):
                _write_block(block, new / "interactions", f"part-{number:03d}.parquet", self.days)
                if progress is not None:
                    progress(len(block.time))

    def _items_table(self) -> pl.DataFrame:
        """Item ids and categories; items take turns, so that each category has as many popular ones."""
        item = np.arange(1, self.items + 1, dtype=np.int32)
        name = pl.Series([f"c{category:02d}" for category in range(self.categories)])
        return pl.DataFrame({"item": item, "category": name.gather((item - 1) % self.categories)})

    def _users_table(self) -> pl.DataFrame:
        return pl.DataFrame({"user": np.arange(1, self.users + 1, dtype=np.int32)})

    def _blocks(self, score: bool) -> Iterator[_Block]:
        """Make the events of one block of users after another; ``score``: with their probabilities."""
        size = max(1, int(_BLOCK / (self.per_day * self.days)))
        for number, first in enumerate(range(0, self.users, size)):
            rng = np.random.Generator(np.random.PCG64([self.seed, number]))
            yield self._block(rng, first, min(size, self.users - first), score)

    def _block(self, rng: np.random.Generator, first: int, users: int, score: bool) -> _Block:
        """Make the events of users ``first`` to ``first + users - 1``.

        All draws are ``rng.random``, whose stream is the same in every numpy.
        """
        K, seconds = self.categories, self.days * _DAY
        count = _geometric(rng.random(users), self.per_day * self.days).clip(max=seconds)
        by_count = np.argsort(-count, kind="stable")
        count = count[by_count]  # [U], falling: those who have a k-th impression come first
        active = users - np.cumsum(np.bincount(count))[:-1]  # [k] how many those are
        start = to_offsets(active)  # the k-th impressions of all users are start[k] : start[k + 1]
        E = int(start[-1])

        category = (rng.random(E) * K).astype(np.int16)
        label, probability, spell = _clicks(rng, category, active, K, score)
        # of the n items of a category, the r most popular have the share sqrt(r / n)
        of_category = (self.items - np.arange(K) + K - 1) // K
        rank = (of_category[category] * rng.random(E) ** 2).astype(np.int32)
        item = rank * K + category + 1

        # from here user after user: distinct rising moments, uniform but for the gaps of a second
        row = np.repeat(np.arange(users), count)
        number = np.arange(E) - np.repeat(to_offsets(count)[:-1], count)
        time = (rng.random(E) * (seconds - count + 1)[row]).astype(np.int64) + row * seconds
        time.sort()
        time += number - row * seconds
        order = np.argsort(time * users + row)  # no ties
        row, at = row[order], (start[number] + row)[order]
        return _Block(
            user=(first + 1 + by_count[row]).astype(np.int32),
            item=item[at],
            time=time[order] + _START,
            label=label[at],
            probability=probability[at] if score else probability,
            spell=spell[at] if score else spell,
        )


def exact_logit(history: Sequence[int], candidate: int, categories: int = CATEGORIES) -> float:
    """Compute the best score of a candidate, as log odds, from what a user clicked.

    Args:
        history: numbers of the categories clicked, oldest first.
        candidate: number of the candidate's category.
        categories: K.
    """
    K = categories
    given = _click_probability(K)[np.arange(K)[:, None] - np.arange(K)]  # [category, interest]
    belief = np.full(K, 1 / K)
    for clicked in history:
        joint = belief * given[clicked]
        belief = _moved(joint / joint.sum(), K)
    chance = float(belief @ given[candidate])
    return float(np.log(chance / (1 - chance)))


def best_auc(synthetic: Synthetic, data: Tables) -> dict[SplitName, float | None]:
    """Compute the AUC of the best score on each split of a dataset that was prepared from the log.

    Args:
        synthetic: the log and its best scores.
        data: user row ``u`` is the log's user ``u - 1``, item rows likewise.

    Returns:
        By split; None where all its labels are the same.

    Raises:
        DataError: a split has an impression that the log has not.
    """
    events = synthetic.log.events
    moment = _moment(events["user"].to_numpy(), events["time"].to_numpy())  # unique
    order = np.argsort(moment)
    moment, item = moment[order], events["item"].to_numpy()[order]
    probability = synthetic.probability[order]
    best: dict[SplitName, float | None] = {}
    for name, split in data.splits.items():
        impression = row_of(np.diff(split.offsets))
        wanted = _moment(split.user, split.time)[impression]
        at = np.minimum(np.searchsorted(moment, wanted), len(moment) - 1)
        if not ((moment[at] == wanted) & (item[at] == split.item)).all():
            raise DataError(f"{name}: holds impressions that are not in the log; prepare it from this log")
        best[name] = _auc(probability[at], split.label == 1)
    return best


def _moment(user: NDArray[np.int32], time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join user and time ``[N]`` in one number."""
    return (user.astype(np.int64) << 32) + (time - _START)


def _auc(score: NDArray[np.float32], clicked: NDArray[np.bool_]) -> float | None:
    """AUC: the share of (click, non-click) pairs in the right order, ties counted half."""
    below, above = np.sort(score[~clicked]), score[clicked]
    if not len(below) or not len(above):
        return None
    ordered = np.searchsorted(below, above, "left").sum() + np.searchsorted(below, above, "right").sum()
    return float(ordered / (2 * len(below) * len(above)))


@dataclass(frozen=True)
class _Block:
    """Events ``[E]`` of some users in time order; what was not asked for is empty (probability, spell)."""

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    time: NDArray[np.int64]
    label: NDArray[np.int8]
    probability: NDArray[np.float32]
    spell: NDArray[np.int32]


def _clicks(
    rng: np.random.Generator, category: NDArray[np.int16], active: NDArray[np.int64], K: int, score: bool
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int32]]:
    """Let users click, and filter their interests by what they clicked.

    Args:
        rng: source of the draws.
        category: ``[E]`` shown: the first impressions of all users, then the second ones of the first
            ``active[1]`` users, and so on.
        active: ``[k]``, falling.
        K: number of categories.
        score: whether probabilities and spells are wanted.

    Returns:
        Label ``[E]`` of each impression, and its probability and the spell of its interest, ``[E]`` both
        (``[0]`` unless wanted).
    """
    click, move = _click_probability(K), _move_probability(K)
    given = click[np.arange(K)[:, None] - np.arange(K)]  # [category, interest]
    interest = (rng.random(active[0]) * K).astype(np.int16)  # [U]
    step = np.searchsorted(np.cumsum(move)[:-1], rng.random(len(category)), "right").astype(np.int16)
    chance = rng.random(len(category))
    label = np.empty(len(category), np.int8)
    probability = np.empty(len(category) if score else 0, np.float32)
    spell = np.empty(len(probability), np.int32)
    moves = np.zeros(active[0], np.int32)  # [U]
    belief = np.full((active[0] if score else 0, K), 1 / K)  # [U, interest]
    end = 0
    for users in active.tolist():
        now = slice(end, end := end + users)
        shown = category[now]
        clicked = chance[now] < click[shown - interest[:users]]  # a distance below 0 counts from the end
        label[now] = clicked
        interest[:users] = (interest[:users] + clicked * step[now]) % K
        if score:
            spell[now] = moves[:users]
            moves[:users] += clicked & (step[now] > 0)
            joint = belief[:users] * given[shown]
            best = joint.sum(1)
            probability[now] = best
            posterior = joint[clicked] / best[clicked, None]
            belief[:users][clicked] = _moved(posterior, K)
    return label, probability, spell


def _moved(posterior: NDArray[np.float64], K: int) -> NDArray[np.float64]:
    """Let interests move after a click: their chances ``[..., interest]`` before and after."""
    ahead = np.roll(posterior, 1, axis=-1)
    moved: NDArray[np.float64] = (1 - MOVE) * posterior + MOVE * AHEAD * ahead + MOVE * (1 - AHEAD) / K
    return moved


def _click_probability(K: int) -> NDArray[np.float64]:
    """P(click) by how far the category shown lies ahead of the interest on the ring: ``[K]``."""
    click = np.full(K, OTHER)
    click[[0, 1, -1]] = SAME, NEIGHBOUR, NEIGHBOUR
    return click


def _move_probability(K: int) -> NDArray[np.float64]:
    """P(step of the interest on the ring after a click): ``[K]``."""
    move = np.full(K, MOVE * (1 - AHEAD) / K)
    move[:2] += 1 - MOVE, MOVE * AHEAD
    return move


def _geometric(chance: NDArray[np.float64], mean: float) -> NDArray[np.int64]:
    """Geometric numbers from 1 on by inversion of uniform ones."""
    if mean <= 1:
        return np.ones(len(chance), np.int64)
    failures: NDArray[np.int64] = np.floor(np.log1p(-chance) / np.log1p(-1 / mean)).astype(np.int64)
    return 1 + failures


def _rule(K: int) -> str:
    return (
        f"{K} categories on a ring, shown with equal chance; P(click) = {SAME} where the category shown is "
        f"the user's interest, {NEIGHBOUR} next to it, {OTHER} elsewhere; after a click the interest moves "
        f"with probability {MOVE}: to the next category in {AHEAD:.0%} of the moves, else to any; of the n "
        "items of a category the r most popular have the share sqrt(r / n)"
    )


def _hour(time: NDArray[np.int64]) -> NDArray[np.int8]:
    return (time % _DAY // 3600).astype(np.int8)


def _write_block(block: _Block, folder: Path, name: str, days: int) -> None:
    table = pl.DataFrame(
        {
            "user": block.user,
            "item": block.item,
            "time": block.time,
            "hour": _hour(block.time),
            "label": block.label,
        }
    )
    cuts = np.searchsorted(block.time, _START + _DAY * np.arange(days + 1)).tolist()
    for day in range(days):
        if cuts[day] < cuts[day + 1]:
            into = folder / f"day={_FIRST_DAY + timedelta(day)}"
            into.mkdir(exist_ok=True)
            table[cuts[day] : cuts[day + 1]].write_parquet(into / name)
