"""How a draft writes names, values and reasons."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from dien.data.sources.table.infer.head import HeadColumn


def contents(column: HeadColumn) -> str:
    """Say what a column holds."""
    empty = column.values.null_count()
    known = column.values.drop_nulls()
    shown = [] if column.lists else [str(value) for value in known.unique(maintain_order=True)[:3]]
    examples = f", as {in_comment(', '.join(shown))}" if shown else ""
    return f"{column.distinct} values in {column.values.len()} rows{examples}" + (
        f", {empty} empty" if empty else ""
    )


def in_comment(text: str, longest: int = 50) -> str:
    """Write text as it may stand in a comment: on one line, and not long."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def plain(text: str) -> str:
    """Write text as a YAML scalar."""
    word = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", text)
    special = text.lower() in ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
    return text if word and not special else json.dumps(text)


def inside(options: Mapping[str, str | bool]) -> str:
    """Write options as a YAML mapping on one line."""
    written = {key: str(v).lower() if isinstance(v, bool) else plain(v) for key, v in options.items()}
    return "{" + ", ".join(f"{key}: {value}" for key, value in written.items()) + "}"
