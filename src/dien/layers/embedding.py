"""Embeddings of features of every kind, each looked up once for all lists of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dien.layers.bypass import bypassable
from dien.layers.tables import NamedTables, SharedTables
from dien.ops import gather_rows
from dien.packed import Packed, lengths_to_offsets

INITIAL_STD = 0.01
_MAP_STD = (
    0.1  # of a map of vectors: at 0.01 it takes epochs to say anything, at 0.3 noise is learned by heart
)


class Feature(Protocol):
    """What an embedding has to know of a feature; ``dien.data.features.Feature`` explains each."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def width(self) -> int | None: ...  # noqa: D102
    @property
    def pooling(self) -> str: ...  # noqa: D102
    @property
    def table(self) -> str | None: ...  # noqa: D102
    @property
    def frozen(self) -> bool: ...  # noqa: D102


Columns = Sequence[Tensor | Packed]
"""The columns of one feature, of one list of items each."""


def embedding_tables(features: Iterable[Feature], width: int, sparse: bool = True) -> SharedTables:
    """Make the tables that features own.

    Row 0 ("unknown") starts at zero: an index no training row has ever held adds nothing.

    Args:
        features: those that share another's table, and those of :data:`NUMBERS`, get none.
        width: width of an embedding whose feature names none.
        sparse: whether gradients are sparse, so that an optimiser touches only the rows a step has read
            (:class:`~dien.training.RowAdam`). torch's Adam, its weight decay and its clipping want dense
            ones. It can be changed later, by the attribute ``sparse`` of a table.

    Returns:
        Tables by the name of the feature that owns them.
    """
    tables = {
        f.name: nn.Embedding(f.size, f.width or width, sparse=sparse)
        for f in features
        if f.kind not in NUMBERS and f.table is None
    }
    for table in tables.values():
        _initialise(table.weight)
    return SharedTables(tables)


class NumberEmbedding(nn.Module):
    """Embeds a number as its product with a learned vector, and a missing one as another learned vector.

    Args:
        width: of the embedding.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2, width))  # missing, value
        _initialise(self.weight)

    def forward(self, numbers: Tensor) -> Tensor:
        """Embed numbers ``[n]``, NaN where missing, returning ``[n, width]``."""
        missing = torch.isnan(numbers)
        # Zero in place of NaN before anything is multiplied: NaN times zero would be NaN in the gradient.
        factors = torch.stack([missing.to(numbers.dtype), numbers.masked_fill(missing, 0)], 1)  # [n, 2]
        return factors.to(self.weight.dtype) @ self.weight


class VectorProjection(nn.Module):
    """Embeds a fixed vector by a learned linear map, and a missing one as a learned vector.

    Vectors come scaled to a length of 1 or so (:class:`dien.data.features.encoders.ScaledVectors`): what is
    made of them starts at a standard deviation of 0.1, so that they say something from the first step on, as
    no row of a table can.

    Args:
        size: numbers of a vector.
        width: of the embedding.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1 + size, width))  # missing, then the map
        _initialise(self.weight, _MAP_STD)

    def forward(self, vectors: Tensor) -> Tensor:
        """Embed vectors ``[n, size]``, all NaN where missing, returning ``[n, width]``."""
        missing = torch.isnan(vectors[:, :1])
        # As for numbers, no NaN is multiplied.
        known = vectors.masked_fill(missing, 0).to(self.weight.dtype)
        return known @ self.weight[1:] + missing.to(self.weight.dtype) * self.weight[0]


