"""From what was asked to its scores: each request gets its history, is checked, waits and is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dien.serving.http.messages import ScoreRequest
from dien.serving.http.queue import Job
from dien.serving.http.refusals import RefusedError
from dien.serving.http.served import Served
from dien.serving.http.service import Service
from dien.serving.http.users import from_store
from dien.serving.request import CheckedRequest, RawId, Request
from dien.serving.store import Behaviour

Checked = tuple[list[Request], list[CheckedRequest]]
"""Requests with their histories, as they were asked, and as they are scored."""
MOST = 1000
"""Requests that one call may have; each costs something even where it has next to no steps."""


async def scored(
    read: Callable[[], Sequence[ScoreRequest]],
    service: Service,
    model: Served,
    *,
    several: bool,
    large: bool,
    deadline: float,
    urgency: int,
) -> Job:
    """Score the requests of one call.

    Args:
        read: gives what is asked, one request or more.
        service: that scores.
        model: to score with.
        several: whether the call has a list of them, so that a refusal says which.
        large: whether reading and checking them may take milliseconds.
        deadline: when nobody waits any longer, by ``time.monotonic``.
        urgency: 0 first, 7 last.

    Raises:
        RefusedError: with its status.
    """

    def begin() -> tuple[Sequence[ScoreRequest], Checked | None]:
        asked = read()
        if not _lacking(asked, service, model, several):
            return asked, _checked(asked, {}, model, several)
        return asked, None

    with service.timed() as stages:
        service.expect_open()
        asked, found = await service.aside(begin, large=large, deadline=deadline)
        if found is None:
            assert service.users is not None  # else it was refused
            # Each user once: a list may name one many times.
            lacking = (one.user for one in asked if one.history is None and one.user is not None)
            users = list(dict.fromkeys(lacking))
            stages.begin("histories")
            histories = await service.users.histories(users, model, deadline)
            stages.begin("checking")
            stored = dict(zip(users, histories, strict=True))
            found = await service.aside(
                lambda: _checked(asked, stored, model, several), large=True, deadline=deadline
            )
        requests, checked = found
        job = await service.score(
            checked,
            model=model,
            conversions=asked[0].conversions,
            deadline=deadline,
            urgency=urgency,
            stages=stages,
        )
        if service.recorder is not None:
            service.recorder.offer(requests, [one.history is None for one in asked])
    return job


def _lacking(asked: Sequence[ScoreRequest], service: Service, model: Served, several: bool) -> list[int]:
    """Say which requests get their history from the store, before anything is read there.

    Raises:
        RefusedError: 413 where that may be too much, or 422.
    """
    if len(asked) > MOST:
        raise RefusedError(413, f"found {len(asked)} requests, expected {MOST} at most in one call")
    if any(one.conversions != asked[0].conversions for one in asked):
        raise RefusedError(422, "found both, expected the same in each request of a list", "conversions")
    lacking = [place for place, one in enumerate(asked) if one.history is None]
    for place in lacking:
        _expect_no_history(asked[place], service, f"[{place}]." if several else "")
    longest, largest = model.scorer.run.config.model.longest_history, service.options.largest
    if len(lacking) * longest > largest:
        raise RefusedError(
            413,
            f"found {len(lacking)} histories of up to {longest} behaviours to read from the store, expected "
            f"{largest} behaviours at most together; ask for fewer in one call",
            "history",
        )
    return lacking


def _checked(
    asked: Sequence[ScoreRequest],
    stored: Mapping[RawId, Sequence[Behaviour]],
    model: Served,
    several: bool,
) -> Checked:
    """Give each request its history, its own or that of its user in the store, and check it."""
    requests = [
        one.with_history(one.history)
        if one.history is not None
        else from_store(one, stored[one.user] if one.user is not None else (), model)
        for one in asked
    ]
    return requests, model.check(requests, several)


def _expect_no_history(asked: ScoreRequest, service: Service, place: str) -> None:
    """Refuse a request without a history that the store cannot give one.

    Raises:
        RefusedError: 422.
    """
    if service.users is None:
        raise RefusedError(422, "this server has no store; give the history, [] for none", f"{place}history")
    if asked.user is None:
        raise RefusedError(
            422, "found no user, whose history to read; give one, or the history", f"{place}user"
        )
    for name in ("behaviours", "times"):
        if getattr(asked, name) is not None:
            raise RefusedError(
                422,
                "is of the entries of a history; give that, too, or leave both to the store",
                place + name,
            )
