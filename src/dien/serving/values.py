"""Values of a request given in Python: each checked as in a file of requests, and made plain.

One value has one spelling: 3, ``np.int64(3)`` and 3.0, as pandas stores integers with gaps, are the id ``3``.
Text is looked up as it is, and then in its one spelling (:mod:`dien.data.spelling`).
What cannot be an id, as NaN, 3.5, bytes or a tensor, is refused with the name of its field.

Nothing here is done by Polars, whose threads a forked process lacks (:mod:`dien.forks`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np

from dien.data.readers.messages import shown
from dien.serving.times import UNKNOWN, Clock

Leaf = Literal["id", "category", "number", "time"]
EXPECTED: dict[Leaf, str] = {
    "id": "strings or integers",
    "category": "strings, integers or booleans",
    "number": "finite numbers",
    "time": "integers, seconds since 1970 (or ms, us, ns), or text as 2024-01-31T10:00:00Z",
}
_WHOLE = 1 << 53  # below it, floats hold every integer
_AS_THEY_ARE: dict[Leaf, set[type]] = {
    "id": {str},
    "category": {str},
    "number": {float, type(None)},
    "time": set(),
}


class NotExpectedError(Exception):
    """A value that is not what its field must hold.

    Args:
        value: it.
        mend: how to mend it; empty where what is expected says it.
    """

    def __init__(self, value: object, mend: str = "") -> None:
        super().__init__("None" if value is None else shown(value), mend)


def plain(value: Any, leaf: Leaf, depth: int, required: bool = False, clock: Clock = UNKNOWN) -> Any:
    """Make a value what encoders take: ids as text, lists as Python's, None where it is unknown.

    Args:
        value: as it was given.
        leaf: what it holds, or its lists do.
        depth: 0 for a value, 1 for a list, 2 for a list of lists.
        required: whether neither the list nor an entry of it may be None.
        clock: reads times.

    Raises:
        NotExpectedError: it is something else.
    """
    if value is None:
        if required and depth:
            raise NotExpectedError(value, "give [] for none")
        return None
    if not depth:
        return _time(value, clock) if leaf == "time" else _LEAVES[leaf](value)
    entries = _entries(value)
    if depth > 1:
        return [plain(entry, leaf, depth - 1, clock=clock) for entry in entries]
    kinds = set(map(type, entries))
    if kinds <= _AS_THEY_ARE[leaf]:
        return _finite(entries) if leaf == "number" else _writable(entries)
    if leaf == "time" and kinds <= {int} and clock.are_seconds(entries):
        return entries
    if required and type(None) in kinds:
        raise NotExpectedError(None, "leave out what is unknown")
    read = partial(_time, clock=clock) if leaf == "time" else _LEAVES[leaf]
    return [None if entry is None else read(entry) for entry in entries]


def expect_vector(vector: Sequence[float | None] | None, length: int) -> None:
    """Refuse a vector of another length, or with a number that is missing; None is not given.

    Args:
        vector: its numbers.
        length: how many there must be.

    Raises:
        NotExpectedError: it is another.
    """
    if vector is None:
        return
    if len(vector) != length:
        raise NotExpectedError(vector, f"this one has {len(vector)}; give None where there is none")
    if any(number is None or number != number for number in vector):
        raise NotExpectedError(vector, "a number of it is missing; give None in place of the whole vector")


def _writable(texts: Sequence[str]) -> Sequence[str]:
    """Refuse text that no file could hold: half of a pair of UTF-16."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        for text in texts:
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise NotExpectedError(text, "mend the text: it has half of a pair of UTF-16") from None
    return texts


def _finite(entries: Sequence[float | None]) -> Sequence[float | None]:
    """Refuse what is infinite."""
    for infinite in (math.inf, -math.inf):
        if infinite in entries:
            raise NotExpectedError(infinite)
    return entries


def _entries(value: Any) -> Sequence[Any]:
    """Give the entries of a list, a tuple, an array, or a column of pandas, Polars or Arrow."""
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, (str, bytes, bytearray)):
        raise NotExpectedError(value, f"put it into a list: [{shown(value)}]")
    if _is_tensor(value):
        raise NotExpectedError(value, "give tensor.tolist()")
    if isinstance(value, np.ndarray):
        if not value.ndim:
            raise NotExpectedError(value, "put it into a list")
        return value.tolist() if value.dtype.kind in "iufUOb" else list(value)
    if type(value).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow") and np.ndim(value) == 1:
        return list(value.to_pylist() if hasattr(value, "to_pylist") else value)
    if isinstance(value, Sequence):
        return list(value)
    raise NotExpectedError(value, "make it a list")


def _id(value: Any) -> str:
    if isinstance(value, str):
        return _writable([str.__str__(value)])[0]  # of an enumeration, its value
    if isinstance(value, Integral) and not isinstance(value, bool):
        if not -(1 << 63) <= value < 1 << 64:  # type: ignore[operator]  # an integer of any kind
            raise NotExpectedError(value, "write numbers beyond 64 bits as text")
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        if math.isnan(value):
            raise NotExpectedError(value, "leave it out of a list, and give None for a value that is unknown")
        if abs(value) < _WHOLE and value == int(value):
            return str(int(value))
        raise NotExpectedError(value, "give the id as an integer or text, as it was when preparing")
    raise NotExpectedError(value, _mend(value))


def _category(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    return _id(value)


def _number(value: Any) -> float:
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isinf(number):
            return number
    raise NotExpectedError(value, _mend(value))


def _time(value: Any, clock: Clock) -> int:
    second = clock.second(value)
    if second is None:
        of_years = isinstance(value, (Integral, date, np.datetime64)) and not isinstance(value, bool)
        raise NotExpectedError(value, "a time of the years 1970 to 2099" if of_years else _mend(value))
    return second


_LEAVES: dict[Leaf, Callable[[Any], Any]] = {
    "id": _id,
    "category": _category,
    "number": _number,
}


def _mend(value: object) -> str:
    """Say how to mend a value by what it is; empty where what is expected says it."""
    if isinstance(value, (bytes, bytearray)):
        return "decode it: value.decode()"
    if isinstance(value, (list, tuple, np.ndarray)):
        return "one request at a time: call score for each"
    if isinstance(value, (date, np.datetime64)):
        return "give seconds since 1970, as int(time.timestamp())"
    if _is_tensor(value):
        return "give tensor.item(), or tensor.tolist() for a list"
    if type(value).__module__.partition(".")[0] == "pandas":  # its NA and NaT
        return "give None for what is unknown"
    return ""


def _is_tensor(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "torch"
