"""From what was asked to its scores: each request gets its history, is checked, waits and is scored."""

from __future__ import annotations

from collections.abc import Sequence

from dien.serving.http.messages import ScoreRequest
from dien.serving.http.queue import Job
from dien.serving.http.refusals import RefusedError
from dien.serving.http.served import Served
from dien.serving.http.service import Service
from dien.serving.http.users import from_store
from dien.serving.request import Request


async def scored(
    asked: Sequence[ScoreRequest],
    service: Service,
    model: Served,
    *,
    several: bool,
    size: int,
    deadline: float,
    urgency: int,
) -> Job:
    """Score the requests of one call.

    Args:
        asked: one or more.
        service: that scores.
        model: to score with.
        several: whether the call has a list of them, so that a refusal says which.
        size: bytes of the call.
        deadline: when nobody waits any longer, by ``time.monotonic``.
        urgency: 0 first, 7 last.

    Raises:
        RefusedError: with its status.
    """
    service.expect_open()
    conversions = asked[0].conversions
    if any(one.conversions != conversions for one in asked):
        raise RefusedError(422, "found both, expected the same in each request of a list", "conversions")
    requests = await _with_histories(asked, service, model, deadline, several)
    checked = await service.aside(size, lambda: model.check(requests, several))
    return await service.score(
        checked, model=model, conversions=conversions, deadline=deadline, urgency=urgency
    )


async def _with_histories(
    asked: Sequence[ScoreRequest], service: Service, model: Served, deadline: float, several: bool
) -> list[Request]:
    """Give each request its history: its own, or that of its user in the store."""
    lacking = [place for place, one in enumerate(asked) if one.history is None]
    for place in lacking:
        _expect_no_history(asked[place], service, f"[{place}]." if several else "")
    stored = {}
    if lacking and service.users is not None:
        users = [user for place in lacking if (user := asked[place].user) is not None]
        found = await service.users.histories(users, model, deadline)
        stored = dict(zip(lacking, found, strict=True))
    return [
        from_store(one, stored[place], model) if one.history is None else one.with_history(one.history)
        for place, one in enumerate(asked)
    ]


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
