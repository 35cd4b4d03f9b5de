"""Features of the context and of behaviours in a graph: inputs, and their embeddings."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from torch import nn

from dien.data.features import Feature
from dien.errors import RunError
from dien.layers import FeatureEmbedding
from dien.layers.embedding import Feature as Embeddable
from dien.layers.embedding import FixedVector
from dien.serving.export.graph import FLOAT, Graph, Name, ints, number
from dien.serving.export.layers import weight

NO_VALUE = -1
"""Fills up lists of values to the length of the longest one."""
_EMPTY: dict[str, Any] = {
    "categorical": np.array(0, np.int64),
    "multi": np.array(NO_VALUE, np.int64),
    "numeric": number(0),
    "vector": number(0),
}
"""What stands in the place of a value, by kind, in the step that counts for nothing."""


def feature_input(graph: Graph, feature: Feature, rows: int | str) -> Name:
    """Add the input of a feature: encoded values of so many rows.

    Raises:
        RunError: the feature is of a kind of one's own.
    """
    name = input_name(feature)
    if feature.kind not in _EMPTY:
        raise RunError(
            f"the feature {feature.name} of kind {feature.kind} cannot be exported; expected one of the "
            f"kinds {', '.join(_EMPTY)}"
        )
    if feature.kind == "multi":
        return graph.input(name, np.int64, rows, f"values of {name}")
    if feature.kind == "vector":
        return graph.input(name, np.float32, rows, feature.size)
    return graph.input(name, np.float32 if feature.kind == "numeric" else np.int64, rows)


def input_name(feature: Feature) -> Name:
    """Name the input of a feature of the context or of behaviours."""
    return f"{feature.side}.{feature.name}"


def newest(graph: Graph, values: Name, most: int) -> Name:
    """Take the newest of the entries ``[L, ...]`` of a history."""
    return graph.op("Slice", values, ints(-most), ints(np.iinfo(np.int64).max), ints(0))


def one_more(graph: Graph, values: Name, kind: str) -> Name:
    """Add a step that counts for nothing to values ``[T, ...]`` of a feature of some kind.

    Lists get a column that is empty, too: the longest one may hold nothing.
    """
    wide = kind in ("multi", "vector")
    pads = ints(0, 0, 1, int(kind == "multi")) if wide else ints(0, 1)
    return graph.op("Pad", values, pads, _EMPTY[kind])


def embedded(graph: Graph, embedding: FeatureEmbedding, feature: Embeddable, values: Name) -> Name:
    """Embed values of a feature: ``[n, width]``; lists end with a column that is empty."""
    module = embedding.embedding_of(feature)
    if feature.kind == "categorical":
        return graph.op("Gather", weight(cast("nn.Embedding", module).weight), values)
    if feature.kind == "multi":
        return _pooled(graph, cast("nn.Embedding", module), feature.pooling, values)
    if feature.kind == "vector":
        return _vector(graph, module, values)
    missing, known = _known(graph, graph.op("Unsqueeze", values, ints(1)))  # [n, 1]
    both = graph.op("Concat", graph.op("Cast", missing, to=FLOAT), known, axis=1)  # [n, 2]
    return graph.op("MatMul", both, weight(cast("Any", module).weight))


def _pooled(graph: Graph, table: nn.Embedding, pooling: str, values: Name) -> Name:
    """Pool the embeddings of lists ``[n, K]``: zero for an empty one."""
    there = graph.op("GreaterOrEqual", values, ints(0))  # [n, K]
    rows = graph.op("Gather", weight(table.weight), graph.op("Max", values, ints(0)))  # [n, K, width]
    wide = graph.op("Unsqueeze", there, ints(2))  # [n, K, 1]
    some = graph.op("Cast", wide, to=FLOAT)
    counts = graph.op("ReduceSum", some, ints(1), keepdims=0)  # [n, 1]
    if pooling == "max":
        lowest = np.array(np.finfo(np.float32).min)
        most = graph.op("ReduceMax", graph.op("Where", wide, rows, lowest), axes=[1], keepdims=0)
        return graph.op("Where", graph.op("Greater", counts, number(0)), most, number(0))
    total = graph.op("ReduceSum", graph.op("Mul", rows, some), ints(1), keepdims=0)
    return total if pooling == "sum" else graph.op("Div", total, graph.op("Max", counts, number(1)))


def _vector(graph: Graph, module: nn.Module, values: Name) -> Name:
    """Embed vectors ``[n, size]``, which are all NaN where missing."""
    missing, known = _known(graph, values)
    first = graph.op("Slice", missing, ints(0), ints(1), ints(1))  # [n, 1]
    rows = weight(cast("Any", module).weight)
    if isinstance(module, FixedVector):
        return graph.op("Where", first, rows, known)
    instead = graph.op("Mul", graph.op("Cast", first, to=FLOAT), rows[:1])
    return graph.op("Add", graph.op("MatMul", known, rows[1:]), instead)


def _known(graph: Graph, numbers: Name) -> tuple[Name, Name]:
    """Mark numbers that are missing, and put zeros in their place."""
    missing = graph.op("IsNaN", numbers)
    return missing, graph.op("Where", missing, number(0), numbers)
