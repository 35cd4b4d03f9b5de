"""Schemas and configurations as people break them: read, or refused in one line that names the file.

``DIEN_FAULTS=all`` tries ten times as many, and others.
"""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from dien.config import load_config
from dien.data.sources.table import TableSpec
from dien.errors import DienError

_SCHEMA = """\
interactions: {user: user, item: item, time: time, label: label, impression: impression}
items: {item: item}
features:
  item:
    category:
    tags: {kind: multi}
    price: {kind: numeric, scale: log, width: 4}
  user:
    age: {kind: numeric, quantiles: 4}
  behaviour:
    time_since:
  context:
    hour: {from_time: hour}
"""
_VALUES = (
    "null", "''", "-1", "1e999", ".nan", ".inf", "yes", "[]", "{}", "[1, [2]]", "{a: {b: 1}}", '"\\u202e"',
    '"\\x00"', "2024-01-01", "1_000", "!!python/object:os.system x", "!!binary aGk=", "*a", "&a 1", "|",
    "9" * 30, "1:30", "- a", "?", "'", '"', "[", "}", "<<: {a: 1}", "\t1", "a: b: c", "item", "x" * 5000,
)  # fmt: skip
_KEYS = ("Item", "items", "kind", "", "1", "null", "true", "../x", "a.b", "ids", "é", "__class__", "name")
_LETTERS = "{}[]:,'\"#&*!|>%@`\\\0\x1b\u202e\ufeff-? \t"
_MANY = 1000 if os.environ.get("DIEN_FAULTS") == "all" else 100


def _mutated(text: str, draw: random.Random) -> bytes:
    lines = text.splitlines()
    for _ in range(draw.choice([1, 1, 2])):
        place = draw.randrange(len(lines))
        line = lines[place]
        key = line.partition(":")[0].strip()
        match draw.randrange(7):
            case 0:
                lines[place] = f"{line.partition(':')[0]}: {draw.choice(_VALUES)}"
            case 1:
                lines.insert(place, line)
            case 2:
                lines[place] = draw.choice([" ", "   ", "\t", "- "]) + line
            case 3:
                lines[place] = line.lstrip()
            case 4 if key:
                lines[place] = line.replace(key, draw.choice(_KEYS), 1)
            case 5:
                lines = lines[: place + 1]
            case _:
                at = draw.randrange(len(line) + 1)
                lines[place] = line[:at] + draw.choice(_LETTERS) + line[at + draw.randrange(2) :]
    content = "\n".join(lines).encode()
    if draw.random() < 0.1:
        ways = [content.decode().encode("utf-16"), b"\xff" + content, b"", b"\0", b"[" * 5000, b"{a: " * 5000]
        return draw.choice(ways)
    return content


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("text", "read"),
    [(_SCHEMA, TableSpec.load), (load_config().to_yaml(), load_config)],
    ids=["schema", "configuration"],
)
def test_mutated_yaml_is_read_or_refused_in_one_line(
    text: str, read: Callable[[Path], object], tmp_path: Path
) -> None:
    path, ends = tmp_path / "mutated.yaml", {"read": 0, "refused": 0}
    for number in range(_MANY):
        path.write_bytes(_mutated(text, random.Random(f"{_MANY} {number}")))
        try:
            read(path)
            ends["read"] += 1
        except DienError as error:
            ends["refused"] += 1
            said = str(error)
            assert said.startswith(f"{path}: "), said
            assert said.isprintable(), said
    assert min(ends.values()) >= _MANY / 10, ends
