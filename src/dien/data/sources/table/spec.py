"""What the columns of one's own tables mean: the YAML schema of ``dien prepare table``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from dien.data.features import TIME_SINCE, Definition, Numeric
from dien.data.features.definition import Text
from dien.data.features.rules import check_names, check_shared
from dien.data.sources.table.feature_keys import Features, Ids, or_defaults
from dien.data.sources.table.forms import (
    Label,
    OwnHistory,
    Page,
    as_history,
    as_item,
    as_item_or_none,
    as_label,
)
from dien.data.sources.table.ready import names_near, ready_or_file
from dien.data.sources.table.side_keys import Items, Users
from dien.data.sources.table.strict import Strict, problems
from dien.data.sources.table.table_text import TableText
from dien.data.sources.table.time_keys import (
    Order,
    TimeColumns,
    TimeFormat,
    TimeUnit,
    TimeYear,
    TimeZone,
    check_times,
)
from dien.errors import DataError
from dien.yaml_text import YamlTextError, read_yaml

BLANK = "???"
"""A column that is still to be filled in: a draft has it where no name told the column."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# fmt: off
_SINCE = tuple(float(seconds) for seconds in (
    _MINUTE, 5 * _MINUTE, 30 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 3 * _DAY,
    7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY,
))
# fmt: on