class FixedVector(nn.Module):
    """Takes a fixed vector as it is for its embedding, and a learned vector for a missing one.

    Args:
        size: numbers of a vector.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, size))  # missing

    def forward(self, vectors: Tensor) -> Tensor:
        """Give vectors ``[n, size]``, in place of those that are all NaN the learned one."""
        return torch.where(torch.isnan(vectors[:, :1]), self.weight, vectors.to(self.weight.dtype))


def _vector_embedding(feature: Feature, width: int) -> nn.Module:
    return FixedVector(feature.size) if feature.frozen else VectorProjection(feature.size, width)


def pool(feature: Feature, table: nn.Embedding, columns: Columns) -> Tensor:
    """Pool the embeddings of each packed list of indices, ``[n, width]``, zero for an empty one."""
    lists = [column for column in columns if isinstance(column, Packed)]
    indices = torch.cat([column.values for column in lists])  # [V]
    offsets = lengths_to_offsets(torch.cat([column.lengths for column in lists]))  # [n + 1]
    if feature.pooling != "max" and may_be_read(table):
        return F.embedding_bag(
            indices,
            table.weight,
            offsets,
            mode=feature.pooling,
            sparse=table.sparse,
            include_last_offset=True,
        )
    # The maximum has no sparse gradient: it is taken over rows looked up before.
    every = torch.arange(indices.shape[0], device=indices.device)
    return F.embedding_bag(every, table(indices), offsets, mode=feature.pooling, include_last_offset=True)


def may_be_read(table: nn.Embedding) -> bool:
    """Say whether a table need not be called: its weight has all rows, and a sparse gradient if any."""
    return (
        bypassable(table, nn.Embedding)
        and (table.sparse or not torch.is_grad_enabled() or not table.weight.requires_grad)
        and table.padding_idx is None
        and table.max_norm is None
        and not table.scale_grad_by_freq
    )


TABLES: dict[str, Callable[[Feature, nn.Embedding, Columns], Tensor] | None] = {
    "categorical": None,
    "multi": pool,
}
"""How each kind of feature that holds indices is embedded by a table; None looks up one row for each index,
for all such features at once."""

NUMBERS: dict[str, Callable[[Feature, int], nn.Module]] = {
    "numeric": lambda feature, width: NumberEmbedding(width),
    "vector": _vector_embedding,
}
"""What embeds each kind of feature that holds numbers: a module, of the feature and the width, that makes
``[n, width]`` of its columns, joined; of vectors, of each column by itself."""


class FeatureEmbedding(nn.Module):
    """Embeds the features of an item, a behaviour, or a user and a context, and concatenates them.

    A table that a feature shares is registered where its owner is, and only used here: a state dict names
    every tensor once, and sharing outlives a move to another device and the replacement of a table.

    The rows of all tables are looked up at once. A table that has hooks, is pruned, or is otherwise more than
    an nn.Embedding with sparse gradients, is called instead, once for each list.

    Args:
        features: in the order of concatenation; with none of them the width is 0 and nothing can be embedded.
        width: width of an embedding whose feature names none.
        tables: tables by the feature that owns them (:func:`embedding_tables`), where other
            FeatureEmbeddings share them; None makes those of ``features``.

    Raises:
        ValueError: a feature shares the table of one that has none, or whose table is of another size.

    Attributes:
        tables: of the features that own one; :class:`NamedTables` says how to replace one.
        widths: of each feature's embedding.
        width: of all together.
    """

    def __init__(self, features: Sequence[Feature], width: int, tables: SharedTables | None = None) -> None:
        super().__init__()
        if tables is None:
            tables = embedding_tables(features, width)
        widths = {f.name: f.width or width for f in features}
        numbers = {f.name: NUMBERS[f.kind](f, widths[f.name]) for f in features if f.kind in NUMBERS}
        # Lists, since a ModuleDict takes no name with a dot nor one of nn.Module's own, as "type".
        self.tables = NamedTables({f.name: tables[f.name] for f in features if f.name in tables})
        self.numbers = nn.ModuleList(numbers.values())
        self.features = tuple(features)
        tables.register(self, self.tables.names)
        self._shared = tables
        self._numbers = tuple(numbers)
        self._of_rows = tuple(
            k for k, f in enumerate(features) if f.kind not in NUMBERS and TABLES[f.kind] is None
        )
        self.widths = tuple(
            widths[f.name] if f.kind in NUMBERS else _table_of(f, tables).embedding_dim for f in features
        )
        self.width = sum(self.widths)

    def forward(self, *parts: Mapping[str, Tensor | Packed]) -> tuple[Tensor, ...]:
        """Embed several lists of items (say histories and targets) with one look-up for all.

        Args:
            parts: for each list, columns of ``n`` values by name, other features' among them: int64 indices
                (categorical), packed int64 indices (multi), numbers, NaN where missing (numeric), or rows of
                numbers (vector).

        Returns:
            For each list ``[n, width]``.

        Raises:
            IndexError: an index beyond its feature's table; the message names both.
        """
        embeddings = [self.embedding_of(feature) for feature in self.features]
        at_once = [k for k in self._of_rows if may_be_read(cast("nn.Embedding", embeddings[k]))]
        rows = self._rows_of_tables(parts, at_once, embeddings)
        if len(at_once) == len(self.features):
            return rows
        blocks = [iter(torch.split(of_part, [self.widths[k] for k in at_once], 1)) for of_part in rows]
        embedded: list[list[Tensor]] = [[] for _ in parts]
        for k, (feature, embedding) in enumerate(zip(self.features, embeddings, strict=True)):
            if k in at_once:
                of_parts: Iterable[Tensor] = [next(block) for block in blocks]
            else:
                of_parts = _embed(feature, embedding, [part[feature.name] for part in parts])
            for mine, values in zip(embedded, of_parts, strict=True):
                mine.append(values)
        return tuple(torch.cat(mine, 1) for mine in embedded)

    def __repr__(self) -> str:
        shown = []
        for feature, width in zip(self.features, self.widths, strict=True):
            embedding = self.embedding_of(feature)
            numbers = "number" if feature.size == 1 else f"{feature.size} numbers"
            rows = f"{embedding.num_embeddings} x " if isinstance(embedding, nn.Embedding) else f"{numbers}, "
            shown.append(f"{feature.name}: {rows}{width}")
        return f"{type(self).__name__}({'; '.join(shown)})"

    def embedding_of(self, feature: Feature) -> nn.Module:
        """Look up what embeds a feature as it is now, since it may have been replaced."""
        if feature.kind in NUMBERS:
            return self.numbers[self._numbers.index(feature.name)]
        return self._shared.current(feature.table or feature.name)

    def _rows_of_tables(
        self,
        parts: Sequence[Mapping[str, Tensor | Packed]],
        at_once: Sequence[int],
        embeddings: Sequence[nn.Module],
    ) -> tuple[Tensor, ...]:
        """Look up these categorical features of every part, ``[n, their width]``, if there are any."""
        if not at_once:
            return ()
        tables: list[Tensor] = []
        table_of = []
        for k in at_once:
            weight = cast("nn.Embedding", embeddings[k]).weight
            at = next((t for t, table in enumerate(tables) if table is weight), len(tables))
            tables += [weight] if at == len(tables) else []
            table_of.append(at)
        names = [self.features[k].name for k in at_once]
        lists = [[cast("Tensor", part[name]) for name in names] for part in parts]
        try:
            return gather_rows(tables, lists, table_of)
        except IndexError as error:
            raise IndexError(f"{error}; the columns are {', '.join(names)}") from error


def _embed(feature: Feature, embedding: nn.Module, columns: Columns) -> tuple[Tensor, ...]:
    """Embed the columns of one feature, ``[n, width]`` each."""
    if feature.kind in TABLES:
        if (embed := TABLES[feature.kind]) is None:
            try:
                return tuple(embedding(column) for column in columns)
            except IndexError as error:
                raise IndexError(f"{error}; the columns are {feature.name}") from error
        joined = embed(feature, cast("nn.Embedding", embedding), columns)
    elif all(isinstance(column, Tensor) and column.ndim > 1 for column in columns):
        # Rows are wide: to join them costs more than a product for each list.
        return tuple(embedding(column) for column in columns)
    else:
        joined = embedding(torch.cat(cast("list[Tensor]", columns)))
    return torch.split(joined, [_rows(column) for column in columns])


def _initialise(weight: Tensor, std: float = INITIAL_STD) -> None:
    nn.init.normal_(weight, std=std)
    with torch.no_grad():
        weight[0] = 0


def _table_of(feature: Feature, tables: Mapping[str, nn.Embedding]) -> nn.Embedding:
    table = tables.get(feature.table or feature.name)
    if table is None:
        raise ValueError(
            f"feature {feature.name!r} shares the embedding table of {feature.table!r}, which has none of "
            f"its own; expected one of: {', '.join(tables)}"
        )
    if table.num_embeddings != feature.size:
        raise ValueError(
            f"feature {feature.name!r} has {feature.size} indices and shares the embedding table of "
            f"{feature.table!r} with {table.num_embeddings}; expected as many, since they share a vocabulary"
        )
    return table


def _rows(column: Tensor | Packed) -> int:
    return column.offsets.shape[0] - 1 if isinstance(column, Packed) else column.shape[0]
