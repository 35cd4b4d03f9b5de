"""Embedding tables by name: where they are registered, replaced, and found by those that share them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast, overload

from torch import nn


class NamedTables(nn.ModuleList):
    """The tables of some features, by place and by the name of the feature that owns each.

    A table may be replaced by another of its shape, ``tables["item"] = nn.Embedding.from_pretrained(rows)``:
    whatever reads it reads the new one. A state dict names them by their place, ``tables.0.weight``, since a
    feature may be named as no module may.

    Args:
        tables: by name.

    Attributes:
        names: of the owning features, in order.

    Raises:
        TypeError: what should replace a table is no nn.Embedding, or a table is added or taken away.
        ValueError: it is of another shape.
        KeyError: no table has this name.
    """

    names: tuple[str, ...]

    def __init__(self, tables: Mapping[str, nn.Embedding]) -> None:
        super().__init__()
        self.names = tuple(tables)
        for place, table in enumerate(tables.values()):
            self.add_module(str(place), table)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_modules", {}):
            self._check(int(name), value)
        super().__setattr__(name, value)

    @overload  # type: ignore[override]
    def __getitem__(self, which: int | str) -> nn.Module: ...

    @overload
    def __getitem__(self, which: slice) -> list[nn.Module]: ...

    def __getitem__(self, which: int | str | slice) -> nn.Module | list[nn.Module]:
        """Look up a table by its place or name, or several by a slice of places."""
        if isinstance(which, slice):
            return list(self)[which]
        return super().__getitem__(self._place(which))

    def __setitem__(self, which: int | str, table: nn.Module) -> None:
        """Replace a table, given by its place or name."""
        super().__setitem__(self._place(which), table)

    def __delitem__(self, which: Any) -> None:
        self._refuse()

    def insert(self, index: int, module: nn.Module) -> None:
        """Refuse: a feature without a table, or a table without a feature, would stay unread."""
        self._refuse()

    def append(self, module: nn.Module) -> NamedTables:
        """Refuse, as :meth:`insert`."""
        self._refuse()
        return self

    def extend(self, modules: Iterable[nn.Module]) -> NamedTables:
        """Refuse, as :meth:`insert`."""
        self._refuse()
        return self

    def __repr__(self) -> str:
        tables = (f"  ({place}, {self.names[place]}): {table!r}\n" for place, table in enumerate(self))
        return f"{type(self).__name__}(\n{''.join(tables)})"

    def _place(self, which: int | str) -> int:
        if not isinstance(which, str):
            return which
        if which not in self.names:
            raise KeyError(f"no table of {which!r}; expected one of: {', '.join(self.names)}")
        return self.names.index(which)

    def _check(self, place: int, table: Any) -> None:
        """Refuse to have a table replaced by what cannot be read in its place."""
        now, name = cast("nn.Embedding", self[place]), self.names[place]
        expected = f"expected nn.Embedding({now.num_embeddings}, {now.embedding_dim})"
        if not isinstance(table, nn.Embedding):
            raise TypeError(f"the table of {name!r}: found {type(table).__name__}; {expected}")
        if (table.num_embeddings, table.embedding_dim) != (now.num_embeddings, now.embedding_dim):
            raise ValueError(
                f"the table of {name!r}: found {table.num_embeddings} rows of {table.embedding_dim}; "
                f"{expected}, a row for each index of the feature"
            )

    def _refuse(self) -> None:
        raise TypeError(
            f"there is one table for each of {', '.join(self.names) or 'no feature'}; one may be replaced "
            "(tables[NAME] = nn.Embedding(...)), none added or taken away"
        )


class SharedTables(dict[str, nn.Embedding]):
    """Tables by the feature that owns each, and where each is registered, since there it may be replaced."""

    def __init__(self, tables: Mapping[str, nn.Embedding]) -> None:
        super().__init__(tables)
        self._homes: dict[str, tuple[nn.Module, str]] = {}

    def register(self, owner: nn.Module, names: Iterable[str]) -> None:
        """Note that these tables, in this order, stand in ``owner.tables`` from now on."""
        self._homes |= {name: (owner, str(place)) for place, name in enumerate(names)}

    def current(self, name: str) -> nn.Embedding:
        """Look up a table as it is now."""
        if name not in self._homes:
            return self[name]
        owner, place = self._homes[name]
        tables = cast("nn.Module", owner._modules["tables"])  # at every look-up: no __getitem__ on the way
        return cast("nn.Embedding", tables._modules[place])
