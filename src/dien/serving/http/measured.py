"""Counts every answer of an application by route and status."""

from __future__ import annotations

import time

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from dien.serving.http.metrics import ServerMetrics

OTHER = "other"
"""Route of paths that there are not: a counter for each that somebody asks for would fill the memory."""


def measured(app: ASGIApp, metrics: ServerMetrics) -> ASGIApp:
    """Wrap an application.

    Args:
        app: of Litestar, which notes the template of the route.
        metrics: what is told of each answer.
    """

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        began = time.monotonic()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, noted)
        finally:
            found = "route_handler" in scope
            route = str(scope.get("path_template", OTHER)) if found else OTHER
            metrics.answered(route, status, time.monotonic() - began)

    return call
