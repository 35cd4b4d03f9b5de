"""What a batch has to look like for the features of a model, said in a sentence where it does not.

Batches of a dataset and of requests are right by construction; this is for those made by hand. It is done
for every batch all the same: shapes and types cost next to nothing, and a wrong length would not be noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor

from dien.data.batch import Batch, match_numbers, popularity_numbers
from dien.data.features import KINDS, Numeric, Schema, Side
from dien.layers.embedding import NUMBERS, TABLES
from dien.packed import Packed

_MAKE = "dien.packed.lengths_to_offsets makes them of the lengths"


class BatchCheck:
    """Checks batches against a schema.

    Args:
        schema: features of items, behaviours, users and contexts.
    """

    def __init__(self, schema: Schema) -> None:
        self._matched = schema.matched

        def of(*sides: Side) -> tuple[tuple[str, str, int], ...]:
            return tuple((f.name, _form(f.kind), f.size) for f in schema.of(*sides))

        self._of_field = {
            "history": of("item", "behaviour"),
            "target": of("item"),
            "negatives": of("item"),
            "user": of("user"),
            "context": of("context"),
        }

    def __call__(self, batch: Batch, *, negatives: bool, matches: bool, popularity: bool) -> None:
        """Refuse a batch that a model would misread or fail on; indices beyond a table are left to it.

        Args:
            batch: on the CPU its offsets and ``history_of`` are read, elsewhere shapes and types alone.
            negatives: whether the model reads them.
            matches: whether the model reads them; without any it cannot.
            popularity: likewise.

        Raises:
            TypeError: a field or column is no tensor, or of the wrong type.
            ValueError: it is of the wrong shape, a feature is missing, or offsets or ``history_of`` are out
                of range.
        """
        if torch.compiler.is_compiling():
            return
        N, R = _check_histories(batch)
        B = batch.history_of.shape[0]
        self._columns("history", batch.history, N, "behaviours (Batch.offsets)")
        self._columns("target", batch.target, B, "candidates (Batch.history_of)")
        self._columns("user", batch.user, R, "histories (Batch.offsets)")
        self._columns("context", batch.context, R, "histories (Batch.offsets)")
        if negatives and batch.negatives is not None:
            self._columns("negatives", batch.negatives, N, "behaviours (Batch.offsets)")
            marked = batch.supervised
            is_mask = isinstance(marked, Tensor) and marked.shape == (N,) and marked.dtype == torch.bool
            if marked is not None and not is_mask:
                _refuse("supervised", marked, f"[{N}] of type bool, for each of {N} behaviours")
        if matches:
            self._expect_matches(batch.matches, B)
        if popularity:
            self._expect_popularity(batch.popularity, B)
        for field in ("label", "weight", "conversion"):
            value = getattr(batch, field)
            if value is None:
                continue
            if not isinstance(value, Tensor) or value.shape != (B,) or not value.is_floating_point():
                _refuse(field, value, f"[{B}] of floating type, a {field} of each of {B} candidates")

    def _expect_matches(self, found: Tensor | None, B: int) -> None:
        F = len(self._matched)
        found = self._numbers("matches", found, (B, match_numbers(F)), "match_history=config.matched_history")
        if found.device.type == "cpu" and not (found[:, : 1 + F] >= 0).all():
            raise ValueError(
                "Batch.matches: a length or a count is below 0 or NaN; expected 0 or more, and NaN only for "
                "steps and seconds where nothing matches (dien.data.matches)"
            )

    def _expect_popularity(self, found: Tensor | None, B: int) -> None:
        form = B, popularity_numbers(len(self._matched))
        found = self._numbers("popularity", found, form, "popularity=config.popularity")
        if found.device.type == "cpu" and not ((found[:, :-2] >= 0).all() and not (found[:, -2:] < 0).any()):
            raise ValueError(
                "Batch.popularity: a number is below 0, or a count is NaN; expected 0 or more, and NaN only "
                "for seconds where there is no behaviour (dien.data.popularity)"
            )

    def _numbers(self, field: str, found: Tensor | None, form: tuple[int, int], argument: str) -> Tensor:
        """Refuse numbers ``[B, ·]`` of candidates that are missing, or of another shape or type."""
        expected = f"{[*form]} of floating type, numbers of {field} by {', '.join(self._matched)}"
        if found is None:
            raise ValueError(
                f"Batch.{field}: None; expected {expected}; take batches that have them (Batches(..., "
                f"{argument})), or a model with {field}=False"
            )
        if not isinstance(found, Tensor) or found.shape != form or not found.is_floating_point():
            _refuse(field, found, expected)
        return found

    def explain(self, batch: Batch, error: Exception) -> None:
        """Name the feature whose index is beyond its table, where that is why a look-up failed.

        Raises:
            IndexError: with what the table has.
        """
        for field, features in self._of_field.items():
            for name, form, size in features:
                column = (getattr(batch, field) or {}).get(name)
                indices = column.values if isinstance(column, Packed) else column
                if form in ("number", "vector", "other") or indices is None or indices.device.type != "cpu":
                    continue
                wrong = torch.nonzero((indices < 0) | (indices >= size))
                if len(wrong):
                    at = int(wrong[0])
                    raise IndexError(
                        f"Batch.{field}[{name!r}]: index {int(indices[at])} at position {at}; expected 0 to "
                        f"{size - 1}, the indices of the feature (0 is unknown)"
                    ) from error

    def _columns(self, field: str, columns: Mapping[str, Any], n: int, what: str) -> None:
        """Check the columns of a field, a value for each of ``n`` of these."""
        for name, form, size in self._of_field[field]:
            column = columns.get(name)
            if isinstance(column, Tensor):
                shape = column.shape[:1] if form == "other" else column.shape
                wanted = (n, size) if form == "vector" else (n,)
                if form != "lists" and shape == wanted and (form != "index" or column.dtype == torch.int64):
                    continue
            elif (
                isinstance(column, Packed)
                and form == "lists"
                and column.offsets.shape == (n + 1,)
                and column.values.dtype == torch.int64
            ):
                continue
            _refuse_column(field, name, column, (form, size), n, what, columns)


def _form(kind: str) -> str:
    if KINDS[kind].vectors:
        return "vector"
    if kind in NUMBERS:  # a kind from outside may have several numbers of each
        return "number" if kind == Numeric.kind else "other"
    return "index" if TABLES[kind] is None else "lists"


def _check_histories(batch: Batch) -> tuple[int, int]:
    """Check offsets and ``history_of``, and count behaviours and histories."""
    offsets, history_of = batch.offsets, batch.history_of
    for field, value in (("offsets", offsets), ("history_of", history_of)):
        if not isinstance(value, Tensor) or value.ndim != 1 or value.dtype not in (torch.int64, torch.int32):
            _refuse(field, value, "[R + 1] int64" if field == "offsets" else "[B] int64, a history each")
    R = offsets.shape[0] - 1
    if R < 0:
        _refuse("offsets", offsets, f"[R + 1], starting with 0; {_MAKE}")
    if offsets.device.type != "cpu" or history_of.device.type != "cpu":
        first = next(iter(batch.history.values()), None)
        rows = (
            first.offsets.shape[0] - 1
            if isinstance(first, Packed)
            else len(offsets if first is None else first)
        )
        return rows, R
    ends, of = offsets.numpy(), history_of.numpy()  # a call of numpy takes a third of one of torch
    if ends[0] or (ends[1:] < ends[:-1]).any():
        raise ValueError(
            f"Batch.offsets: {_some(offsets)}; expected where each history begins, rising from 0, and at the "
            f"end the number of behaviours in all; {_MAKE}"
        )
    if len(of) and (of.min() < 0 or of.max() >= R):
        at = int(((of < 0) | (of >= R)).argmax())
        raise ValueError(
            f"Batch.history_of: {of[at]} of candidate {at}; expected 0 to {R - 1}, one of the {R} histories"
        )
    return int(ends[-1]), R


def _refuse_column(
    field: str, name: str, column: Any, wanted: tuple[str, int], n: int, what: str, columns: Iterable[str]
) -> NoReturn:
    form, size = wanted
    where = f"{field}[{name!r}]"
    if column is None:
        raise ValueError(
            f"Batch.{field}: there is no feature {name!r}, which the model's schema has; found "
            f"{', '.join(columns) or 'none'}"
        )
    of = f"a value of each of {n} {what}"
    if form == "lists":
        _refuse(where, column, f"Packed lists of int64 indices with offsets [{n + 1}], {of}")
    shape = {"other": f"[{n}, ...]", "vector": f"[{n}, {size}]"}.get(form, f"[{n}]")
    _refuse(where, column, f"a tensor {shape}{' of int64 indices' if form == 'index' else ''}, {of}")


def _refuse(field: str, value: Any, expected: str) -> NoReturn:
    found = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, Tensor):
        found = f"{value.dtype} {list(value.shape)}"
    elif isinstance(value, Packed):
        found = f"Packed of {value.values.dtype} with offsets {list(value.offsets.shape)}"
    kind = ValueError if isinstance(value, Tensor | Packed) else TypeError
    raise kind(f"Batch.{field}: {found}; expected {expected}")


def _some(values: Tensor) -> str:
    shown = ", ".join(map(str, values[:8].tolist()))
    return f"[{shown}{', ...' if values.shape[0] > 8 else ''}]"
