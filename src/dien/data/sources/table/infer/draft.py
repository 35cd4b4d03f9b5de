"""A first draft of a schema: what the columns seem to mean, every guess explained, and all of it tried."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from dien.data.prepare.look import expect_joined
from dien.data.readers.files import HEAD_ROWS
from dien.data.sources.table.infer.clicks import find_click
from dien.data.sources.table.infer.head import HeadColumn
from dien.data.sources.table.infer.histories import find_history
from dien.data.sources.table.infer.pages import FoundObjects, find_baskets, find_objects, find_page
from dien.data.sources.table.infer.roles import Found, find_role, named, with_clock
from dien.data.sources.table.infer.texts import head_and_text
from dien.data.sources.table.infer.words import in_comment
from dien.data.sources.table.infer.writing import ROLES, Draft
from dien.data.sources.table.reading import read
from dien.data.sources.table.spec import BLANK, TableSpec
from dien.data.sources.table.table_text import TableText
from dien.errors import DataError
from dien.yaml_text import parse_yaml


def infer(
    interactions: Sequence[Path],
    items: Sequence[Path] | None,
    users: Sequence[Path] | None,
    named: Mapping[str, str] | None = None,
    texts: Mapping[str, TableText] | None = None,
) -> str:
    """Draft the schema of some tables from the first 100,000 rows of up to ten files of each.

    Where no column could be told to be the user, the item or the time, the draft has the line to fill in,
    with ``???`` as the column, and there is a warning that names it.

    Args:
        interactions: files, folders and globs.
        items: likewise, None where nothing is known of items.
        users: likewise.
        named: columns of the interactions by role (``user``, ``item``, ``time``, ``label``): not guessed.
        texts: how the files are written, as far as it is said: by the names of the tables.

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
            heads[name], ways[name] = head_and_text(name, paths, (texts or {}).get(name, TableText()))
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
