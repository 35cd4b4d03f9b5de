"""A scoring request, and what is left of it once its values are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec

from dien.data.readers.messages import shown
from dien.errors import nearest
from dien.serving.features import CANDIDATES, HISTORY, USER, Field, RequestFields

RawId = str | int
if TYPE_CHECKING:
    Moment = int | str | date
else:
    Moment = int | str  # of a body in JSON, as msgspec decodes it: that has no typed times
"""A time: a number since 1970, text, or typed (a ``datetime`` is a ``date``)."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One scoring request: the arguments of :meth:`dien.Scorer.score`, where each is described.

    Attributes:
        user: raw id of the user, None where there is none.
        history: raw ids of the items clicked so far, oldest first.
        candidates: raw ids of the items to score.
        context: raw value of each context feature.
        behaviours: of each behaviour feature, a raw value for each entry of the history.
        times: when each entry of the history was.
        time: of the request.
        candidate_features: of some item features, a raw value for each candidate.
        user_features: of some user features, a raw value.
    """

    user: RawId | None
    history: Sequence[RawId]
    candidates: Sequence[RawId]
    context: Mapping[str, Any] | None = None
    behaviours: Mapping[str, Sequence[Any]] | None = None
    times: Sequence[Moment | None] | None = None
    time: Moment | None = None
    candidate_features: Mapping[str, Sequence[Any]] | None = None
    user_features: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class CheckedRequest:
    """A request whose values are those that the run's encoders take, with the newest of its history.

    Attributes:
        user: id of the user as text.
        history: ids of the newest ``N`` items clicked, as many as the model reads.
        candidates: ``B`` ids.
        context: raw value by feature; what is unknown is left out.
        behaviours: ``N`` raw values by feature, likewise.
        times: ``N`` seconds since 1970; None where none is given.
        time: seconds since 1970.
        candidate_features: ``B`` raw values by feature.
        user_features: raw value by feature.
    """

    user: str | None
    history: Sequence[str]
    candidates: Sequence[str]
    context: dict[str, Any]
    behaviours: dict[str, Sequence[Any]]
    times: Sequence[int | None] | None
    time: int | None
    candidate_features: dict[str, Sequence[Any]]
    user_features: dict[str, Any]


def checked(request: Request, fields: RequestFields, most: int) -> CheckedRequest:
    """Check the values of a request.

    Args:
        request: as it was given.
        fields: of the run.
        most: behaviours that the model reads.

    Raises:
        ValueError: as :meth:`dien.Scorer.score`.
    """
    user, history = USER.plain(request.user), HISTORY.plain(request.history)
    candidates = CANDIDATES.plain(request.candidates)
    times, time = fields.history_times.plain(request.times), fields.time.plain(request.time)
    context = _given("context", request.context, fields.context)
    behaviours = _given("behaviours", request.behaviours, fields.behaviours, history)
    of_candidates = _given("candidate_features", request.candidate_features, fields.candidates, candidates)
    of_user = _given("user_features", request.user_features, fields.user)
    if times is not None:
        _expect_entries("times", times, history, "history")
        times = times[-most:]
    return CheckedRequest(
        user=user,
        history=history[-most:],
        candidates=candidates,
        context=context,
        behaviours={name: values[-most:] for name, values in behaviours.items()},
        times=times,
        time=time,
        candidate_features=of_candidates,
        user_features=of_user,
    )


def _given(
    what: str, given: Mapping[str, Any] | None, fields: Sequence[Field], entries: Sequence[str] | None = None
) -> dict[str, Any]:
    """Check the raw values of features, one of each or as many as ``entries`` has; a None is left out."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError(f"{what}: found {shown(given)}, expected a dictionary: feature to value")
    known = {field.name: field for field in fields}
    plain = {}
    for name, raw in given.items():
        if name not in known:
            close = nearest(str(name), known)
            mend = f"did you mean {close}?" if close else f"expected {', '.join(known) or 'none'}"
            raise ValueError(f"{what}: no feature {name} in this run; {mend}")
        value = known[name].plain(raw)
        if value is None:
            continue
        if entries is not None:
            _expect_entries(name, value, entries, known[name].beside or "")
        plain[name] = value
    return plain


def _expect_entries(name: str, values: Sequence[Any], entries: Sequence[str], beside: str) -> None:
    if len(values) != len(entries):
        raise ValueError(
            f"{name}: {shown(values)}, expected {len(entries)} values, one for each of {beside}, and None "
            "where it is unknown"
        )
