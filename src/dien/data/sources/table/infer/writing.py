"""Writes a draft: the roles, the keys of the tables, a line for every other column, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

import polars as pl

from dien.data.features.rules import RESERVED, TIME_SINCE
from dien.data.readers.messages import listed
from dien.data.sources.table.infer.changes import FoundChanges, find_changes
from dien.data.sources.table.infer.clicks import is_named_as_a_label
from dien.data.sources.table.infer.head import HeadColumn
from dien.data.sources.table.infer.histories import beside
from dien.data.sources.table.infer.kinds import kind_of, refusal
from dien.data.sources.table.infer.names import after_the_click, of_a_kind_of_event, of_a_rating
from dien.data.sources.table.infer.places import Place, places
from dien.data.sources.table.infer.roles import EVENTS, REQUIRED, Found, candidates, find_key, fits, title_of
from dien.data.sources.table.infer.words import contents, in_comment, inside, plain
from dien.data.sources.table.spec import BLANK
from dien.data.sources.table.time_keys import TimeUnit
from dien.data.sources.table.times import TimeParser
from dien.data.times import in_words

_CLICKS = ("click", "purchase", "buy", "transaction", "order")
_CONVERSIONS = ("purchase", "bought", "buy", "conver")
ROLES = ("user", "item", "clicked", "time", "label", "impression", "split")
"""Roles in the order in which a draft has them."""


@dataclass
class Draft:
    """Writes a draft, part by part.

    Attributes:
        heads: columns by table: ``interactions``, and where they are given ``items`` and ``users``.
        ways: lines that say how the text of each table is written.
        roles: the column of each role.
        taken: names that no further feature may have.
        of_log: features of items that are read from the interactions, as they are written.
    """

    heads: Mapping[str, list[HeadColumn]]
    ways: Mapping[str, list[str]]
    roles: Mapping[str, Found]
    taken: set[str] = field(default_factory=lambda: {*RESERVED, TIME_SINCE})

    of_log: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Write all of it as YAML."""
        keys = [line for side in ("item", "user") if f"{side}s" in self.heads for line in self._key(side)]
        features = self._features()  # without the keys
        lines = [
            "# A draft: the columns were guessed from names and from the first rows.",
            "# Read it, mend it, delete what is not wanted.",
            "interactions:",
            *self.ways["interactions"],
            *(line for role in ROLES for line in self._role(role)),
            *self._conversion(),
            *self._history(),
        ]
        lines += [*keys, "features:", *features]
        return "\n".join(lines) + "\n"

    @property
    def _rest(self) -> list[HeadColumn]:
        columns = (one for found in self.roles.values() for one in (found.column, found.clock))
        used = {column.name for column in columns if column is not None}
        return [column for column in self.heads["interactions"] if column.name not in used]

    @property
    def _of_impression(self) -> list[HeadColumn]:
        """The columns that are equal for what was shown together; none where they are not all there."""
        named, when = self.roles["impression"].column, self.roles["time"]
        if named is not None:
            return [named]
        own = [self.roles["user"].column, when.column]
        own += [when.clock] if when.clock is not None else []
        return [one for one in own if one is not None] if None not in own else []

    def _role(self, role: str) -> list[str]:
        column, why = self.roles[role].column, self.roles[role].why
        if column is not None:
            options, clock = self.roles[role].options, self.roles[role].clock
            named = plain(column.name) if not options else inside({"column": column.name, **options})
            if clicks := self.roles[role].clicks:
                named = f"{{column: {plain(column.name)}, is: [{', '.join(map(plain, clicks))}]}}"
            if clock is not None:
                named = f"[{named}, {plain(clock.name)}]"
            line = f"  {role}: {named}  # {why}; {contents(column)}"
            if self.roles[role].threshold is not None:
                return [line, f"  threshold: {self.roles[role].threshold}  # so many are a click"]
            timed = role == "time" and clock is None
            more = []
            if clock is not None and (unit := self.roles[role].clock_unit) is not None:
                more = [f"  time_unit: {unit}  # of {in_comment(clock.name)}, from the start of the day"]
            return [line, *(of_times(column, self.roles[role].format) if timed else more)]
        if role == "label" and not self._labelled:
            return self._other_labels()
        if role not in REQUIRED:
            return []
        if role == "time" and self.roles["history"].column is not None:
            return ["  # time: no column here could be it: the order of the rows is the time"]
        others = candidates(role, self._rest)
        choice = f"one of {in_comment(listed(others), 150)}" if others else "no column here could be it"
        reason = f"; {in_comment(why, 200)}" if why else ""
        if role == "time":
            reason += "; or {order: file}, where the rows stand in order"
        return [f"  {role}: {BLANK}  # fill in: {choice}{reason}"]

    @property
    def _labelled(self) -> bool:
        """Whether the log says what was shown and not clicked."""
        return any(self.roles[role].column for role in ("label", "clicked")) or (
            "clicked" in self.roles["item"].options
        )

    def _other_labels(self) -> list[str]:
        """Say how kinds of events, or ratings, make a label, where a column seems to hold them."""
        if self.roles["item"].options:  # the label of a page is a list
            return []
        for column in self._rest:
            known = column.values.drop_nulls()
            if (
                (known.dtype == pl.String or known.dtype.is_integer())
                and (of_a_kind_of_event(column.name) or is_named_as_a_label(column.name))
                and 2 <= column.distinct <= EVENTS
            ):
                kinds = known.cast(pl.String)
                event = plain(next((e for e in _CLICKS if (kinds == e).any()), kinds[0]))
                label = f"{{column: {plain(column.name)}, is: [{event}]}}"
                why = f"if {event} is to be predicted"
            elif known.dtype.is_numeric() and of_a_rating(column.name) and 3 <= column.distinct <= EVENTS:
                label = plain(column.name)
                why = f"with threshold: {known.quantile(0.75):g}, if so much or more is a click"
            else:
                continue
            return [f"  # label: {label}  # {why}; without a label every row is a click; {contents(column)}"]
        return []

    def _history(self) -> list[str]:
        """Name the history that each row holds, and what it says of each of its items."""
        column, why = self.roles["history"].column, self.roles["history"].why
        if column is None:
            return []
        inner = "".join(f", {key}: {plain(value)}" for key, value in self.roles["history"].options.items())
        if features := beside(self.roles["history"], self._rest, self.of_log):
            inner += f", features: {inside(features)}"
        return [f"  history: {{item: {plain(column.name)}{inner}}}  # {why}; {contents(column)}"]

    def _conversion(self) -> list[str]:
        """Say how a second label is given, where a column seems to be one."""
        label = self.roles["label"].column
        for column in self._rest if label is not None else []:
            if (
                after_the_click(column.name) in _CONVERSIONS
                and fits("label", column)
                and column.distinct == 2
            ):
                return [
                    f"  # conversion: {plain(column.name)}  # if a click is to lead to it: a second label"
                ]
        return []

    def _key(self, side: str) -> list[str]:
        owner, table = self.roles[side].column, self.heads[f"{side}s"]
        found = find_key(side, None if owner is None else owner.name, table)
        if found.column is None:
            others = in_comment(listed(candidates(side, table)), 150)

            file = in_comment(str(table[0].parts[0][0])) if table else "no column"
            return [
                f"{side}s:",
                f"  {side}: {BLANK}  # fill in the key of the {side}s ({file}): one of {others}",
            ]
        self.heads[f"{side}s"].remove(found.column)
        again = found.column.known - found.column.distinct
        why = f"{again:,} of the rows read have the {side} of one before; or last, or time: COLUMN"
        keep = f"  keep: first  # {why}"
        changes = self._changes(side, find_changes(found.column, table))
        return [
            f"{side}s:",
            f"  {side}: {plain(found.column.name)}  # {found.why}; {contents(found.column)}",
            *(changes or ([keep] if again else [])),
            *(self._names(table) if side == "item" and not changes else []),
            *self.ways[f"{side}s"],
        ]

    def _names(self, table: list[HeadColumn]) -> list[str]:
        """Say which column names items, where one seems to; it may be a feature all the same."""
        column = title_of(table)
        if column is None:
            return []
        return [f"  name: {plain(column.name)}  # shown to people, read by no model; {contents(column)}"]

    def _changes(self, side: str, found: FoundChanges | None) -> list[str]:
        """Say from when on the rows of a table hold, where they say it; and take its features from there."""
        if found is None or found.time.column is None:
            return []
        self.heads[f"{side}s"][:] = found.columns
        time = found.time.column
        why = f"{found.time.why}; {side}s have several rows, each holds from its time on"
        lines = [f"  time: {plain(time.name)}  # {why}; {contents(time)}", *of_times(time, found.time.format)]
        if found.property is not None and found.value is not None:
            others = in_comment(listed(found.others), 150) if found.others else ""
            left = f"; {len(found.others):,} others are not read, as {others}" if others else ""
            lines += [
                f"  property: {plain(found.property.name)}  # features are named as its values{left}",
                f"  value: {plain(found.value.name)}  # of the property",
            ]
        return [*lines, f"  # before: first  # if what never changes of {side}s has one row, of any time"]

    def _features(self) -> list[str]:
        label, user, item = (self.roles[role].column for role in ("label", "user", "item"))
        page = "clicked" in self.roles["item"].options or self.roles["clicked"].column is not None
        timed = self.roles["time"].column is not None and self.roles["history"].column is None
        one = None if page else item
        found = places(self._rest, label, user, one, self._labelled, self._of_impression, timed)
        lines = []
        for side in ("item", "user", "behaviour", "context"):
            lines.append(f"  {side}:")
            of_table = self.heads.get(f"{side}s", [])
            lines += [self._feature(side, Place(column, side), of_log=False) for column in of_table]
            own = [place for place in found if (place.side or "context") == side]
            if side == "context":
                read_so = set(beside(self.roles["history"], self._rest, self.of_log).values())
                own = [place for place in own if place.column.name not in read_so]
            names = {column.name for column in of_table}
            own = [_once(place, side) if place.column.name in names else place for place in own]
            history = self.roles["history"].column is not None
            if side == "behaviour" and history:
                own = [Place(place.column, None, "the history in the row does not hold it") for place in own]
            elif side == "behaviour" and not self._labelled and own:
                lines.append("    # of the click; move what was known before it (as the device) to context")
            lines += [self._feature(side, place) for place in own]
            if side == "behaviour":
                timed = self.roles["time"].column is not None and not history
                known = "    " if timed else "    # "
                lines.append(f"{known}time_since:  # how long before the impression it was, in intervals")
        lines.append(
            "    # hour: {from_time: hour, zone: UTC}  # of the impression; set the users' time zone"
        )
        return lines

    def _feature(self, side: str, place: Place, *, of_log: bool = True) -> str:
        """Write the line of a feature, of the log or of a table of its own, or why it is left out."""
        column = place.column
        kind, why = kind_of(place.each or column)
        options: dict[str, str | bool] = {**kind}
        if place.each is not None and "kind" in options:
            options = {"from": "interactions", **options}
        if place.changes and "kind" in options:
            options = {"from": "interactions", "changes": True, **options}
        if place.side is None and not column.problem:
            options, why = {}, place.why
        elif place.why and "kind" in options:
            why = f"{place.why}; {why}"
        if of_log and not self._labelled and column.distinct == 2 and fits("label", column):
            why = f"only 0 and 1: is it the label? then label: {plain(column.name)}; {why}"
        name = self._name(side, column.name)
        if name != column.name:
            options = {"column": column.name, **options}
        if "kind" in options and (refused := refusal(side, name, options, column)):
            options, why = {}, refused
        if "kind" not in options:
            held = "" if column.problem else f"; {contents(column)}"
            return f"    # left out: {in_comment(column.name) or 'a column'}: {why}{held}"
        self.taken.add(name.casefold())
        if side == "item" and place.each is not None:
            self.of_log.append(name)
        return f"    {plain(name)}: {inside(options)}  # {why}; {contents(column)}"

    def _name(self, side: str, column: str) -> str:
        """Make a name that a feature may have, and no other has."""
        name = re.sub(r'[/\\:*?"<>|]|[^ -\U0010ffff]', "_", column).lstrip(".") or "feature"
        while name.casefold() in self.taken or name.endswith(".offsets"):
            name = f"{side}_{name.removesuffix('.offsets')}"
        return name


def _once(place: Place, side: str) -> Place:
    """Leave out a column that the table of the side has, too."""
    return Place(place.column, None, f"the table of {side}s has it, too")


def of_times(column: HeadColumn, format: str | None) -> list[str]:
    """Say how times are written; of those that are odd there is a warning that names their file."""
    times = TimeParser(None, format=format)
    row = 0
    for path, part in column.parts:
        times.start_file(str(path))
        times.parse(column.values.slice(row, part.len()).drop_nulls())
        row += part.len()
    form = times.form or "s"
    zone = ["  # time_zone: UTC  # of times that name none; set that of the log"] * times.without_zone
    if format is not None:
        return [f"  time_format: {plain(format)}  # the only order that fits the rows read", *zone]
    if form in get_args(TimeUnit):
        unit = f"  # time_unit: {form}  # detected from the values of each file; set it where that is wrong"
        return [unit, *zone]
    return [f"  # {in_words(form)}; where they are none, set time_unit", *zone]
