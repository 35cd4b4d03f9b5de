"""A first draft of a schema: what the columns seem to mean, every guess explained."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import polars as pl

from dien.data.features.rules import RESERVED, TIME_SINCE
from dien.data.readers.files import find
from dien.data.readers.messages import BadValueError, listed, no_column
from dien.data.readers.reader import open_table
from dien.data.sources.table.head import HeadColumn, accepts, head_of
from dien.data.sources.table.table_text import TableText
from dien.data.sources.table.time_keys import TimeUnit
from dien.data.sources.table.times import TimeParser
from dien.data.sources.table.values import labels
from dien.data.times import in_words
from dien.errors import DataError

_FEW = 20  # integers with so few values are categories
_YEAR_1980 = 315_532_800  # seconds since 1970
_SEPARATORS = ("|", ";", ",")

# fmt: off
_NAMES = {  # letters and digits only; the first that is there counts
    "user": ("user", "userid", "uid", "customer", "customerid", "member", "memberid", "account", "accountid",
             "household", "householdid", "visitor", "visitorid", "reviewerid", "person", "personid", "client",
             "clientid", "profileid", "deviceid", "sessionid", "session"),
    "item": ("item", "itemid", "iid", "product", "productid", "sku", "asin", "parentasin", "movie", "movieid",
             "article", "articleid", "newsid", "video", "videoid", "track", "trackid", "song", "songid",
             "book", "bookid", "content", "contentid", "ad", "adid", "creative", "creativeid", "offerid",
             "listingid", "goodsid", "postid"),
    "time": ("time", "timestamp", "ts", "datetime", "eventtime", "createdat", "unixtime", "unixreviewtime",
             "transactiontimestamp", "impressiontime", "clicktime", "servedat", "date", "day"),
    "label": ("label", "click", "clicked", "isclick", "isclicked", "clk", "target", "y"),
    "impression": ("impression", "impressionid", "impid", "requestid", "request", "slateid", "displayid"),
    "split": ("split", "fold", "subset"),
}
_ROLES = {"time": "times", "label": "only 0 and 1 (for a rating, set label and threshold in the draft)"}
_OF_BEHAVIOURS = ("dwell", "duration", "watch", "rating", "action", "event", "quantity", "price", "amount",
                  "playtime", "scroll", "complet")
_ANSWERS = ("label", "click", "target", "conver", "purchase", "order", "buy")  # known only afterwards
# fmt: on


def infer(
    interactions: Sequence[Path],
    items: Sequence[Path] | None,
    users: Sequence[Path] | None,
    named: Mapping[str, str] | None = None,
    text: TableText | None = None,
) -> str:
    """Draft the schema of some tables from the first 100,000 rows of up to ten files of each.

    Args:
        interactions: files, folders and globs.
        items: likewise, None where nothing is known of items.
        users: likewise.
        named: columns of the interactions by role (``user``, ``item``, ``time``, ``label``): not guessed.
        text: how the files of the interactions are written, as far as it is said.

    Returns:
        YAML that :meth:`TableSpec.load` takes, a comment beside every guess.

    Raises:
        DataError: a file cannot be read, a named column is not there or cannot have its role, or no column
            looks like the user, the item or the time.
    """
    named = named or {}
    text = text or TableText()
    events = head_of(interactions, text.text())
    tables = {side: head_of(paths) for side, paths in (("item", items), ("user", users)) if paths is not None}
    lines = [
        "# A draft: the columns were guessed from names and from the first rows.",
        "# Read it, mend it, delete what is not wanted.",
        "interactions:",
        *_text_lines(interactions, text),
    ]
    found = {role: (_named(role, name, events, interactions[0]), "as named") for role, name in named.items()}
    used = dict(named)
    for role in ("user", "item", "time", "label", "impression", "split"):
        free = [column for column in events if column.name not in used.values()]
        column, why = found.get(role) or _find(role, free, tables.get(role))
        if column is None:
            continue
        used[role] = column.name
        lines.append(f"  {role}: {_plain(column.name)}  # {why}; {_contents(column)}")
        if role == "time":
            lines += _of_times(column)
    missing = [role for role in ("user", "item", "time") if role not in used]
    if missing:
        raise DataError(
            f"{interactions[0]}: no column looks like the {' or the '.join(missing)}; found "
            f"{listed(c.name for c in events)}{_why_no_time(events) if 'time' in missing else ''}; "
            f"name it ({', '.join(f'--{role} COLUMN' for role in missing)})"
        )
    for side, table in tables.items():
        key, why = _find_key(side, used[side], table)
        table_paths = items if side == "item" else users
        lines += [f"{side}s:", f"  {side}: {_plain(key.name)}  # {why}; {_contents(key)}"]
        lines += _text_lines(table_paths or [], TableText())
        tables[side] = [column for column in table if column.name != key.name]
    rest = [column for column in events if column.name not in used.values()]
    behaviours = [c for c in rest if any(word in c.name.lower() for word in _OF_BEHAVIOURS)]
    if "label" not in used:  # a row is a click: other columns may say which item it was
        behaviours = rest
    sides = {
        "item": tables.get("item", []),
        "user": tables.get("user", []),
        "behaviour": behaviours,
        "context": [column for column in rest if column not in behaviours],
    }
    lines.append("features:")
    taken = {*RESERVED, TIME_SINCE}
    for side, columns in sides.items():
        lines.append(f"  {side}:")
        if side == "behaviour" and "label" not in used and rest:
            lines.append("    # of the click; move what was known before it (as the device) to context")
        lines += _features(side, columns, taken, "label" not in used and side == "behaviour")
        if side == "behaviour":
            lines.append("    time_since:  # how long before the impression it was, in intervals")
        if side == "context":
            lines.append(
                "    # hour: {from_time: hour, zone: UTC}  # of the impression; set the users' time zone"
            )
    return "\n".join(lines) + "\n"


def _text_lines(paths: Sequence[Path], said: TableText) -> list[str]:
    """Write how the files of a table are written: what was said, and what their first lines tell."""
    given = said.model_dump(exclude_none=True, mode="json")
    lines = [f"  {key}: {json.dumps(value, ensure_ascii=False)}  # as given" for key, value in given.items()]
    told = dict.fromkeys(what for file in find(paths, said.text()) for what in open_table(file).told())
    return lines + [f"  # {what}: told by the first lines of the files" for what in told]


def _named(role: str, name: str, columns: Sequence[HeadColumn], path: Path) -> HeadColumn:
    """Find the column that was named for a role."""
    column = next((column for column in columns if column.name == name), None)
    if column is None:
        raise no_column(path, name, (column.name for column in columns), f"mend --{role}")
    if not _fits(role, column):
        raise DataError(
            f"{path}: column {name!r} cannot be the {role}: expected "
            f"{_ROLES.get(role, 'text or integers')}, found {_contents(column)}; mend --{role}"
        )
    return column


def _find(
    role: str, columns: Sequence[HeadColumn], table: Sequence[HeadColumn] | None
) -> tuple[HeadColumn | None, str]:
    """Find the column of a role, and why it is that one."""
    fitting = [column for column in columns if _fits(role, column)]
    if role == "time":  # small numbers only where there is nothing better
        late = [c for c in fitting if c.times or float(c.values.drop_nulls().min()) > _YEAR_1980]  # type: ignore[arg-type]
        fitting = late or [c for c in fitting if _letters(c.name) in _NAMES[role]]
    by_name = {_letters(column.name): column for column in reversed(fitting)}
    for name in _NAMES[role]:
        if name in by_name:
            return by_name[name], "by its name"
    if role == "time":
        return next(((c, "by its values, the first that are times") for c in fitting), (None, ""))
    if role in ("user", "item"):
        for column in fitting:
            if table is not None and any(column.name == other.name for other in table):
                return column, f"the table of {role}s has it, too"
        for column in fitting:
            if role in column.name.lower():
                return column, "its name holds the word"
    return None, ""


def _why_no_time(columns: Sequence[HeadColumn]) -> str:
    """Say why the column that is named as the time is none."""
    for column in columns:
        if _letters(column.name) in _NAMES["time"] and not column.lists and column.known:
            try:
                TimeParser(None, quiet=True).parse(column.values.drop_nulls())
            except (BadValueError, DataError) as error:
                return f"; {column.name!r} is none: {error}"
    return ""


def _fits(role: str, column: HeadColumn) -> bool:
    values = column.values.drop_nulls()
    if column.lists or not column.known:
        return False
    match role:
        case "user" | "item" | "impression":
            return not values.dtype.is_float() and not column.times and values.dtype != pl.Boolean
        case "time":
            if column.times:
                return True
            return values.dtype.is_numeric() and accepts(TimeParser(None, quiet=True).parse, values)
        case "label":
            return accepts(labels, values)
        case _:
            return values.dtype == pl.String and bool(values.is_in(["train", "valid", "test"]).any())


def _find_key(side: str, name: str, table: Sequence[HeadColumn]) -> tuple[HeadColumn, str]:
    """Find the key of a table of items or users, the column ``name`` of the interactions."""
    for column in table:
        if column.name == name:
            return column, "named as in the interactions"
    found, why = _find(side, table, None)
    if found is not None:
        return found, why
    for column in table:
        if _fits(side, column) and column.distinct == column.values.len():
            return column, "the first whose values are all different"
    raise DataError(
        f"no column of the {side}s' table looks like its key; found {listed(c.name for c in table)}; "
        f"name it {name!r}, as in the interactions, or write {side}s.{side} in a schema of your own"
    )


def _features(side: str, columns: Sequence[HeadColumn], taken: set[str], no_label: bool) -> list[str]:
    lines = []
    for column in columns:
        options, why = _kind(column)
        if side == "context" and any(word in column.name.lower() for word in _ANSWERS):
            options, why = {}, "it may say what is to be predicted"
        if no_label and column.distinct == 2 and _fits("label", column):
            why = f"only 0 and 1: is it the label? then label: {_plain(column.name)}; {why}"
        name = re.sub(r'[/\\:*?"<>|]|[^ -\U0010ffff]', "_", column.name).lstrip(".") or "feature"
        while name.casefold() in taken or name.endswith(".offsets"):
            name = f"{side}_{name.removesuffix('.offsets')}"
        if name != column.name:
            options = {"column": column.name, **options}
        if "kind" not in options:
            lines.append(f"    # left out: {_comment(column.name)}: {why}; {_contents(column)}")
            continue
        taken.add(name.casefold())
        inside = ", ".join(f"{key}: {_plain(value)}" for key, value in options.items())
        lines.append(f"    {_plain(name)}: {{{inside}}}  # {why}; {_contents(column)}")
    return lines


def _kind(column: HeadColumn) -> tuple[dict[str, str], str]:
    """Options of a feature, without ``kind`` where it should be left out; and why."""
    values = column.values.drop_nulls()
    if column.problem:
        return {}, _comment(column.problem)
    if column.distinct < 2:
        return {}, "it has fewer than two values"
    if column.lists:
        inner = values.dtype.inner  # type: ignore[attr-defined]  # of lists
        ids = inner.is_integer() or isinstance(inner, pl.String | pl.Categorical | pl.Enum)
        return ({"kind": "multi"}, "lists") if ids else ({}, "only lists of text are a feature")
    if column.times:
        return {}, "times are no feature"
    if values.dtype.is_float() and not bool((values == values.floor()).all() and column.distinct <= _FEW):
        return _numeric(values)
    if values.dtype.is_integer() and column.distinct > _FEW:
        if re.search(r"(id|code|zip|key)$", _letters(column.name)):
            return {"kind": "categorical"}, "whole numbers, but its name says they name something"
        return _numeric(values)
    if values.dtype == pl.String:
        for separator in _SEPARATORS:
            pieces = values.str.split(separator)
            if (pieces.list.len() > 1).mean() >= 0.1 and pieces.explode().n_unique() <= column.distinct:  # type: ignore[operator]
                return {
                    "kind": "multi",
                    "separator": separator,
                }, f"text with {separator!r} between few values"
        if column.distinct > 0.8 * len(values) and len(values) > _FEW:
            return {}, "almost every row has another value: it says nothing about the next"
    return {"kind": "categorical"}, "few values" if column.distinct <= _FEW else "text"


def _numeric(values: pl.Series) -> tuple[dict[str, str], str]:
    low, middle, high = (float(found or 0) for found in (values.min(), values.median(), values.max()))  # type: ignore[arg-type]
    if low >= 0 and high > 100 * middle > 0:
        return {"kind": "numeric", "scale": "log"}, "numbers, a few far above the others"
    return {"kind": "numeric"}, "numbers"


def _of_times(column: HeadColumn) -> list[str]:
    """Say how times are written; of those that are odd there is a warning that names their file."""
    times, row = TimeParser(None), 0
    for path, rows in column.files:
        times.start_file(str(path))
        times.parse(column.values.slice(row, rows).drop_nulls())
        row += rows
    form = times.form or "s"
    said = (
        ["  # time_zone: UTC  # of times that name none; set that of the log"] if times.without_zone else []
    )
    if form in get_args(TimeUnit):
        unit = f"  # time_unit: {form}  # detected from the values of each file; set it where that is wrong"
        return [unit, *said]
    return [f"  # {in_words(form)}; where they are none, set time_unit", *said]


def _contents(column: HeadColumn) -> str:
    """Say what a column holds, for a comment."""
    empty = column.values.null_count()
    shown = (
        []
        if column.lists
        else [str(value) for value in column.values.drop_nulls().unique(maintain_order=True)[:3]]
    )
    examples = f", as {_comment(', '.join(shown))}" if shown else ""
    return f"{column.distinct} values in {column.values.len()} rows{examples}" + (
        f", {empty} empty" if empty else ""
    )


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _comment(text: str) -> str:
    """Text as it may stand in a comment: of one line, and not long."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= 50 else shown[:47] + "..."


def _plain(text: str) -> str:
    """Write text as a YAML scalar."""
    word = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", text)
    special = text.lower() in ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
    return text if word and not special else json.dumps(text)
