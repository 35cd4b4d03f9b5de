"""The rows of export.py as padded batches, for peers: numpy and torch alone, without a loop over rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Batch:
    """``B`` rows with histories filled up to ``T`` places, behind the last behaviour.

    Attributes:
        user: ``[B]`` user rows.
        item: ``[B]`` item rows of the candidates.
        history: ``[B, T]`` item rows, oldest first; row 0 is no item of a history, and stands for padding.
        negatives: ``[B, T]`` for each behaviour an item other than it; all padding when scoring.
        length: ``[B]``.
        label: ``[B]`` float32, 1 clicked and 0 not.
    """

    user: Tensor
    item: Tensor
    history: Tensor
    negatives: Tensor
    length: Tensor
    label: Tensor


class Rows:
    """What export.py wrote.

    Args:
        file: the npz.
        device: where the arrays are kept and batches are made.

    Attributes:
        fingerprint: of all arrays.
        max_history: ``T``, places of a history.
        items: item features ``[items]`` by name, the item's id first; in row 0 all are 0, "unknown".
        users: user features ``[users]`` by name, the user's id first.
        sizes: number of indices of each feature.
    """

    def __init__(self, file: Path, device: torch.device) -> None:
        with np.load(file, allow_pickle=False) as arrays:
            self.fingerprint = str(arrays["fingerprint"])
            self.max_history = int(arrays["max_history"])
            self._arrays = {
                name: torch.from_numpy(array.astype(np.int64)).to(device)
                for name, array in arrays.items()
                if array.dtype.kind == "i"
            }
            names = {side: arrays[f"{side}_features"].tolist() for side in ("item", "user")}
        self.items, self.users = (
            {name: self._arrays[f"{side}/{name}"] for name in names[side]} for side in ("item", "user")
        )
        self.sizes = {
            name: int(size)
            for side in ("item", "user")
            for name, size in zip(names[side], self._arrays[f"{side}_sizes"], strict=True)
        }
        self._device = device
        self._popularity = self._arrays["popularity"].double().cumsum(0)

    def count(self, split: str) -> int:
        """Count the rows of a split."""
        return len(self._arrays[f"{split}/label"])

    def label(self, split: str) -> np.ndarray:
        """Labels of a split ``[rows]``, in their order."""
        return self._arrays[f"{split}/label"].cpu().numpy()

    def in_order(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Go through a split as it lies on disk, for scoring."""
        for rows in torch.arange(self.count(split), device=self._device).split(batch_size):
            yield self.batch(split, rows)

    def shuffled(self, batch_size: int, rng: torch.Generator) -> Iterator[Batch]:
        """Go through the training rows in an order of their own, with negatives drawn anew.

        A last batch of a single row is left out: a batch normalisation cannot be trained on it.
        """
        for rows in torch.randperm(self.count("train"), generator=rng, device=self._device).split(batch_size):
            if len(rows) > 1:
                yield self.batch("train", rows, rng)

    def batch(self, split: str, rows: Tensor, rng: torch.Generator | None = None) -> Batch:
        """Build one batch.

        Args:
            split: of which split.
            rows: ``[B]``.
            rng: where negatives are drawn from; without, there are none.
        """
        user, start, end, item, label = (
            self._arrays[f"{split}/{name}"][rows] for name in ("user", "start", "end", "item", "label")
        )
        length = end - start
        place = start[:, None] + torch.arange(self.max_history, device=self._device)  # [B, T] behaviours
        real = place < end[:, None]
        place = place.where(real, 0)
        history = self._arrays["behaviours"][place].where(real, 0)
        negatives = torch.zeros_like(history)
        if rng is not None:
            negatives = self._negatives(rng, place, history).where(real, 0)
        return Batch(user, item, history, negatives, length, label.float())

    def _negatives(self, rng: torch.Generator, place: Tensor, history: Tensor) -> Tensor:
        """Draw one item other than each behaviour ``[B, T]``, by the rule of dien's own batches.

        What was shown and not clicked up to it, where there is something; else an item by popularity.
        """

        def uniform(shape: torch.Size) -> Tensor:
            return torch.rand(shape, generator=rng, device=self._device, dtype=torch.float64)

        def popular(shape: torch.Size) -> Tensor:
            return torch.searchsorted(self._popularity, uniform(shape) * self._popularity[-1], right=True)

        drawn = popular(history.shape)
        while (clash := drawn == history).any():
            drawn[clash] = popular(drawn[clash].shape)
        if "unclicked" in self._arrays and len(self._arrays["unclicked"]):
            start, end = self._arrays["unclicked_start"][place], self._arrays["unclicked_end"][place]
            at = start + (uniform(start.shape) * (end - start)).long()
            item = self._arrays["unclicked"][at.clamp(max=len(self._arrays["unclicked"]) - 1)]
            drawn = item.where((end > start) & (item != history), drawn)
        return drawn
