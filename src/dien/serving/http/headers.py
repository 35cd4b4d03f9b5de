"""Headers of requests: the deadline, the urgency and the token."""

from __future__ import annotations

import hmac
import re
import time
from typing import Annotated

from litestar.params import HeaderParameter

from dien.serving.http.refusals import RefusedError
from dien.serving.http.service import Service

Deadline = Annotated[
    int | None,
    HeaderParameter(
        name="X-Deadline-Ms",
        ge=1,
        description="Milliseconds after which nobody waits for the answer; at most the server's own.",
    ),
]
Priority = Annotated[
    str | None,
    HeaderParameter(
        name="Priority", description="Urgency as in RFC 9218: u=0 first, u=7 last, u=3 by default."
    ),
]
Authorization = Annotated[
    str | None, HeaderParameter(name="Authorization", description="Bearer and the token.")
]


def deadline_of(milliseconds: int | None, service: Service) -> float:
    """Give the moment, by ``time.monotonic``, up to which a client waits."""
    most = service.options.deadline_ms
    return time.monotonic() + (most if milliseconds is None else min(milliseconds, most)) / 1000


_URGENCY = re.compile(r"(?:^|,)[ \t]*u=([0-7])[ \t]*(?=,|;|$)")


def urgency_of(priority: str | None) -> int:
    """Read the urgency of a priority header; what is none is ignored, as RFC 9218 demands."""
    found = _URGENCY.search(priority or "")
    return 3 if found is None else int(found[1])


def expect_token(authorization: str | None, token: str) -> None:
    """Refuse a request without the token.

    Raises:
        RefusedError: 401.
    """
    given = (authorization or "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, f"Bearer {token}".encode()):
        raise RefusedError(401, "expected the header Authorization: Bearer TOKEN, with the server's token")
