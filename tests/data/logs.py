"""Small logs for the tests of recipes, datasets and batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from dien.data.log import Log
from dien.data.prepare.prepared import Prepared
from dien.data.readers.source_file import SourceFile


def make_log(rows: Sequence[tuple[Any, ...]], *more: str, **features: dict[str, str | None]) -> Log:
    """A log of ``(user, item, time, *more)``; ``category={"a": "x"}`` is a feature of items."""
    schema = {"user": pl.String, "item": pl.String, "time": pl.Int64}
    schema |= {name: pl.Int8 if name == "label" else pl.String for name in more}
    events = pl.DataFrame(rows, schema=schema, orient="row")
    items = events.select(pl.col("item").unique(maintain_order=True))
    for name, values in features.items():
        known = [values.get(item) for item in items["item"]]
        items = items.with_columns(pl.Series(name, known, dtype=pl.String))
    users = events.select(pl.col("user").unique(maintain_order=True))
    return Log(events, items, users, (SourceFile("hand-made", "0" * 64, 1),))


def random_log(users: int, items: int, events: int, seed: int = 0, labelled: bool = False) -> Log:
    """Events at random times with many ties; item ``i3`` has the category ``c0``."""
    rng = np.random.default_rng(seed)
    columns = [
        [f"u{user}" for user in rng.integers(users, size=events)],
        [f"i{item}" for item in (rng.random(events) ** 2 * items).astype(int)],
        rng.integers(events // 3, size=events).tolist(),
    ]
    if labelled:
        columns.append(rng.integers(2, size=events).tolist())
    more = ["label"] if labelled else []
    return make_log(
        list(zip(*columns, strict=True)), *more, category={f"i{k}": f"c{k % 3}" for k in range(items)}
    )


@st.composite
def logs(draw: st.DrawFn, labelled: bool = False, context: bool = False) -> Log:
    """Few users, items and moments, so that ties and repetitions are the rule."""
    columns = [st.sampled_from("uvwxyz"), st.sampled_from("abcdefg"), st.integers(0, 12)]
    more = []
    if labelled:
        columns.append(st.sampled_from([0, 1]))
        more.append("label")
    if context:
        columns.append(st.sampled_from(["phone", "desk", None]))
        more.append("device")
    rows = draw(st.lists(st.tuples(*columns), min_size=8, max_size=40))
    return make_log(rows, *more, category={"a": "1", "b": "1", "c": "2", "d": "3"})


def rows_of(prepared: Prepared, split: str) -> list[dict[str, Any]]:
    """Impressions in plain Python, with raw ids."""
    items, users = prepared.item_ids.values.to_list(), prepared.user_ids.values.to_list()
    data = prepared.splits[split]  # type: ignore[index]
    rows = []
    for i in range(len(data)):
        start, end = prepared.behaviours.offsets[data.user[i]], data.end[i]
        shown = slice(data.offsets[i], data.offsets[i + 1])
        rows.append(
            {
                "user": users[data.user[i]],
                "time": int(data.time[i]),
                "history": [items[k] for k in prepared.behaviours.item[start:end]],
                "items": [items[k] for k in data.item[shown]],
                "labels": data.label[shown].tolist(),
                "context": {
                    name: prepared.vocabularies[name].decode(column[i : i + 1])[0]
                    for name, column in data.context.items()
                },
            }
        )
    return rows


def same(left: Prepared, right: Prepared) -> bool:
    """Whether two datasets hold the same arrays."""
    behaviours = zip(vars(left.behaviours).values(), vars(right.behaviours).values(), strict=True)
    return (
        all(np.array_equal(a, b) for a, b in behaviours)
        and all(same_split(left, right, name) for name in left.splits)
        and left.items.keys() == right.items.keys()
        and all(np.array_equal(left.items[name], right.items[name]) for name in left.items)
        and all(np.array_equal(left.users[name], right.users[name]) for name in left.users)
    )


def same_split(left: Prepared, right: Prepared, name: str) -> bool:
    """Whether a split holds the same arrays in two datasets."""
    a, b = vars(left.splits[name]), vars(right.splits[name])  # type: ignore[index]
    contexts = all(np.array_equal(a["context"][k], b["context"][k]) for k in a["context"])
    return contexts and all(np.array_equal(a[k], b[k]) for k in a if k != "context")
