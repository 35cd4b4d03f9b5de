"""A first draft of a schema: what the columns seem to mean, every guess explained, and all of it tried."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import polars as pl

from dien.data.features.rules import RESERVED, TIME_SINCE
from dien.data.prepare.look import expect_joined
from dien.data.readers.files import find
from dien.data.readers.messages import listed
from dien.data.readers.nulls import KNOWN
from dien.data.readers.reader import open_table
from dien.data.sources.table.infer.head import ROWS, HeadColumn, head_of
from dien.data.sources.table.infer.kinds import kind_of, refusal
from dien.data.sources.table.infer.names import after_the_click, of_the_event
from dien.data.sources.table.infer.places import Place, places
from dien.data.sources.table.infer.roles import REQUIRED, Found, candidates, find_key, find_role, fits, named
from dien.data.sources.table.infer.words import contents, in_comment, inside, plain
from dien.data.sources.table.reading import read
from dien.data.sources.table.spec import BLANK, TableSpec
from dien.data.sources.table.table_text import TableText
from dien.data.sources.table.time_keys import TimeUnit
from dien.data.sources.table.times import TimeParser
from dien.data.times import in_words
from dien.errors import DataError
from dien.yaml_text import parse_yaml

_EVENTS = 12  # at most so many kinds of events
_CLICKS = ("click", "purchase", "buy", "transaction", "order")
_CONVERSIONS = ("purchase", "bought", "buy", "conver")
_ROLES = ("user", "item", "time", "label", "impression", "split")


def infer(
    interactions: Sequence[Path],
    items: Sequence[Path] | None,
    users: Sequence[Path] | None,
    named: Mapping[str, str] | None = None,
    text: TableText | None = None,
) -> str:
    """Draft the schema of some tables from the first 100,000 rows of up to ten files of each.

    Where no column could be told to be the user, the item or the time, the draft has the line to fill in,
    with ``???`` as the column, and there is a warning that names it.

    Args:
        interactions: files, folders and globs.
        items: likewise, None where nothing is known of items.
        users: likewise.
        named: columns of the interactions by role (``user``, ``item``, ``time``, ``label``): not guessed.
        text: how the files of the interactions are written, as far as it is said.

    Returns:
        YAML that :meth:`TableSpec.load` takes, a comment beside every guess.

    Raises:
        DataError: a file cannot be read, the columns of two files of a table differ, or a named column is not
            there or cannot have its role.
    """
    heads: dict[str, list[HeadColumn]] = {}
    ways: dict[str, list[str]] = {}
    for name, paths in (("interactions", interactions), ("items", items), ("users", users)):
        if paths is not None:
            said = text if name == "interactions" and text is not None else TableText()
            heads[name], ways[name] = _read(paths, said)
    draft = _Draft(heads, ways, _roles(heads, named or {}, interactions[0])).text()
    for number, line in enumerate(draft.splitlines(), 1):
        if f": {BLANK}" in line:
            warnings.warn(f"line {number} of the draft is to be filled in: {line.strip()}", stacklevel=2)
    return draft if f": {BLANK}" in draft else _tried(draft, interactions, items, users)


def _roles(heads: Mapping[str, list[HeadColumn]], given: Mapping[str, str], path: Path) -> dict[str, Found]:
    """Find the columns of the roles: those that are named first, then each role after the other."""
    events = heads["interactions"]
    found = {role: named(role, name, events, path) for role, name in given.items()}
    for role in _ROLES:
        if role not in found:
            used = {one.column.name for one in found.values() if one.column is not None}
            free = [column for column in events if column.name not in used]
            found[role] = find_role(role, free, heads.get(f"{role}s"))
    return found


@dataclass
class _Draft:
    """Writes a draft, part by part.

    Attributes:
        heads: columns by table: ``interactions``, and where they are given ``items`` and ``users``.
        ways: lines that say how the text of each table is written.
        roles: the column of each role.
        taken: names that no further feature may have.
    """

    heads: Mapping[str, list[HeadColumn]]
    ways: Mapping[str, list[str]]
    roles: Mapping[str, Found]
    taken: set[str] = field(default_factory=lambda: {*RESERVED, TIME_SINCE})

    def text(self) -> str:
        lines = [
            "# A draft: the columns were guessed from names and from the first rows.",
            "# Read it, mend it, delete what is not wanted.",
            "interactions:",
            *self.ways["interactions"],
            *(line for role in _ROLES for line in self._role(role)),
            *self._conversion(),
        ]
        for side in ("item", "user"):
            if f"{side}s" in self.heads:
                lines += self._key(side)
        lines += ["features:", *self._features()]
        return "\n".join(lines) + "\n"

    @property
    def _rest(self) -> list[HeadColumn]:
        used = {found.column.name for found in self.roles.values() if found.column is not None}
        return [column for column in self.heads["interactions"] if column.name not in used]

    def _role(self, role: str) -> list[str]:
        column, why = self.roles[role].column, self.roles[role].why
        if column is not None:
            line = f"  {role}: {plain(column.name)}  # {why}; {contents(column)}"
            return [line, *_of_times(column)] if role == "time" else [line]
        if role == "label":
            return self._label_by_events()
        if role not in REQUIRED:
            return []
        others = candidates(role, self._rest)
        choice = f"one of {in_comment(listed(others), 150)}" if others else "no column here could be it"
        reason = f"; {in_comment(why, 200)}" if why else ""
        return [f"  {role}: {BLANK}  # fill in: {choice}{reason}"]

    def _label_by_events(self) -> list[str]:
        """Say how kinds of events make a label, where a column seems to name them."""
        for column in self._rest:
            known = column.values.drop_nulls()
            if known.dtype == pl.String and of_the_event(column.name) and 2 <= column.distinct <= _EVENTS:
                event = plain(next((e for e in _CLICKS if (known == e).any()), known[0]))
                return [
                    f"  # label: {{column: {plain(column.name)}, is: [{event}]}}  # if {event} is to be "
                    f"predicted; without a label every row is a click; {contents(column)}"
                ]
        return []

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
            return [f"{side}s:", f"  {side}: {BLANK}  # fill in the key of the {side}s: one of {others}"]
        self.heads[f"{side}s"].remove(found.column)
        return [
            f"{side}s:",
            f"  {side}: {plain(found.column.name)}  # {found.why}; {contents(found.column)}",
            *self.ways[f"{side}s"],
        ]

    def _features(self) -> list[str]:
        label, user, item = (self.roles[role].column for role in ("label", "user", "item"))
        found = places(self._rest, label, user, item)
        lines = []
        for side in ("item", "user", "behaviour", "context"):
            lines.append(f"  {side}:")
            of_table = self.heads.get(f"{side}s", [])
            lines += [self._feature(side, Place(column, side)) for column in of_table]
            own = [place for place in found if (place.side or "context") == side]
            names = {column.name for column in of_table}
            own = [_once(place, side) if place.column.name in names else place for place in own]
            if side == "behaviour" and label is None and own:
                lines.append("    # of the click; move what was known before it (as the device) to context")
            lines += [self._feature(side, place) for place in own]
            if side == "behaviour":
                lines.append("    time_since:  # how long before the impression it was, in intervals")
        lines.append(
            "    # hour: {from_time: hour, zone: UTC}  # of the impression; set the users' time zone"
        )
        return lines

    def _feature(self, side: str, place: Place) -> str:
        """Write the line of a feature, or why it is left out."""
        column = place.column
        options, why = kind_of(place.each or column)
        if place.each is not None and "kind" in options:
            options = {"from": "interactions", **options}
        if place.side is None and not column.problem:
            options, why = {}, place.why
        elif place.why and "kind" in options:
            why = f"{place.why}; {why}"
        if self.roles["label"].column is None and column.distinct == 2 and fits("label", column):
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


def _of_times(column: HeadColumn) -> list[str]:
    """Say how times are written; of those that are odd there is a warning that names their file."""
    times = TimeParser(None)
    row = 0
    for path, part in column.parts:
        times.start_file(str(path))
        times.parse(column.values.slice(row, part.len()).drop_nulls())
        row += part.len()
    form = times.form or "s"
    zone = ["  # time_zone: UTC  # of times that name none; set that of the log"] * times.without_zone
    if form in get_args(TimeUnit):
        unit = f"  # time_unit: {form}  # detected from the values of each file; set it where that is wrong"
        return [unit, *zone]
    return [f"  # {in_words(form)}; where they are none, set time_unit", *zone]


def _read(paths: Sequence[Path], said: TableText) -> tuple[list[HeadColumn], list[str]]:
    """Read the head of a table, and say how its files are written."""
    columns, lines = head_of(paths, said.text()), _text_lines(paths, said)
    marked = [column for column in columns if column.markers and column.values.dtype.is_numeric()]
    marks = {mark for column in marked for mark in column.markers}
    if said.nulls is None and marks:  # again, as prepare reads them with these marks
        nulls = tuple(sorted(marks | set(KNOWN)))
        columns = head_of(paths, said.model_copy(update={"nulls": nulls}).text())
        beside = in_comment(listed(column.name for column in marked), 150)
        lines.append(f"  nulls: {json.dumps(nulls)}  # what stands beside numbers in {beside}")
    return columns, lines


def _text_lines(paths: Sequence[Path], said: TableText) -> list[str]:
    """Say how the files of a table are written: what was given, and what their first lines tell."""
    given = said.model_dump(exclude_none=True, mode="json")
    lines = [f"  {key}: {json.dumps(value, ensure_ascii=False)}  # as given" for key, value in given.items()]
    told = dict.fromkeys(what for file in find(paths, said.text()) for what in open_table(file).told())
    return lines + [f"  # {what}: told by the first lines of the files" for what in told]


def _tried(
    draft: str, interactions: Sequence[Path], items: Sequence[Path] | None, users: Sequence[Path] | None
) -> str:
    """Read the first rows with a whole draft, as prepare does; say in it what prepare would refuse."""
    lines = draft.splitlines()
    try:
        spec = TableSpec.of(parse_yaml(draft), "the draft")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd times, which were warned of already
            log = read(interactions, items, users, spec, head=ROWS)
        for join in log.joins:
            met = f"{join.met:,} of the {join.ids:,} {join.side}s of the rows read have a row here"
            lines.insert(lines.index(f"{join.side}s:") + 2, f"  # {met}")
        expect_joined(log.joins)
    except DataError as error:
        warnings.warn(f"prepare refuses the draft: {error}", stacklevel=3)
        lines.insert(0, f"# dien prepare table refuses this draft: {in_comment(str(error), 400)}")
    return "\n".join(lines) + "\n"
