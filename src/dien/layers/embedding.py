"""Embedding tables, one a feature, looked up once a step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

INITIAL_STD = 0.01


class FeatureEmbedding(nn.Module):
    """Embeds the features of an item, a user or a context and concatenates them.

    Gradients are sparse, so that an optimiser touches only the rows a step has read. Row 0 ("unknown") starts
    at zero: an index no training row has ever held adds nothing.

    Args:
        sizes: indices of each feature, by name, in the order of concatenation.
        width: width of each feature's embedding.
    """

    def __init__(self, sizes: Mapping[str, int], width: int) -> None:
        super().__init__()
        self.width = len(sizes) * width
        # A list, since a ModuleDict takes no name with a dot nor one of nn.Module's own, as "type".
        self.names = tuple(sizes)
        self.tables = nn.ModuleList(nn.Embedding(size, width, sparse=True) for size in sizes.values())
        for table in self.tables:
            assert isinstance(table, nn.Embedding)
            nn.init.normal_(table.weight, std=INITIAL_STD)
            with torch.no_grad():
                table.weight[0] = 0

    def forward(self, *parts: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Embed several lists of items (say histories and targets) with one look-up a table.

        Args:
            parts: for each list, its features' int64 indices ``[n]`` by name.

        Returns:
            For each list ``[n, width]``.
        """
        sizes = [_rows(part) for part in parts]
        columns = [
            table(torch.cat([part[name] for part in parts]))
            for name, table in zip(self.names, self.tables, strict=True)
        ]
        return torch.split(torch.cat(columns, 1), sizes)


def _rows(columns: Mapping[str, Tensor]) -> int:
    return next(iter(columns.values())).shape[0]
