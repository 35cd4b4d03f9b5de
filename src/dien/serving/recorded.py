"""A request as a line of JSON, in the fields of a file of requests (docs/requests.md), and back."""

from __future__ import annotations

from typing import Any

import msgspec

from dien.errors import nearest
from dien.serving.features import CANDIDATES, HISTORY, TIME, TIMES, USER, RequestFields
from dien.serving.request import Request

_GROUPS = ("context", "behaviours", "candidate_features", "user_features")
_PLAIN = (USER.name, HISTORY.name, CANDIDATES.name, TIMES.name, TIME.name)
STORED = ".stored"
"""Names the behaviour features that the server took from its store, which clients do not send. No feature has
a name that begins with a dot."""
_LINES = msgspec.json.Decoder(dict[str, Any])


def to_line(request: Request, stored: bool = False) -> bytes:
    """Write a request, its features beside its other fields; what is None is left out, but for the user.

    No feature can have the name of a field, nor can two: a dataset folder refuses them.

    Args:
        request: whose values a scorer has taken.
        stored: whether a store gave its history.

    Returns:
        A line with its end.
    """
    line: dict[str, Any] = {USER.name: request.user}
    line |= {name: value for name in _PLAIN[1:] if (value := getattr(request, name)) is not None}
    for group in _GROUPS:
        line |= getattr(request, group) or {}
    if stored:
        line[STORED] = sorted(request.behaviours or {})
    return msgspec.json.encode(line) + b"\n"


def from_line(line: bytes, fields: RequestFields) -> Request:
    """Read a request; its values are not checked yet.

    Args:
        line: as of :func:`to_line`.
        fields: of the run that is to score it. Where a store gave the history, behaviour features that the
            run has not are left out, as a server of this run would not read them.

    Raises:
        ValueError: it is no object in JSON, or has another feature that the run has not. A request over HTTP
            with one is refused, too.
    """
    of_group = zip(_GROUPS, (fields.context, fields.behaviours, fields.candidates, fields.user), strict=True)
    group_of = {field.name: group for group, found in of_group for field in found}
    given: dict[str, Any] = dict.fromkeys(_PLAIN)
    found = _LINES.decode(line)
    stored = found.pop(STORED, None)
    for name, value in found.items():
        if name in _PLAIN:
            given[name] = value
        elif name in group_of:
            given.setdefault(group_of[name], {})[name] = value
        elif not (isinstance(stored, list) and name in stored):
            close = nearest(name, group_of)
            mend = f"; did you mean {close}?" if close else ""
            raise ValueError(f"{name}: no such feature in this run{mend}")
    return Request(**given)
