"""Values inside the objects of a file of JSON lines: which keys they may stand at, and at which they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from dien.data.readers.nested import the_only, value_inside
from dien.data.readers.parameters import are_parameters, parameter

_OBJECTS = {dict, type(None), msgspec.UnsetType}  # where no list is and no other value


class NotInsideError(Exception):
    """A line whose objects do not hold what a name says.

    Args:
        index: of the line among those given.
        problem: what was found and expected.
    """

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(problem)
        self.index = index


def keys_before(name: str) -> list[str]:
    """Name the keys whose objects may hold a value of a name with dots, the shortest first."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


class Inside:
    """Takes values out of the objects of a file, and counts at which keys they stood.

    Args:
        values_of: gives the values of a key of all lines, until it is closed.
    """

    def __init__(self, values_of: Callable[[str], Iterable[Any]]) -> None:
        self._values_of = values_of
        self._parameters: dict[str, bool] = {}  # whether a key holds lists of keys and values
        self._found_at: dict[str, Counter[str]] = {}

    def take(self, name: str, own: list[Any], at: Mapping[str, list[Any]]) -> list[Any]:
        """Take the values of a name with dots.

        Args:
            name: of the column.
            own: ``[n]`` values of the key of this name; UNSET where a line lacks it, as in the others.
            at: ``[n]`` values of each key that the name may begin with.

        Returns:
            ``[n]`` values; UNSET where there is none.

        Raises:
            NotInsideError: something else stands where an object is expected, or a line has several values.
        """
        at = {key: values for key, values in at.items() if any(one is not msgspec.UNSET for one in values)}
        if any(value is not msgspec.UNSET for value in own):  # beside it another value may stand at a key
            at = {key: _objects_beside(own, values) for key, values in at.items()}
        taken = {key: self._taken(key, values, name[len(key) + 1 :].split(".")) for key, values in at.items()}
        if any(value is not msgspec.UNSET for value in own):
            taken[name] = own
        for key, values in taken.items():
            there = sum(value is not None and value is not msgspec.UNSET for value in values)
            self._found_at.setdefault(name, Counter())[key] += there
        if len(taken) < 2:
            return next(iter(taken.values()), own)
        made: list[Any] = []
        try:
            for found in zip(*taken.values(), strict=True):
                made.append(the_only(dict(zip(taken, found, strict=True))))  # noqa: PERF401  # likewise
        except ValueError as error:
            raise NotInsideError(len(made), str(error)) from error
        return made

    @property
    def counts(self) -> dict[str, int]:
        """How many values of a name stood at another key than most, for the report."""
        found: dict[str, int] = {}
        for name, keys in self._found_at.items():
            (most, _), *others = keys.most_common()
            for key, count in others:
                found[f"values of {name!r} at the key {key!r}, not at {most!r} as most (read alike)"] = count
        return {what: count for what, count in found.items() if count}

    def _taken(self, key: str, values: Sequence[Any], path: list[str]) -> list[Any]:
        """Take what is inside the values of one key."""
        first = next((one for one in values if one is not None and one is not msgspec.UNSET), None)
        take = parameter if isinstance(first, list) and self._are_parameters(key) else value_inside
        made: list[Any] = []
        if take is value_inside and len(path) == 1 and set(map(type, values)) <= _OBJECTS:
            (name,) = path
            return [value.get(name, msgspec.UNSET) if type(value) is dict else value for value in values]
        try:
            for value in values:
                made.append(take(value, path))  # noqa: PERF401  # how many is needed
        except ValueError as error:
            raise NotInsideError(len(made), str(error)) from error
        return made

    def _are_parameters(self, key: str) -> bool:
        """Whether a key holds lists of keys and values: the first list with an entry tells."""
        if key not in self._parameters:
            first = next((value for value in self._values_of(key) if value not in (None, [])), None)
            self._parameters[key] = are_parameters(first)
        return self._parameters[key]


def _objects_beside(own: list[Any], values: list[Any]) -> list[Any]:
    """Leave out what is no object in lines that have a key of the whole name."""
    return [
        msgspec.UNSET if one is not msgspec.UNSET and not isinstance(value, dict | list) else value
        for one, value in zip(own, values, strict=True)
    ]
