"""Forms in which a log says something in another way than by a column of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dien.data.features.definition import Text
from dien.data.sources.table.strict import Strict


def _texts(values: Any) -> Any:
    """Write the values that a list names as a column of text has them."""
    if not isinstance(values, list | tuple):
        values = [values]
    if not values or any(isinstance(value, Mapping | list | tuple) or value is None for value in values):
        raise ValueError("expected a list of values of the column, as [click, buy]")
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in values]


class Label(Strict):
    """What makes a label of a column.

    Attributes:
        column: its name; it holds 0 and 1 where nothing else is said.
        is_: its values that mean a click (key ``is``); each other one means none.
        known: a value that is there, whatever it is, means a click; null or empty means none.
    """

    column: Text
    is_: Annotated[tuple[Text, ...] | None, Field(alias="is"), BeforeValidator(_texts)] = None
    known: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Label:
        if self.is_ is not None and self.known:
            raise ValueError("is and known exclude each other; keep one of them")
        return self


def as_label(given: Any) -> Any:
    """Make a label of the name of its column."""
    if isinstance(given, str):
        return {"column": given}
    if given is not None and not isinstance(given, Mapping | Label):
        raise ValueError("expected a column, or {column: event, is: [click]}")
    return given
