"""YAML that a user gives, read with bounds: no text takes long, or much memory, whatever it says.

Every YAML text that the program did not write itself is read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 1 << 20
"""Longer text is refused: a draft of a thousand features is a tenth of it."""
MOST_VALUES = 100_000
"""More keys, values, lists and mappings are refused."""
MOST_LEVELS = 32
"""Keys and lists that stand deeper in each other are refused."""


class YamlTextError(ValueError):
    """Text that is not YAML, or YAML that is not taken; the message names the line and says why."""


def read_yaml(path: Path) -> Any:
    """Read a YAML file; see :func:`parse_yaml`.

    Raises:
        OSError: it cannot be read.
        YamlTextError: as of :func:`parse_yaml`.
    """
    with path.open("rb") as file:
        return parse_yaml(file.read(MOST_BYTES + 1))


def parse_yaml(text: str | bytes) -> Any:
    """Parse YAML text into plain values; empty text is None.

    Not taken: anchors and aliases (a few lines with them stand for more values than fit into memory), a key
    that stands twice (the first would be lost), and text beyond :data:`MOST_BYTES`, :data:`MOST_VALUES` or
    :data:`MOST_LEVELS`.

    Raises:
        YamlTextError: it is no YAML, or is not taken.
    """
    if len(text) > MOST_BYTES:
        raise YamlTextError(f"longer than {MOST_BYTES:,} bytes; expected a short file of keys and values")
    try:
        _check_events(text)
        return yaml.load(text, _Loader)  # a SafeLoader
    except YamlTextError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise YamlTextError(f"not YAML: {line}{error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        what = f"byte {error.position + 1}" if isinstance(text, bytes) else f"character {error.position + 1}"
        raise YamlTextError(f"not YAML: {what}: {error.reason}; expected UTF-8") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        # a value that is not of its tag, as !!int x or the date 2024-02-30
        raise YamlTextError(f"not YAML: a value is not what it says to be: {error}") from error


def _check_events(text: str | bytes) -> None:
    """Refuse aliases and too many levels before anything is built."""
    level = values = 0
    for event in yaml.parse(text, _Parser):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            raise YamlTextError(
                f"line {line}: found {sign}{event.anchor}; anchors (&) and aliases (*) are not taken: "
                "write the value out where it is used"
            )
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.NodeEvent)
        if values > MOST_VALUES:
            raise YamlTextError(f"line {line}: more than {MOST_VALUES:,} keys and values")
        if level > MOST_LEVELS:
            raise YamlTextError(f"line {line}: more than {MOST_LEVELS} levels of keys or lists in each other")


_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the former is there in most installations


class _Loader(_Parser):  # type: ignore[misc]
    """Plain values alone, each key once."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        number: int = super().construct_yaml_int(node)
        if number.bit_length() > 64:
            line = node.start_mark.line + 1
            raise YamlTextError(
                f"line {line}: a whole number of more than 64 bits; write it shorter, or in quotes"
            )
        return number

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(made) < len(node.value):
            seen = set()
            for key, _ in node.value:
                found = self.construct_object(key, deep=True)
                if found in seen:
                    line = key.start_mark.line + 1
                    raise YamlTextError(f"line {line}: the key {found!r} stands twice; keep one of them")
                seen.add(found)
        return made


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