class Interactions(TableText):
    """Columns of the interactions, and how their files are written (:class:`TableText`).

    Attributes:
        user: who; text or integers.
        item: with what; text or integers; or what says that a row holds several items, a page.
        clicked: a list of those items of a page that were clicked; None where it is no page, or where it or
            its label says so.
        time: when: a column, several that are joined with a blank, or the order of the rows.
        time_unit: of integers; ``iso`` for text as 2024-01-31T10:00:00Z and for typed times; None to detect
            it from the values of each file.
        time_format: of text whose day and month could be mixed up, as "%d.%m.%Y %H:%M"; None for other text.
        time_year: of all times, where their format has none, as "%m%d".
        time_zone: of times that name none, as Europe/Berlin; None for UTC.
        label: 1 clicked and 0 shown but not clicked, or what makes this of a column; None where every row is
            a click.
        threshold: of a label that is a number, as a rating: so much or more is clicked, less is not.
        impression: equal for what was shown together; None where the log does not say.
        split: train, valid or test, anything else in none of them; None where the log does not say.
        weight: how much a row counts in the loss and the metrics, a number of at least 0; None where all
            count alike.
        conversion: 1 where a click led to what it is for, as a purchase, and 0 where not; None where the log
            does not say.
        history: columns of which a row holds its whole history; None where histories are made of other rows.
            Rows need no time then: where none is named, their order is it.
    """

    user: Text = "user"
    item: Annotated[Text | Page, BeforeValidator(as_item)] = "item"
    clicked: Text | None = None
    time: TimeColumns = "time"
    time_unit: TimeUnit | None = None
    time_format: TimeFormat | None = None
    time_year: TimeYear | None = None
    time_zone: TimeZone | None = None
    label: Annotated[Label | None, BeforeValidator(as_label)] = None
    threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None
    impression: Text | None = None
    split: Text | None = None
    weight: Text | None = None
    conversion: Text | None = None
    history: Annotated[OwnHistory | None, BeforeValidator(as_history)] = None

    @model_validator(mode="after")
    def _times_go_together(self) -> Interactions:
        check_times(self)
        return self

    @model_validator(mode="after")
    def _threshold_of_a_label(self) -> Interactions:
        if self.threshold is not None and self.label is None:
            raise ValueError("threshold is of a label; name its column as label, or leave threshold out")
        if self.threshold is not None and self.label is not None and (self.label.is_ or self.label.known):
            raise ValueError("threshold is of a label that is a number; leave it out, or is and known")
        return self

    @model_validator(mode="before")
    @classmethod
    def _own_histories_need_no_time(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("history") is not None and data.get("time") is None:
            return {**data, "time": {"order": "file"}}
        return data

    @model_validator(mode="after")
    def _one_that_says_what_was_clicked(self) -> Interactions:
        if len(self.labels) > 1:
            raise ValueError(f"{' and '.join(self.labels)} each say what was clicked; keep one of them")
        return self

    @property
    def labels(self) -> list[str]:
        """The keys that say what was clicked: one at most, if no option of a command adds another."""
        marked = isinstance(self.item, Page) and self.item.clicked is not None
        given = {"label": self.label is not None, "clicked": self.clicked is not None, "item.clicked": marked}
        return [name for name, there in given.items() if there]

    @property
    def page(self) -> Page | None:
        """Where the items of a page stand; None where a row has one item."""
        if isinstance(self.item, Page):
            return self.item
        return None if self.clicked is None else Page(column=self.item)

    @property
    def ordered(self) -> bool:
        """Whether the rows have no time, and their order is it."""
        return isinstance(self.time, Order)

    @property
    def item_column(self) -> str:
        """The column of items or of pages."""
        return self.item.column if isinstance(self.item, Page) else self.item

    @property
    def labelled(self) -> bool:
        """Whether the log says what was shown and not clicked."""
        return bool(self.labels)


class Behaviours(TableText):
    """Columns of a log of behaviours of its own; what is None is as in the interactions.

    Attributes:
        user: who; text or integers.
        item: with what; text or integers; or what says that a row holds several, as all that a user did.
        time: when.
        time_unit: of the time, as of the interactions; likewise ``time_format``, ``time_year`` and
            ``time_zone``.
    """

    user: Text | None = None
    item: Annotated[Text | Page | None, BeforeValidator(as_item_or_none)] = None
    time: TimeColumns | None = None
    time_unit: TimeUnit | None = None
    time_format: TimeFormat | None = None
    time_year: TimeYear | None = None
    time_zone: TimeZone | None = None

    @model_validator(mode="after")
    def _times_go_together(self) -> Behaviours:
        check_times(self)
        if isinstance(self.time, Order):
            raise ValueError("time: {order: file} is for the interactions alone; give the behaviours a time")
        if isinstance(self.item, Page) and self.item.clicked is not None:
            raise ValueError("item.clicked is of a page of interactions; leave it out")
        return self

    @property
    def item_column(self) -> str | None:
        """The column of items; None for that of the interactions."""
        return self.item.column if isinstance(self.item, Page) else self.item


class TableSpec(Strict):
    """What the columns of interactions, items and users mean."""

    interactions: Annotated[Interactions, BeforeValidator(or_defaults)] = Interactions()
    behaviours: Annotated[Behaviours, BeforeValidator(or_defaults)] = Behaviours()
    items: Annotated[Items, BeforeValidator(or_defaults)] = Items()
    users: Annotated[Users, BeforeValidator(or_defaults)] = Users()
    features: Annotated[Features, BeforeValidator(or_defaults)] = Features()
    ids: Annotated[Ids, BeforeValidator(or_defaults)] = Ids()

    @classmethod
    def load(cls, path: Path) -> TableSpec:
        """Read a YAML file.

        Args:
            path: the file, or the name of one of :data:`~dien.data.sources.table.ready.READY`.

        Raises:
            DataError: it cannot be read, or a key is unknown or its value not what it takes.
        """
        path = ready_or_file(path)
        try:
            data = read_yaml(path)
        except OSError as error:
            ready = "" if path.suffix else f", or a ready schema: {', '.join(names_near(str(path)))}"
            raise DataError(
                f"{path}: cannot be read: {error.strerror}; give the path of a YAML file{ready}"
            ) from error
        except YamlTextError as error:
            raise DataError(f"{path}: {error}") from error
        return cls.of(data, str(path))

    @classmethod
    def of(cls, data: Any, source: str) -> TableSpec:
        """Check plain data, of a YAML file or of a command line.

        Args:
            data: mappings by the names of the attributes; None for the defaults alone.
            source: where the data comes from, for errors.

        Raises:
            DataError: a key is unknown or its value not what it takes.
        """
        if not isinstance(data, Mapping | None):
            raise DataError(
                f"{source}: found {type(data).__name__}, expected keys {', '.join(cls.model_fields)}"
            )
        try:
            return cls.model_validate(data or {})
        except ValidationError as error:
            raise DataError(f"{source}: {problems(error, cls)}") from error

    def expect_filled_in(self) -> None:
        """Refuse a draft that has a line to fill in.

        Raises:
            DataError: it names the first such key.
        """
        for part in ("interactions", "behaviours", "items", "users"):
            for key, value in getattr(self, part):
                if value == BLANK:
                    option = f", or give --{key}" if part == "interactions" else ""
                    raise DataError(
                        f"{part}.{key} of the schema is {BLANK}, which is to be filled in: write the name of "
                        f"the column that holds the {key} (the draft lists those that could){option}"
                    )

    def definitions(self) -> dict[str, Definition]:
        """Definitions of all features by name, ids among them, for the log."""
        return {
            "item": self.ids.item,
            "user": self.ids.user,
            **{name: feature for _, name, feature in self.features.named()},
        }

    @model_validator(mode="before")
    @classmethod
    def _time_since_is_numeric(cls, data: Any) -> Any:
        """Say for the user that ``time_since`` is a number, and its usual edges."""
        match data:
            case {"features": {"behaviour": {"time_since": since}}}:
                since = {} if since is None else since
                if isinstance(since, Mapping):
                    if wrong := sorted(set(map(str, since)) - {"edges", "width"}):
                        raise ValueError(
                            f"features.behaviour.time_since.{wrong[0]}: takes only edges (seconds), width"
                        )
                    edges = since.get("edges")
                    numeric = {**since, "kind": Numeric.kind, "edges": _SINCE if edges is None else edges}
                    behaviour = {**data["features"]["behaviour"], TIME_SINCE: numeric}
                    return {**data, "features": {**data["features"], "behaviour": behaviour}}
        return data

    @model_validator(mode="after")
    def _history_has_its_features(self) -> TableSpec:
        roles, history = self.interactions, self.interactions.history
        if history is None:
            return self
        if self.behaviours != Behaviours():
            raise ValueError(
                "behaviours and interactions.history both say what histories hold; keep one of them"
            )
        own, of_items = self.features.behaviour, self.features.of_interactions("item")
        for name in history.features:
            if name not in own and name not in of_items:
                raise ValueError(
                    f"interactions.history.features.{name}: is no feature; define it under "
                    "features.behaviour, or under features.item with {from: interactions}"
                )
        for name, feature in of_items.items():
            if feature.changes and history.time is None:
                raise ValueError(
                    f"features.item.{name}: changes over time, and what stands in histories has no time; "
                    "name its column (interactions.history.time), or leave changes out"
                )
        for name in own:
            if name == TIME_SINCE and (history.time is None or roles.ordered):
                raise ValueError(
                    "features.behaviour.time_since: needs the time of rows (interactions.time) and of what "
                    "stands in their histories (interactions.history.time); name both, or take it out"
                )
            if name != TIME_SINCE and name not in history.features:
                raise ValueError(
                    f"features.behaviour.{name}: name the column that holds it for each item of a history "
                    f"(interactions.history.features.{name}), or take it out"
                )
        return self

    @model_validator(mode="after")
    def _commas_have_one_meaning(self) -> TableSpec:
        own = self.behaviours if self.behaviours != Behaviours() else self.interactions
        tables: dict[str, TableText] = {"item": self.items, "user": self.users}
        tables |= {"behaviour": own, "context": self.interactions}
        lists: list[tuple[str, TableText, Any]] = [
            ("interactions.item", self.interactions, self.interactions.item),
            ("interactions.history", self.interactions, self.interactions.history),
            ("behaviours.item", self.behaviours, self.behaviours.item),
        ]
        for side, name, feature in self.features.named():
            table = tables[side] if feature.from_ is None else self.interactions
            lists.append((f"features.{side}.{name}", table, feature))
        for where, table, one in lists:
            if table.decimal is not None and getattr(one, "separator", None) == ",":
                raise ValueError(
                    f"{where}.separator is the comma that decimal of its table gives a meaning in numbers; "
                    "write lists with another separator, or numbers with a point alone"
                )
        return self

    @model_validator(mode="after")
    def _features_fit_together(self) -> TableSpec:
        named = [(f"features.{side}.{name}", name, feature) for side, name, feature in self.features.named()]
        check_names(
            [(where, name) for where, name, _ in named if where != f"features.behaviour.{TIME_SINCE}"],
            "rename it and give its column as column",
        )
        ids: dict[str, tuple[str, Definition]] = {
            "item": ("ids.item", self.ids.item),
            "user": ("ids.user", self.ids.user),
        }
        check_shared(ids | {name: (f"{where}.shares", feature) for where, name, feature in named})
        return self
