"""A first draft of a schema: what the columns seem to mean, every guess explained, and all of it tried."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from dien.data.prepare.look import expect_joined
from dien.data.readers.files import HEAD_ROWS, find
from dien.data.readers.messages import listed
from dien.data.readers.nulls import KNOWN
from dien.data.readers.reader import open_table
from dien.data.sources.table.infer.head import HeadColumn, head_of
from dien.data.sources.table.infer.histories import find_history
from dien.data.sources.table.infer.pages import FoundObjects, find_baskets, find_objects, find_page
from dien.data.sources.table.infer.roles import Found, find_click, find_role, named, with_clock
from dien.data.sources.table.infer.words import in_comment
from dien.data.sources.table.infer.writing import ROLES, Draft
from dien.data.sources.table.reading import read
from dien.data.sources.table.spec import BLANK, TableSpec
from dien.data.sources.table.table_text import TableText
from dien.errors import DataError
from dien.yaml_text import parse_yaml

_NUMBERS = {
    ",": r"^\s*[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?\s*$",
    ".": r"^\s*[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?\s*$",
}
"""Numbers by what begins their fraction."""


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
            if not any(column.values.len() for column in heads[name]):
                where = ", ".join(map(str, paths))
                warnings.warn(f"{where}: no rows, so nothing can be told; give files with rows", stacklevel=2)
    draft = Draft(heads, ways, _roles(heads, named or {}, interactions[0])).text()
    for number, line in enumerate(draft.splitlines(), 1):
        if f": {BLANK}" in line:
            warnings.warn(f"line {number} of the draft is to be filled in: {line.strip()}", stacklevel=2)
    return draft if f": {BLANK}" in draft else _tried(draft, interactions, items, users)


def _roles(heads: dict[str, list[HeadColumn]], given: Mapping[str, str], path: Path) -> dict[str, Found]:
    """Find the columns of the roles: those that are named first, then each role after the other.

    Where rows hold lists of items with their labels, the interactions are changed to have a row for each.
    """
    events = heads["interactions"]
    found = {role: named(role, name, events, path) for role, name in given.items()}
    if "item" not in given and "label" not in given and find_role("label", events, None).column is None:
        objects = find_objects(events)
        found |= _page(events) if objects is None else _objects(objects)
        if "item" not in found and find_role("item", events, heads.get("items")).column is None:
            objects = find_baskets(events)
            found |= {} if objects is None else _objects(objects)
        events = heads["interactions"] = events if objects is None else objects.columns
    for role in ROLES:
        used = {one.column.name for one in found.values() if one.column is not None}
        free = [column for column in events if column.name not in used]
        if role not in found:
            found[role] = find_role(role, free, heads.get(f"{role}s"))
        if role == "label" and found[role].column is None and not found["item"].options:
            found[role] = find_click(free)
        if role == "time":
            found[role] = with_clock(found[role], free)
    used = {one.column.name for one in found.values() if one.column is not None}
    found["history"] = find_history([column for column in events if column.name not in used], found["item"])
    return found


def _page(events: Sequence[HeadColumn]) -> dict[str, Found]:
    """Give the roles of the columns of pages, where rows hold some."""
    page = find_page(events)
    if page is None:
        return {}
    if page.clicked is None:
        return {"item": Found(page.shown, "a page in a cell, what was clicked ends in -1", page.options)}
    return {
        "item": Found(page.shown, "a page: a list of what was shown"),
        "clicked": Found(page.clicked, "the list of what was clicked of the page"),
    }


def _objects(page: FoundObjects) -> dict[str, Found]:
    """Give the roles of the fields of objects, each an item of a page."""
    what = "what was shown" if page.label is not None else "items, each of them a click"
    item = Found(page.item, f"a page: each row lists {what}", {"column": page.item.name})
    return {"item": item, **({"label": Found(page.label, "of each item of the page")} if page.label else {})}


def _read(paths: Sequence[Path], said: TableText) -> tuple[list[HeadColumn], list[str]]:
    """Read the head of a table, and say how its files are written."""
    columns, lines = head_of(paths, said.text()), _text_lines(paths, said)
    marked = [column for column in columns if column.markers and column.values.dtype.is_numeric()]
    marks = {mark for column in marked for mark in column.markers}
    if said.nulls is None and marks:  # again, as prepare reads them with these marks
        nulls = tuple(sorted(marks | set(KNOWN)))
        columns = head_of(paths, said.model_copy(update={"nulls": nulls}).text())
        beside = in_comment(listed(column.name for column in marked), 150)
        said = said.model_copy(update={"nulls": nulls})
        lines.append(f"  nulls: {json.dumps(nulls)}  # what stands beside numbers in {beside}")
    commas = {column.name: sign for column in columns if (sign := _decimal(column.values)) is not None}
    if said.decimal is None and commas:
        named, signs = in_comment(listed(commas), 150), set(commas.values())
        if len(signs) == 1 and signs <= {",", "."}:
            columns = head_of(paths, said.model_copy(update={"decimal": signs.pop()}).text())
            lines.append(f'  decimal: "{next(iter(commas.values()))}"  # as in {named}')
        else:
            lines.append(
                f'  # decimal: "," or ".": say which, if {named} shall be numbers; 1,234 may be both'
            )
    return columns, lines


def _decimal(values: pl.Series) -> str | None:
    """Tell what begins a fraction where a column holds numbers with commas; ? where it can be either."""
    known = values.drop_nulls()
    if known.dtype != pl.String or not known.str.contains(",", literal=True).any():
        return None
    ways = [sign for sign, pattern in _NUMBERS.items() if known.str.contains(pattern).all()]
    return ways[0] if len(ways) == 1 else "?" if ways else None


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
            log = read(interactions, items, users, spec, head=HEAD_ROWS)
        for join in log.joins:
            met = f"{join.met:,} of the {join.ids:,} {join.side}s of the rows read have a row here"
            lines.insert(lines.index(f"{join.side}s:") + 2, f"  # {met}")
        expect_joined(log.joins)
    except DataError as error:
        warnings.warn(f"prepare refuses the draft: {error}", stacklevel=3)
        lines.insert(0, f"# dien prepare table refuses this draft: {in_comment(str(error), 400)}")
    return "\n".join(lines) + "\n"
