"""Amazon product reviews of 2014, the paper's public data: a file of reviews and one of item metadata."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
import polars as pl

from dien.data.log import Log
from dien.data.readers.lines import BadLines, LineFile
from dien.errors import DataError
from dien.forks import expect_polars
from dien.progress import Progress

_CHUNK = 1 << 17  # reviews held as Python objects before they become columns
_YEAR_2100 = 4_102_444_800  # seconds since 1970; a time in milliseconds is far beyond it

_Id = Annotated[str, msgspec.Meta(min_length=1)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=_YEAR_2100)]


class _Review(msgspec.Struct, gc=False):
    user: _Id = msgspec.field(name="reviewerID")
    item: _Id = msgspec.field(name="asin")
    time: _Time = msgspec.field(name="unixReviewTime")


class _Item(msgspec.Struct):
    item: _Id = msgspec.field(name="asin")
    categories: list[list[str]] | None = None
    category: Any = None  # of 2018: a flat list, whose end is no category for certain


_REVIEW = (
    "a JSON object with reviewerID and asin (text, not empty) and unixReviewTime "
    "(whole seconds since 1970, not negative, not milliseconds)"
)
_METADATA = "a JSON object or Python dict literal with asin (text, not empty) and categories (lists of text)"
# asin is the first key of Amazon's metadata: enough to pass over an item without parsing its long line
_FIRST_KEY = re.compile(rb"""\{(['"])asin\1: (['"])([^'"\\]+)\2""")


def read(reviews: Path, meta: Path, *, skip_bad: int = 0, progress: Progress | None = None) -> Log:
    """Read reviews and metadata; each is gzip or plain text, whatever its name.

    An item's ``category`` is the last level of its first category path, as in the authors' scripts, and null
    where the item has no metadata or its metadata no category. Of several metadata lines of an item the first
    counts. Metadata of items that nobody reviewed is passed over unread.

    Args:
        reviews: JSON objects, one a line; ``reviewerID``, ``asin`` and ``unixReviewTime`` are read.
        meta: JSON objects or Python dict literals, one a line; ``asin`` and ``categories`` are read.
        skip_bad: how many bad lines may be skipped, over both files.
        progress: called with the number of bytes just read from disk, which add up to the size of both files.

    Returns:
        Events in file order, without labels and context; items with ``category``; users without features.
        ``excluded`` counts bad lines, repeated metadata, and items without metadata or category, which stay.

    Raises:
        DataError: a file is missing, a folder, empty, truncated or of another kind, or a line is bad and
            ``skip_bad`` does not allow it.
    """
    expect_polars("the data cannot be read")
    review_lines, meta_lines = LineFile(reviews, progress), LineFile(meta, progress)
    bad = BadLines(skip_bad)
    events = _read_reviews(review_lines, bad)
    bad_reviews = bad.found
    items = events.select(pl.col("item").unique(maintain_order=True))
    metadata = _read_metadata(meta_lines, set(items["item"]), bad)
    described = metadata.unique("item", keep="first", maintain_order=True)
    items = items.join(described, on="item", how="left", maintain_order="left")
    if items["category"].null_count() == items.height:
        raise DataError(
            f"{meta}: gives no reviewed item a category; expected {_METADATA} for the items of {reviews}; "
            "give the metadata that belongs to these reviews"
        )
    counts = {
        "bad review lines": bad_reviews,
        "bad metadata lines": bad.found - bad_reviews,
        "repeated metadata lines": metadata.height - described.height,
        "items without metadata (kept)": items.height - described.height,
        "items without category in their metadata (kept)": described["category"].null_count(),
    }
    return Log(
        events=events,
        items=items,
        users=events.select(pl.col("user").unique(maintain_order=True)),
        sources=(review_lines.source(), meta_lines.source()),
        excluded={reason: count for reason, count in counts.items() if count},
    )


def _read_reviews(lines: LineFile, bad: BadLines) -> pl.DataFrame:
    """Columns user, item, time of every good line."""
    decode = msgspec.json.Decoder(_Review).decode
    chunks: list[pl.DataFrame] = []
    rows: list[_Review] = []
    for number, line in lines:
        try:
            rows.append(decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _expect_2014(lines.path, number, line)
            bad.add(lines.path, number, error, _REVIEW)
        if len(rows) == _CHUNK:
            chunks.append(_columns(rows))
            rows = []
    chunks.append(_columns(rows))
    events = pl.concat(chunks)
    if events.is_empty():
        raise DataError(f"{lines.path}: not one usable line; expected on each line {_REVIEW}")
    return events


def _columns(rows: list[_Review]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user": pl.Series([row.user for row in rows], dtype=pl.String),
            "item": pl.Series([row.item for row in rows], dtype=pl.String),
            "time": pl.Series([row.time for row in rows], dtype=pl.Int64),
        }
    )


def _read_metadata(lines: LineFile, wanted: set[str], bad: BadLines) -> pl.DataFrame:
    """Columns item and category of every good line about a wanted item."""
    decode = msgspec.json.Decoder(_Item).decode
    items: list[str] = []
    categories: list[str | None] = []
    for number, line in lines:
        key = _FIRST_KEY.match(line)
        if key and key[3].decode(errors="replace") not in wanted:
            continue
        try:
            try:
                row = decode(line)
            except msgspec.ValidationError:
                raise
            except msgspec.DecodeError:
                row = _literal(line)
        except (msgspec.DecodeError, UnicodeError) as error:
            _expect_2014(lines.path, number, line)
            bad.add(lines.path, number, error, _METADATA)
            continue
        if row.categories is None and row.category is not None:
            raise _other_form(lines.path, number, "2018 (category, a flat list)", "amazon-2018")
        if row.item in wanted:
            items.append(row.item)
            path = row.categories[0] if row.categories else []
            categories.append(path[-1] or None if path else None)
    return pl.DataFrame({"item": items, "category": categories}, {"item": pl.String, "category": pl.String})


def _expect_2014(path: Path, number: int, line: bytes) -> None:
    """Refuse a line of the data of 2023, which no number of bad lines may hide.

    Raises:
        DataError: it is one.
    """
    if b'"parent_asin"' in line:
        raise _other_form(path, number, "2023 (parent_asin)", "amazon-2023")


def _other_form(path: Path, number: int, form: str, schema: str) -> DataError:
    return DataError(
        f"{path}: line {number}: this is the form of {form}, and dien prepare amazon reads that of 2014; use "
        f"dien prepare table --interactions REVIEWS --items META --schema {schema}"
    )


def _literal(line: bytes) -> _Item:
    """Read an item written as a Python literal; literals only, nothing is evaluated."""
    text = line.decode()
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise msgspec.DecodeError("neither JSON nor a Python literal") from error
    item = msgspec.convert(value, _Item)
    msgspec.json.encode(item)  # UnicodeEncodeError for a lone surrogate, which only a literal can hold
    return item
