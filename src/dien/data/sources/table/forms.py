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


class Page(Strict):
    """A column of which a row holds all items of a page: a list, or text.

    Attributes:
        column: its name.
        separator: between the items of text; None where it is a list, or text as ``[1, 2]``.
        clicked: the end of an item that was clicked, as ``-1`` of ``N1-1``; each other one ends in something
            else that begins alike. None where the items have no such mark.
    """

    column: Text
    separator: Text | None = None
    clicked: Annotated[str, Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _begins_with_a_sign(self) -> Page:
        if self.clicked is not None and (self.clicked[0].isalnum() or self.clicked[0] in self.clicked[1:]):
            raise ValueError("clicked begins with the sign that stands before it, which is once in it, as -1")
        return self


def as_item(given: Any) -> Any:
    """Take the name of a column of items, or what says that it holds pages."""
    if isinstance(given, Mapping):
        return Page.model_validate(given)
    if not isinstance(given, str | Page) or not given:
        raise ValueError("expected a column, or {column: impressions, separator: ' ', clicked: '-1'}")
    return given


def as_item_or_none(given: Any) -> Any:
    """Do the same where nothing may be said."""
    return None if given is None else as_item(given)


def _column_or_columns(given: Any) -> Any:
    several = isinstance(given, list | tuple) and given and all(isinstance(one, str) and one for one in given)
    if several:
        return tuple(given)
    if not isinstance(given, str) or not given:
        raise ValueError("expected a column of lists, or columns of one item each, as [hist_1, hist_2]")
    return given


def _as_text(given: Any) -> Any:
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


class OwnHistory(Strict):
    """Columns of which a row holds the history of its user, oldest first: lists, or text.

    Attributes:
        item: the items of the history; or columns of one item each, as ``[hist_1, hist_2]``, oldest first.
        separator: between the values of text, in all columns; None where they are lists, or text as
            ``[1, 2]``.
        time: the time of each item; None where the log does not say.
        length: how many of the values count, where the lists are filled up to one length; None where all do.
        padding: the value that fills lists or columns up, as 0: it is no item.
        features: of each item, by the name of a feature of behaviours, or of one of items that is read from
            the interactions: the column that holds it.
    """

    item: Annotated[Text | tuple[Text, ...], BeforeValidator(_column_or_columns)]
    separator: Text | None = None
    time: Text | None = None
    length: Text | None = None
    padding: Annotated[Text | None, BeforeValidator(_as_text)] = None
    features: Annotated[dict[str, Text], BeforeValidator(lambda given: {} if given is None else given)] = (
        Field(default_factory=dict)
    )

    @model_validator(mode="after")
    def _columns_alone(self) -> OwnHistory:
        if not isinstance(self.item, str) and (self.separator or self.length or self.time or self.features):
            raise ValueError(
                "separator, time, length and features are of lists; leave them out where item names columns"
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the items."""
        return (self.item,) if isinstance(self.item, str) else self.item


def as_history(given: Any) -> Any:
    """Make columns of histories of the name of the column of their items."""
    if isinstance(given, str):
        return {"item": given}
    if given is not None and not isinstance(given, Mapping | OwnHistory):
        raise ValueError("expected a column of lists, or {item: hist_iid, separator: '|'}")
    return given
