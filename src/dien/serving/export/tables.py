"""Items and users in a graph: what does not depend on a request is looked up as one row.

The embeddings of all features of an item, side by side, are one row of one table; so are those of a user. The
layers of the model make it, so that features of every kind are right.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from dien.data.batches import columns_of
from dien.data.changing import Attributes, values_at
from dien.layers import FeatureEmbedding
from dien.run import Run

_ROWS_AT_ONCE = 1 << 14


def embedded_rows(run: Run, embedding: FeatureEmbedding) -> NDArray[np.float32] | None:
    """Embed the features of all items, or all users, of a run, as far as an embedding has them.

    Args:
        run: whose catalogue; of its features none changes over time.
        embedding: of features of items, then of behaviours; or of users, then of the context.

    Returns:
        ``[rows, width]``, the width of what is the items' or the users'; None where there is no such feature.
    """
    table: Attributes = {**run.items, **run.users}
    names = [feature.name for feature in embedding.features if feature.name in table]
    if not names:
        return None
    width = sum(embedding.widths[: len(names)])  # they stand before the others
    count = len(table[names[0]])
    every = [feature for feature in run.schema.features if feature.name not in names]
    others = [f for f in every if f.name in {feature.name for feature in embedding.features}]
    found = np.empty((count, width), np.float32)
    for start in range(0, count, _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, count))
        columns = values_at({name: table[name] for name in names}, rows, None)
        columns |= {f.name: f.encode([None] * len(rows), run.vocabularies) for f in others}
        with torch.inference_mode():
            (values,) = embedding(columns_of(columns))
        found[rows] = values[:, :width].numpy()
    return found
