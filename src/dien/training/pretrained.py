"""Vectors from a file for the embedding of a feature: rows that start from them, and may stay as they are.

An id of the file stands for the row of the embedding table that the dataset's vocabulary gives it. Rows that
the file has no vector for start as they would without it, and are always trained. The weights of a run hold
the vectors: once it has a checkpoint, the file is not read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dien.config import RunConfig
from dien.data.dataset import Dataset
from dien.data.readers.vector_files import read_vector_file
from dien.errors import ConfigError, DataError
from dien.models import Inputs, Model
from dien.training.checkpoint import FROZEN


@dataclass(frozen=True)
class Vectors:
    """Vectors for some rows of an embedding table.

    Attributes:
        feature: whose table it is.
        rows: ``[n]`` int64 indices.
        values: ``[n, D]`` float32.
        frozen: whether training leaves these rows as they are.
        summary: how many rows and ids were matched, in a sentence.
    """

    feature: str
    rows: Tensor
    values: Tensor
    frozen: bool
    summary: str


def read_vectors(config: RunConfig, dataset: Dataset) -> list[Vectors]:
    """Read the files of ``training.pretrained`` and match their ids with the dataset's.

    Raises:
        ConfigError: a feature has no table of its own with a row for each id, or the vectors are not as wide.
        DataError: a file cannot be read, has a vector that is missing, not finite or of another width, an id
            twice, or no id that the dataset knows.
    """
    found = []
    for name, of_file in config.training.pretrained.items():
        key = f"training.pretrained.{name}"
        features = {feature.name: feature for feature in dataset.schema.features}
        if name not in features or name not in dataset.schema.vocabularies:
            raise ConfigError(f"{key}: {_no_table(name, dataset)}")
        path = Path(of_file.file)
        ids, values = read_vector_file(path, None if of_file.ids is None else Path(of_file.ids))
        width = features[name].width or config.model.embedding_size
        if values.shape[1] != width:
            raise ConfigError(
                f"{key}: the vectors of {path} are {values.shape[1]} wide, the embedding of {name} is "
                f"{width}; make both equal (model.embedding_size, or the feature's width in the schema)"
            )
        vocabulary = dataset.vocabularies[name]
        rows = vocabulary.encode(ids)
        known = np.flatnonzero(rows)
        if not len(known):
            raise DataError(
                f"{path}: none of its {len(ids):,} ids ({ids[0]!r}, ...) is a value of {name} in "
                f"{dataset.path} ({vocabulary.values[len(vocabulary) - 1]!r}, ...); expected the raw ids"
            )
        frozen = "frozen; the others are trained" if of_file.frozen else "trained further"
        found.append(
            Vectors(
                feature=name,
                rows=torch.from_numpy(rows[known].astype(np.int64)),
                values=torch.from_numpy(values[known]),
                frozen=of_file.frozen,
                summary=(
                    f"{name}: {len(known):,} of {len(vocabulary) - 1:,} values start from a vector of {path} "
                    f"({frozen}); {len(ids) - len(known):,} of its {len(ids):,} ids are unknown"
                ),
            )
        )
    return found


def table_of(model: Model, feature: str) -> nn.Embedding:
    """Find the embedding table that a feature owns in a model.

    Raises:
        ConfigError: the model has none that stands in its ``inputs``.
    """
    inputs = getattr(model, "inputs", None)
    if isinstance(inputs, Inputs) and (table := inputs.tables().get(feature)) is not None:
        return table
    raise ConfigError(
        f"training.pretrained.{feature}: {type(model).__name__} has no table of {feature} in its inputs "
        "(dien.models.Inputs), so that nothing can start from these vectors"
    )


def put(vectors: Vectors, table: nn.Embedding) -> None:
    """Put vectors into a table."""
    with torch.no_grad():
        weight = table.weight
        weight[vectors.rows.to(weight.device)] = vectors.values.to(weight.device, weight.dtype)


class FrozenRows:
    """Rows of a table that no optimiser changes: they have no gradient, and a dense step is undone.

    Args:
        table: the table.
        rows: ``[V]`` bool, which of its rows.
    """

    def __init__(self, table: nn.Embedding, rows: Tensor) -> None:
        self.rows = rows.to(table.weight.device)
        self._weight = table.weight
        # A row without a gradient is in no sparse step, but the weight decay of a dense one reaches it.
        self._kept = None if table.sparse else table.weight.detach()[self.rows].clone()
        table.weight.register_hook(self._without)  # type: ignore[no-untyped-call]

    def restore(self) -> None:
        """Undo what a step has done to them."""
        if self._kept is not None:
            with torch.no_grad():
                self._weight[self.rows] = self._kept

    def _without(self, gradient: Tensor) -> Tensor:
        """Take the frozen rows out of a gradient ``[V, D]``."""
        if not gradient.is_sparse:
            return gradient.masked_fill(self.rows[:, None], 0)
        indices = gradient._indices()
        kept = ~self.rows[indices[0]]
        return torch.sparse_coo_tensor(
            indices[:, kept], gradient._values()[kept], gradient.shape, check_invariants=False
        )


def mask_of(vectors: Vectors, table: nn.Embedding) -> Tensor:
    """Mark the rows of a table ``[V]`` that vectors are for."""
    mask = torch.zeros(table.num_embeddings, dtype=torch.bool)
    mask[vectors.rows] = True
    return mask


def _no_table(name: str, dataset: Dataset) -> str:
    """Say why vectors cannot be given to a feature."""
    feature = next((feature for feature in dataset.schema.features if feature.name == name), None)
    expected = f"expected one of: {', '.join(dataset.schema.vocabularies)}"
    if feature is None:
        return f"{dataset.path} has no such feature; {expected}"
    if feature.table is not None:
        return f"shares the table of {feature.table}; give the vectors to that"
    if not feature.stored.indexed:
        return f"is a number and has no table; {expected}"
    return f"has no vocabulary, so that no id has a row of its own; {expected}"


def frozen_of(tensors: Mapping[str, Tensor], model: Model) -> dict[str, FrozenRows]:
    """Freeze the rows that a checkpoint says, by the feature whose table it is ``[V]``.

    Raises:
        ValueError: it does not fit the table.
    """
    frozen = {}
    for name, rows in tensors.items():
        table = table_of(model, name)
        if rows.dtype != torch.bool or rows.shape != (table.num_embeddings,):
            raise ValueError(f"{FROZEN}{name}: {rows.dtype} {list(rows.shape)}, expected a bool for each row")
        frozen[name] = FrozenRows(table, rows)
    return frozen
