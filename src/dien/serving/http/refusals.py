"""Refusals of the server: each has a status and a body that names the field."""

from __future__ import annotations

import re

import msgspec

from dien.errors import RunError
from dien.serving.http.messages import Problem


class RefusedError(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP.
        error: why, and how to mend it.
        field: of the request that is wrong; None where it is no field.
        retry: whether the same request may be answered a second later.
    """

    def __init__(self, status: int, error: str, field: str | None = None, *, retry: bool = False) -> None:
        super().__init__(error)
        self.status, self.error, self.field, self.retry = status, error, field, retry

    @property
    def problem(self) -> Problem:
        """The body of the answer."""
        return Problem(self.error, self.field)


_PLACE = re.compile(r"(.*?)(?: - at (?:key in )?`\$\.?(.*)`)?", re.DOTALL)


def not_as_expected(error: msgspec.ValidationError) -> RefusedError:
    """Refuse a body in JSON that is not the expected structure; msgspec says where."""
    found = _PLACE.fullmatch(str(error))
    assert found is not None  # the pattern takes any text
    named = re.search(r"field `(.*)`", found[1])  # one that is missing, or unknown: the place is around it
    parts = (found[2], named and named[1])
    return RefusedError(422, found[1], ".".join(part for part in parts if part) or None)


def of_scorer(error: ValueError, place: str = "") -> RefusedError:
    """Refuse a request whose values the scorer refuses; its message begins with the field's name.

    Args:
        error: of :meth:`dien.Scorer.score_many`.
        place: of the request, where there are several, as ``[3]``.
    """
    text = str(error)
    if isinstance(error, RunError):  # of the run, whose folder it names, and no field
        return RefusedError(422, text.partition(": ")[2] or text, place or None)
    field, colon, _ = text.partition(": ")
    name = field if colon else ""
    return RefusedError(422, text, ".".join(part for part in (place, name) if part) or None)
