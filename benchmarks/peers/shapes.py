"""What is measured: the paper's sizes and random rows of them. numpy alone, for every peer's environment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CATEGORIES, USERS = 500, 100_000
ATTENTION, AUXILIARY, HEAD = [80, 40], [100, 50], [200, 80]


@dataclass(frozen=True)
class Shape:
    """A kind of batch, and the sizes of the model that is given it.

    Attributes:
        about: what it is, in words.
        mode: ``train`` (a step of the optimiser, auxiliary loss included) or ``score``.
        histories: of a batch.
        candidates: of each history.
        mean: of lengths, geometric and at most ``longest``; None where all have that length.
        longest: steps of the longest history; those who pad, pad to it.
        width: of the embeddings of items, categories and users.
        items: of the vocabulary, padding included.
    """

    about: str
    mode: str = "train"
    histories: int = 1024
    candidates: int = 1
    mean: int | None = 15
    longest: int = 100
    width: int = 18
    items: int = 50_000

    @property
    def rows(self) -> int:
        """Candidates of a batch."""
        return self.histories * self.candidates

    @property
    def hidden(self) -> int:
        """Width of a behaviour, item and category, and of both GRUs: most peers know no other."""
        return 2 * self.width


GROUPS = {
    "core": {
        "train-15": Shape("training, mean length 15"),
        "train-15-paired": Shape(
            "training, mean length 15, a positive and a negative share a history", histories=512, candidates=2
        ),
        "train-100": Shape("training, all of length 100", mean=None),
        "score-15": Shape("scoring, mean length 15", "score"),
        "request": Shape(
            "a request of 200 candidates for one history of 100", "score", 1, candidates=200, mean=None
        ),
    },
    "hidden": {
        f"hidden-{hidden}": Shape(f"training, mean length 15, hidden {hidden}", width=hidden // 2)
        for hidden in (64, 128)
    },
    "length": {
        f"length-{length}": Shape(
            f"training, batch 128, all of length {length}", histories=128, mean=None, longest=length
        )
        for length in (20, 50, 100, 200, 500, 1000)
    },
    "vocabulary": {
        f"vocabulary-1e{power}": Shape(f"training, mean length 15, 10^{power} items", items=10**power)
        for power in (4, 5, 6, 7)
    },
    "batch": {
        f"batch-{rows}": Shape(f"training, mean length 15, batch {rows}", histories=rows)
        for rows in (128, 256, 512, 1024, 2048, 4096, 8192)
    },
    "smoke": {
        "smoke-train": Shape("training, very small", histories=8, candidates=2, mean=3, longest=7, items=50),
        "smoke-score": Shape("scoring, very small", "score", 8, mean=3, longest=7, items=50),
    },
}
SHAPES = {name: shape for group in GROUPS.values() for name, shape in group.items()}


@dataclass(frozen=True)
class Rows:
    """A batch of ``B`` rows over ``R`` histories, item 0 being padding.

    Attributes:
        lengths: ``[R]``.
        history: ``[R, T]`` items, 0 beyond a length.
        negatives: ``[R, T]`` an item that was not clicked for each behaviour.
        history_of: ``[B]``.
        target: ``[B]`` items.
        user: ``[R]``.
        label: ``[B]``.
        category: of each item, 0 for padding.
    """

    lengths: NDArray[np.int64]
    history: NDArray[np.int64]
    negatives: NDArray[np.int64]
    history_of: NDArray[np.int64]
    target: NDArray[np.int64]
    user: NDArray[np.int64]
    label: NDArray[np.float32]
    category: NDArray[np.int64]

    def padded(self) -> dict[str, NDArray[np.generic]]:
        """One history for every row, as peers take them: item and category of each step and target."""
        history, negatives = self.history[self.history_of], self.negatives[self.history_of]
        return {
            "user": self.user[self.history_of],
            "item": self.target,
            "cate": self.category[self.target],
            "hist_item": history,
            "hist_cate": self.category[history],
            "neg_hist_item": negatives,
            "neg_hist_cate": self.category[negatives],
            "seq_length": self.lengths[self.history_of],
        }


def draw(shape: Shape, seed: int = 0) -> Rows:
    """Draw a batch, uniform over items and users."""
    rng = np.random.default_rng(seed)
    R, B, T = shape.histories, shape.rows, shape.longest
    lengths = np.full(R, T)
    if shape.mean is not None:
        lengths = np.minimum(rng.geometric(1 / shape.mean, R), T)
    real = np.arange(T) < lengths[:, None]  # [R, T]
    category = rng.integers(1, CATEGORIES, shape.items)
    category[0] = 0

    def items(*size: int) -> NDArray[np.int64]:
        return rng.integers(1, shape.items, size)

    return Rows(
        lengths=lengths,
        history=items(R, T) * real,
        negatives=items(R, T) * real,
        history_of=np.repeat(np.arange(R), shape.candidates),
        target=items(B),
        user=rng.integers(1, USERS, R),
        label=rng.integers(0, 2, B).astype(np.float32),
        category=category,
    )
