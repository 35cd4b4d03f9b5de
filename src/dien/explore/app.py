"""The routes of the explorer, as an ASGI application of Litestar."""

from __future__ import annotations

import ipaddress
import sys
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Receive, Scope, Send

from dien.explain import Explanation, ShownItem, WholeRun
from dien.explore.catalogue import FoundUser
from dien.explore.explorer import Asked, Explorer, ShownRun, ShownUser
from dien.reports import rendering
from dien.reports.explanation_page import explanation_html

LARGEST_BODY = 4 << 20
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Problem(msgspec.Struct):
    """What went wrong, in a sentence."""

    error: str


def create_app(explorer: Explorer, host: str) -> ASGIApp:
    """Make the application of an explorer.

    Args:
        explorer: what is asked.
        host: what the server listens on, which requests may name.
    """
    app = Litestar(
        [page, whole_page, static, runs, users, user, items, shown, score, explain, whole, export],
        state=State({"explorer": explorer}),
        request_max_body_size=LARGEST_BODY,
        exception_handlers={
            ValueError: _said(400),
            HTTPException: _refused_by_litestar,
            Exception: _failed,
        },
        response_headers=HEADERS,
        logging_config=None,
        openapi_config=None,
    )
    return _Guarded(app, host)


@get("/", media_type=MediaType.HTML, sync_to_thread=False)
def page(state: State) -> str:
    """Give the page."""
    explorer: Explorer = state["explorer"]
    return _page(explorer, "user")


@get("/whole", media_type=MediaType.HTML, sync_to_thread=False)
def whole_page(state: State) -> str:
    """Give the page of the whole-run view."""
    explorer: Explorer = state["explorer"]
    return _page(explorer, "whole")


_KINDS = {
    "explore.js": "text/javascript",
    "explore.css": "text/css",
    "style.css": "text/css",
    "LICENCES.txt": "text/plain",
}


@get("/static/{name:str}", sync_to_thread=False)
def static(name: FromPath[str]) -> Response[str]:
    """Give a file of the front end."""
    if name not in _KINDS:
        raise HTTPException(status_code=404, detail="there is no such file")
    return Response(str(rendering.static(name)), media_type=f"{_KINDS[name]}; charset=utf-8")


@get("/api/runs", sync_to_thread=False)
def runs(state: State) -> list[ShownRun]:
    """Tell which runs are looked at."""
    explorer: Explorer = state["explorer"]
    return explorer.runs


@get("/api/users", sync_to_thread=True)
def users(state: State, q: FromQuery[str] = "") -> list[FoundUser]:
    """Find users whose id begins with a text."""
    explorer: Explorer = state["explorer"]
    return explorer.find_users(q)


@get("/api/user", sync_to_thread=True)
def user(state: State, id: FromQuery[str]) -> ShownUser:
    """Look up what the log has of a user."""
    explorer: Explorer = state["explorer"]
    return explorer.user(id)


@get("/api/items", sync_to_thread=True)
def items(state: State, q: FromQuery[str] = "") -> list[ShownItem]:
    """Find items that have a text in their id or name."""
    explorer: Explorer = state["explorer"]
    return explorer.find_items(q)


@post("/api/shown", status_code=200, sync_to_thread=True)
def shown(state: State, data: JSONBody[list[str]]) -> dict[str, ShownItem | None]:
    """Show items by their raw ids; None of one that the dataset does not know."""
    explorer: Explorer = state["explorer"]
    return explorer.shown(data)


@post("/api/score", status_code=200, sync_to_thread=True)
def score(state: State, data: JSONBody[Asked]) -> list[float]:
    """Score candidates."""
    explorer: Explorer = state["explorer"]
    return explorer.score(data)


@post("/api/explain", status_code=200, sync_to_thread=True)
def explain(state: State, data: JSONBody[Asked]) -> Explanation:
    """Explain scores."""
    explorer: Explorer = state["explorer"]
    return explorer.explain(data)


@post("/api/page", status_code=200, media_type=MediaType.HTML, sync_to_thread=True)
def export(state: State, data: JSONBody[Asked]) -> str:
    """Give the explanation as a page of its own, to keep or send."""
    explorer: Explorer = state["explorer"]
    return explanation_html(explorer.explain(data))


@get("/api/whole", sync_to_thread=True)
def whole(state: State, run: FromQuery[int] = 0) -> WholeRun:
    """Set the log beside what a run has learned."""
    explorer: Explorer = state["explorer"]
    return explorer.whole_run(run)


def _page(explorer: Explorer, view: str) -> str:
    title = " and ".join(f"{run.name} ({run.model})" for run in explorer.runs)
    return rendering.fill("explorer.html.j2", title=title, scripted=False, view=view)


def _said(status: int) -> Callable[[Request[Any, Any, Any], Exception], Response[Problem]]:
    def answer(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
        return Response(Problem(str(error)), status_code=status)

    return answer


def _refused_by_litestar(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    extra = error.extra if isinstance(error.extra, list) else []
    details = "; ".join(f"{one.get('key', '')}: {one['message']}" for one in extra if "message" in one)
    return Response(Problem(details or error.detail), status_code=error.status_code)


def _failed(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Print what should not have happened, and say that it has."""
    traceback.print_exception(error, file=sys.stderr)
    return Response(
        Problem(f"dien explore failed: {type(error).__name__}; its terminal says more"), status_code=500
    )


class _Guarded:
    """Refuses requests that the explorer's own page does not make: those of pages elsewhere may lead here."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app, self._host = app, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        refused = _refusal(scope, self._host)
        if refused is None:
            await self._app(scope, receive, send)
            return
        status, sentence = refused
        body = msgspec.json.encode(Problem(sentence))
        await ASGIResponse(body=body, media_type=MediaType.JSON, status_code=status)(scope, receive, send)


def _refusal(scope: Scope, host: str) -> tuple[int, str] | None:
    """Find why a request is refused: the status and a sentence; None where it is not.

    A name of a page elsewhere may stand for this machine's address (DNS rebinding), and a page elsewhere may
    send a form here, of any kind but JSON, without asking. Links to the two pages may stand anywhere.
    """
    headers = {name: value.decode("latin-1") for name, value in scope.get("headers", [])}
    named = headers.get(b"host", "")
    if not _is_ours(named, host):
        return 421, f"host {named!r}: is another one; open the address that dien explore printed"
    method, path = scope.get("method"), scope.get("path")
    origin = headers.get(b"origin")
    site = headers.get(b"sec-fetch-site", "none")
    link = method == "GET" and path in ("/", "/whole")
    if (origin is not None and _place(origin) != named.lower()) or (
        site not in ("none", "same-origin") and not link
    ):
        return 403, f"origin {origin or site!r}: another page asks this; the explorer answers its own alone"
    kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
    if method == "POST" and kind != "application/json":
        return 415, f"content-type {kind!r}: expected application/json"
    return None


def _place(origin: str) -> str | None:
    """Take host and port of an Origin header; None where it has none, as ``null``."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _is_ours(named: str, host: str) -> bool:
    """Tell whether a Host header names this server: an address, localhost, or what it listens on."""
    try:
        name = urlsplit(f"//{named}").hostname or ""
        urlsplit(f"//{named}").port  # noqa: B018  # raises
    except ValueError:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in ("localhost", host.lower())
    return True
