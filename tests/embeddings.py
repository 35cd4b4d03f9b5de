"""Embeddings by hand from named weights: one value at a time, nothing of ``dien.layers`` used."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dien.data.batch import Batch, Columns
from dien.data.features import Feature, Schema, Side
from dien.packed import Packed
from tests.equations import Weights, under


def weights_by_feature(features: Sequence[Feature], weights: Weights) -> dict[str, Tensor]:
    """What embeds each feature of a FeatureEmbedding but those that share the table of another.

    Args:
        features: in order.
        weights: ``tables.0.weight`` and so on are those of features with a table of their own,
            ``numbers.0.weight`` and so on those of numeric ones and vectors.
    """
    own = [f for f in features if f.kind not in ("numeric", "vector") and f.table is None]
    numeric = [f for f in features if f.kind in ("numeric", "vector")]
    assert len(weights) == len(own) + len(numeric)
    return {f.name: weights[f"tables.{k}.weight"] for k, f in enumerate(own)} | {
        f.name: weights[f"numbers.{k}.weight"] for k, f in enumerate(numeric)
    }


def embedded(
    features: Sequence[Feature], weights: Weights, columns: Mapping[str, Tensor | Packed], row: int
) -> Tensor:
    """One row's features side by side; ``weights`` by the feature that owns them."""
    parts = [_one(f, weights[f.table or f.name], columns[f.name], row) for f in features]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)


def _one(feature: Feature, weight: Tensor, column: Tensor | Packed, row: int) -> Tensor:
    if isinstance(column, Packed):
        begin, end = column.offsets[row].item(), column.offsets[row + 1].item()
        return _pooled([weight[column.values[k]] for k in range(begin, end)], weight[0] * 0, feature.pooling)
    if feature.kind == "vector":
        vector = column[row]
        if vector[0] != vector[0]:
            return weight[0]
        if feature.frozen:
            return vector.to(weight.dtype)
        terms = [vector[k].to(weight.dtype) * weight[1 + k] for k in range(feature.size)]
        return torch.stack(terms).sum(0)
    value = column[row].item()
    if feature.kind == "categorical":
        return weight[value]
    return weight[0] if value != value else value * weight[1]


def _pooled(rows: list[Tensor], pooled: Tensor, pooling: str) -> Tensor:
    """Pool rows, starting from zeros ``pooled``, which are the result where there are none."""
    for k, row in enumerate(rows):
        if pooling == "sum":
            pooled = pooled + row
        elif pooling == "mean":
            pooled = pooled + row / len(rows)
        else:
            assert pooling == "max"
            pooled = row if k == 0 else torch.where(row > pooled, row, pooled)
    return pooled


class InputsByHand:
    """The embeddings of ``models.inputs.Inputs`` one row at a time, from the weights of a model.

    Args:
        schema: its features.
        weights: of the model, by name.
        matches: whether the model reads them.
        popularity: likewise.
    """

    def __init__(self, schema: Schema, weights: Weights, *, matches: bool, popularity: bool = False) -> None:
        self.schema, self.matches, self.popularity = schema, matches, popularity
        self.positions = weights.get("inputs.positions")
        sides = {"item": ("item",), "profile": ("user", "context"), "behaviour": ("behaviour",)}
        self.weights: dict[str, Tensor] = {}
        for part, of in sides.items():
            self.weights |= weights_by_feature(schema.of(*of), under(weights, f"inputs.{part}."))

    def row(self, columns: Columns, row: int, *sides: Side) -> Tensor:
        """Features of some sides of one row."""
        return embedded(self.schema.of(*sides), self.weights, columns, row)

    def profile(self, batch: Batch, b: int) -> Tensor:
        """User and context of a candidate's history, and its matches and popularity where they are read."""
        r = int(batch.history_of[b])
        of_history = self.row({**batch.user, **batch.context}, r, "user", "context")
        return torch.cat([of_history, self.numbers(batch, b)])

    def numbers(self, batch: Batch, b: int) -> Tensor:
        """Inputs of matches and popularity of a candidate, none where they are not read."""
        return torch.cat([self.matched(batch, b), self.popular(batch, b)])

    def popular(self, batch: Batch, b: int) -> Tensor:
        """Inputs of the popularity of a candidate."""
        if not self.popularity:
            return torch.zeros(0, dtype=torch.float64)
        assert batch.popularity is not None
        *counts, first, last = batch.popularity[b].tolist()
        day, of_days = torch.tensor([1 / 86_400, 1 / 6]).double().tolist()  # in float32, as the buffers are
        values = [math.log1p(n) / 8 for n in counts]
        values.append(0.0 if math.isnan(first) else math.log1p(first * day) * of_days)
        values.append(1.2 if math.isnan(last) else math.log1p(last * day) * of_days)
        values += [float(n > 0) for n in counts[: len(self.schema.matched)]]
        return torch.tensor(values, dtype=torch.float64)

    def matched(self, batch: Batch, b: int) -> Tensor:
        """Inputs of the matches of a candidate, none where they are not read."""
        if not self.matches:
            return torch.zeros(0, dtype=torch.float64)
        assert batch.matches is not None
        F, (length, *numbers) = len(self.schema.matched), batch.matches[b].tolist()
        count, steps, seconds = numbers[:F], numbers[F : 2 * F], numbers[2 * F :]
        in_float32 = torch.tensor([1 / 86_400, 1 / 7, 1 / 3, 1 / 7, 1 / 6])  # as the buffers are
        day, of_length, of_count, of_steps, of_days = in_float32.double().tolist()
        values = [math.log1p(length) * of_length]
        values += [math.log1p(n) * of_count for n in count]
        values += [1.2 if math.isnan(n) else math.log1p(n) * of_steps for n in steps]
        values += [1.2 if math.isnan(n) else math.log1p(n * day) * of_days for n in seconds]
        values += [float(n > 0) for n in count]
        return torch.tensor(values, dtype=torch.float64)

    def behaviours(self, batch: Batch, r: int) -> Tensor:
        """Each step of a history: the item, what is the behaviour's own, and its place from the newest."""
        steps = self.sequence(batch.history, batch, r, "item", "behaviour")
        if self.positions is None:
            return steps
        return torch.cat([steps, self.positions[: len(steps)].flip(0)], 1)

    def sequence(self, columns: Columns, batch: Batch, r: int, *sides: Side) -> Tensor:
        """Features of some sides of each step of a history."""
        rows = [self.row(columns, t, *sides) for t in range(int(batch.offsets[r]), int(batch.offsets[r + 1]))]
        width = sum(self.weights[f.table or f.name].shape[1] for f in self.schema.of(*sides))
        return torch.stack(rows) if rows else torch.zeros(0, width, dtype=torch.float64)


def enlarge(model: torch.nn.Module) -> None:
    """Make embeddings no longer as tiny as they start, and those of unknown and missing values not zero."""
    for name, parameter in model.named_parameters():
        if name.startswith("inputs."):
            torch.nn.init.normal_(parameter, std=0.5)
