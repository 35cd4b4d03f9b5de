"""The routes, as an ASGI application of Litestar; the OpenAPI page is made of the same structures."""

from __future__ import annotations

import importlib.metadata
import logging
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.datastructures import State as Shared
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import JSONBody
from litestar.types import ASGIApp

from dien.serving.http.asked import scored
from dien.serving.http.headers import (
    Authorization,
    Deadline,
    Priority,
    deadline_of,
    expect_token,
    urgency_of,
)
from dien.serving.http.inference import INFERENCE
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
from dien.serving.http.page import Page
from dien.serving.http.parsing import ParsedRequest, may_refuse, one_or_several
from dien.serving.http.queue import Job
from dien.serving.http.refusals import RefusedError
from dien.serving.http.service import QUICK, Service
from dien.serving.http.users import observed
from dien.serving.store import Appended

logger = logging.getLogger(__name__)


def create_app(service: Service) -> ASGIApp:
    """Make the application of a service."""
    return measured(
        Litestar(
            [score, observe, reload, health, ready, metrics, model, *INFERENCE],
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
                render_plugins=[Page(path="/"), JsonRenderPlugin(path="/openapi.json")],
                use_handler_docstrings=True,
            ),
        ),
        service.metrics,
    )


ScoreBody = ScoreRequest | list[ScoreRequest]


@post(
    "/score",
    status_code=200,
    opt={"decoder": msgspec.json.Decoder(ScoreBody)},
    responses=may_refuse(400, 413, 422, 429, 503, 504),
)
async def score(
    request: ParsedRequest,
    data: JSONBody[ScoreBody],
    state: Shared,
    deadline_ms: Deadline = None,
    priority: Priority = None,
) -> Response[ScoreAnswer | list[ScoreAnswer]]:
    """Score one request or a list of them, which are answered together."""
    service: Service = state["service"]
    deadline = deadline_of(deadline_ms, service)
    asked, several = one_or_several(data)
    if not asked:
        return Response([])
    job = await scored(
        lambda: asked,
        service,
        service.model,
        several=several,
        large=len(await request.body()) > QUICK,
        deadline=deadline,
        urgency=urgency_of(priority),
    )
    answers = answers_of(job)
    return Response(answers if several else answers[0], headers={"Server-Timing": timing_of(job)})


ObserveBody = ObserveRequest | list[ObserveRequest]


@post(
    "/observe",
    status_code=200,
    opt={"decoder": msgspec.json.Decoder(ObserveBody)},
    responses=may_refuse(400, 401, 404, 413, 422, 429, 503, 504),
)
async def observe(
    request: ParsedRequest,
    data: JSONBody[ObserveBody],
    state: Shared,
    deadline_ms: Deadline = None,
    authorization: Authorization = None,
) -> Appended:
    """Add what users have done to the store; of a list, users before a refusal may have theirs."""
    service: Service = state["service"]
    deadline = deadline_of(deadline_ms, service)
    if (token := service.options.observe_token) is not None:
        expect_token(authorization, token)
    if service.users is None:
        raise RefusedError(404, "this server has no store; start it with --store")
    service.expect_open()
    (given, several), model = one_or_several(data), service.model
    found = await service.aside(
        lambda: [observed(one, model, f"[{place}]" if several else "") for place, one in enumerate(given)],
        large=len(await request.body()) > QUICK,
        deadline=deadline,
    )
    return await service.users.observe(found, deadline)


@post(
    "/reload",
    status_code=200,
    opt={"decoder": msgspec.json.Decoder(ReloadRequest | None)},
    responses=may_refuse(400, 401, 404, 409, 413, 422, 503),
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


@get(["/health", "/v2/health/live"], responses=may_refuse(503))
async def health(state: Shared) -> State:
    """Tell whether the process lives and its threads work."""
    service: Service = state["service"]
    service.expect_alive()
    return State("ok")


@get(["/ready", "/v2/health/ready"], responses=may_refuse(503))
async def ready(state: Shared) -> State:
    """Tell whether requests are taken, and the threads that score them work."""
    service: Service = state["service"]
    service.expect_alive()
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


def answers_of(job: Job) -> list[ScoreAnswer]:
    """Write the scores of a job."""
    version, scores = job.model.version, job.scores.result()
    if job.conversions:
        return [ScoreAnswer(s[0].tolist(), version, s[1].tolist()) for s in scores]
    return [ScoreAnswer(s.tolist(), version) for s in scores]


def timing_of(job: Job) -> str:
    """Write how long a job waited and was scored, in the form of the header ``Server-Timing``."""
    queue, score = 1000 * (job.began - job.came), 1000 * (job.ended - job.began)
    return f"queue;dur={queue:.2f}, score;dur={score:.2f}"


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
