"""The routes, as an ASGI application of Litestar; the OpenAPI page is made of the same structures."""

from __future__ import annotations

import hmac
import importlib.metadata
import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.datastructures import State as Shared
from litestar.exceptions import HTTPException, InternalServerException
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.params import HeaderParameter, JSONBody
from litestar.types import ASGIApp

from dien.serving.http.measured import measured
from dien.serving.http.messages import (
    ModelAnswer,
    ObserveRequest,
    Problem,
    ReloadRequest,
    ScoreAnswer,
    ScoreRequest,
    State,
)
from dien.serving.http.queue import Job
from dien.serving.http.refusals import RefusedError, not_as_expected
from dien.serving.http.served import Served
from dien.serving.http.service import Service
from dien.serving.http.users import from_store, observed
from dien.serving.request import Request as Scored
from dien.serving.store import Appended

logger = logging.getLogger(__name__)

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


class ParsedRequest(Request[Any, Any, Any]):
    """A request whose JSON is parsed once, into the structure that its route takes."""

    async def json(self) -> Any:
        """Parse the body.

        Raises:
            RefusedError: 400 where it is no JSON, 422 where it is not the structure.
        """
        decoder: msgspec.json.Decoder[Any] = self.route_handler.opt["decoder"]
        try:
            return decoder.decode(await self.body())
        except msgspec.ValidationError as error:
            raise not_as_expected(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedError(400, f"the body: {error}; expected JSON in UTF-8") from None

    async def body(self) -> bytes:
        """Read the body.

        Raises:
            RefusedError: 400 where the client has gone.
        """
        try:
            return await super().body()
        except InternalServerException:
            raise RefusedError(400, "the client left before the end of the body") from None


def create_app(service: Service) -> ASGIApp:
    """Make the application of a service."""
    return measured(
        Litestar(
            [score, observe, reload, health, ready, metrics, model],
            state=Shared({"service": service}),
            request_class=ParsedRequest,
            request_max_body_size=service.options.largest_body,
            exception_handlers={
                RefusedError: _refused,
                HTTPException: _refused_by_litestar,
                Exception: _failed,
            },
            logging_config=None,
            openapi_config=OpenAPIConfig(
                title="dien",
                version=importlib.metadata.version("dien"),
                description="Click probabilities from raw ids.",
                path="/docs",
                render_plugins=[SwaggerRenderPlugin(path="/"), JsonRenderPlugin(path="/openapi.json")],
                use_handler_docstrings=True,
            ),
        ),
        service.metrics,
    )


_REFUSED = {
    400: "The body is no JSON.",
    401: "The token is missing, or another.",
    404: "There is no such thing here.",
    409: "Another reload is under way.",
    413: "The body or the call is too large.",
    422: "The body or a header is not what is expected; the field says where.",
    429: "The queue is full.",
    503: "The server ends.",
    504: "Not scored before its deadline.",
}


def _may_refuse(*statuses: int) -> dict[int, ResponseSpec]:
    """Declare the refusals of a route."""
    return {
        status: ResponseSpec(Problem, generate_examples=False, description=_REFUSED[status])
        for status in statuses
    }


ScoreBody = ScoreRequest | list[ScoreRequest]


@post(
    "/score",
    status_code=200,
    opt={"decoder": msgspec.json.Decoder(ScoreBody)},
    responses=_may_refuse(400, 413, 422, 429, 503, 504),
)
async def score(
    request: ParsedRequest,
    data: JSONBody[ScoreBody],
    state: Shared,
    deadline_ms: Deadline = None,
    priority: Priority = None,
) -> ScoreAnswer | list[ScoreAnswer]:
    """Score one request or a list of them, which are answered together."""
    service: Service = state["service"]
    deadline = deadline_of(deadline_ms, service)
    service.expect_open()
    several = isinstance(data, list)
    asked = data if isinstance(data, list) else [data]
    if not asked:
        return []
    conversions = asked[0].conversions
    if any(one.conversions != conversions for one in asked):
        raise RefusedError(422, "found both, expected the same in each request of a list", "conversions")
    served = service.model
    requests = await _with_histories(asked, service, served, deadline, several)
    checked = await service.aside(len(await request.body()), lambda: served.check(requests, several))
    job = await service.score(
        checked, model=served, conversions=conversions, deadline=deadline, urgency=urgency_of(priority)
    )
    answers = answers_of(job)
    return answers if several else answers[0]


async def _with_histories(
    asked: Sequence[ScoreRequest], service: Service, model: Served, deadline: float, several: bool
) -> list[Scored]:
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


ObserveBody = ObserveRequest | list[ObserveRequest]


@post(
    "/observe",
    status_code=200,
    opt={"decoder": msgspec.json.Decoder(ObserveBody)},
    responses=_may_refuse(400, 401, 404, 413, 422, 429, 503),
)
async def observe(
    request: ParsedRequest, data: JSONBody[ObserveBody], state: Shared, authorization: Authorization = None
) -> Appended:
    """Add what users have done to the store; of a list, users before a refusal may have theirs."""
    service: Service = state["service"]
    if (token := service.options.observe_token) is not None:
        expect_token(authorization, token)
    if service.users is None:
        raise RefusedError(404, "this server has no store; start it with --store")
    service.expect_open()
    several, model = isinstance(data, list), service.model
    given = list(enumerate(data if isinstance(data, list) else [data]))
    found = await service.aside(
        len(await request.body()),
        lambda: [observed(one, model, f"[{place}]" if several else "") for place, one in given],
    )
    return await service.users.observe(found)


@post(
    "/reload",
    status_code=200,
    opt={"decoder": msgspec.json.Decoder(ReloadRequest)},
    responses=_may_refuse(400, 401, 404, 409, 413, 422, 503),
)
async def reload(
    state: Shared, data: JSONBody[ReloadRequest | None] = None, authorization: Authorization = None
) -> ModelAnswer:
    """Load the run folder again, or another, and have it answer once it is warm; needs the token."""
    service: Service = state["service"]
    if (token := service.options.reload_token) is None:
        raise RefusedError(404, "there is no reload by HTTP; start the server with --reload-token-file")
    expect_token(authorization, token)
    service.expect_open()
    return (await service.reload(Path(data.run) if data and data.run else None)).answer


@get("/health", responses=_may_refuse(503))
async def health(state: Shared) -> State:
    """Tell whether the process lives and its threads work."""
    service: Service = state["service"]
    if not (service.queue.alive or service.draining):
        raise RefusedError(503, "a scoring thread has ended; start the server again")
    return State("ok")


@get("/ready", responses=_may_refuse(503))
async def ready(state: Shared) -> State:
    """Tell whether requests are taken."""
    service: Service = state["service"]
    service.expect_open()
    return State("ok")


@get("/metrics", media_type=MediaType.TEXT)
async def metrics(state: Shared) -> Response[bytes]:
    """Give the counters in the text format of Prometheus."""
    service: Service = state["service"]
    return Response(service.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")


@get("/model")
async def model(state: Shared) -> ModelAnswer:
    """Tell which model answers, and what it takes."""
    service: Service = state["service"]
    return service.model.answer


def deadline_of(milliseconds: int | None, service: Service) -> float:
    """Give the moment, by ``time.monotonic``, up to which a client waits."""
    most = service.options.deadline_ms
    return time.monotonic() + (most if milliseconds is None else min(milliseconds, most)) / 1000


_URGENCY = re.compile(r"(?:^|,)[ \t]*u=([0-7])[ \t]*(?=,|;|$)")


def urgency_of(priority: str | None) -> int:
    """Read the urgency of a priority header; what is none is ignored, as RFC 9218 demands."""
    found = _URGENCY.search(priority or "")
    return 3 if found is None else int(found[1])


def answers_of(job: Job) -> list[ScoreAnswer]:
    """Write the scores of a job."""
    version, scores = job.model.version, job.scores.result()
    if job.conversions:
        return [ScoreAnswer(s[0].tolist(), version, s[1].tolist()) for s in scores]
    return [ScoreAnswer(s.tolist(), version) for s in scores]


def expect_token(authorization: str | None, token: str) -> None:
    """Refuse a request without the token.

    Raises:
        RefusedError: 401.
    """
    given = (authorization or "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, f"Bearer {token}".encode()):
        raise RefusedError(401, "expected the header Authorization: Bearer TOKEN, with the server's token")


def _refused(request: Request[Any, Any, Any], error: RefusedError) -> Response[Problem]:
    headers = {"Retry-After": "1"} if error.retry else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(error.problem, status_code=error.status, headers=headers, media_type=MediaType.JSON)


def _refused_by_litestar(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """Answer what the framework refuses in the form of everything else."""
    status, text, field = error.status_code, error.detail, None
    if status == 400 and isinstance(error.extra, list) and error.extra:  # a header, or no body
        first: dict[str, str] = error.extra[0]
        status, field = 422, _HEADERS.get(first.get("key", ""))
        text = "found no body, expected JSON" if field is None else first.get("message", text)
    if status >= 500:
        return _failed(request, error)
    headers = dict(error.headers or {})
    return Response(Problem(text, field), status_code=status, headers=headers, media_type=MediaType.JSON)


_HEADERS = {"deadline_ms": "X-Deadline-Ms", "priority": "Priority", "authorization": "Authorization"}


def _failed(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer what should not happen; the log has it whole, the client has no part of it."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return Response(
        Problem("the server failed; its log says how", None), status_code=500, media_type=MediaType.JSON
    )
