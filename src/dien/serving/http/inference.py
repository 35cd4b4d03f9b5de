"""The paths of the Open Inference Protocol v2 (KServe, Triton), so that its clients can ask, too.

A tensor stands for a field of a request: ``user``, ``history``, ``candidates``, ``times``, ``time``, and
``context.NAME``, ``behaviours.NAME``, ``candidate_features.NAME``, ``user_features.NAME`` for features.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.datastructures import State as Shared
from litestar.params import FromPath, HeaderParameter, JSONBody

from dien.serving.features import CANDIDATES, HISTORY, USER, Field
from dien.serving.http.asked import scored
from dien.serving.http.headers import deadline_of
from dien.serving.http.messages import ScoreRequest, State
from dien.serving.http.parsing import ParsedRequest, length_of_json, may_refuse
from dien.serving.http.refusals import RefusedError, not_as_expected
from dien.serving.http.served import Served
from dien.serving.http.service import QUICK, Service
from dien.serving.http.tensors import InputTensor, OutputTensor, read_tensors, write_tensor

LENGTH = "Inference-Header-Content-Length"
_DATATYPES = {"id": "BYTES", "category": "BYTES", "number": "FP64", "time": "INT64"}
_LISTS = msgspec.json.Decoder(list[Any])
SCORES, CONVERSIONS = "scores", "conversions"


class TensorMetadata(msgspec.Struct, frozen=True):
    """An input or an output of a model.

    Attributes:
        name: of it.
        datatype: of its values; ids may also be of a type of integers, and numbers of another.
        shape: of it, -1 for any number.
    """

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(msgspec.Struct, frozen=True):
    """A model, as the protocol has it.

    Attributes:
        name: of it.
        versions: that answers.
        platform: what computes it.
        inputs: of it; all but ``candidates`` may be left out.
        outputs: of it.
    """

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(msgspec.Struct, frozen=True):
    """A server, as the protocol has it.

    Attributes:
        name: of it.
        version: of the model.
        extensions: of the protocol.
    """

    name: str
    version: str
    extensions: list[str]


class WantedOutput(msgspec.Struct, frozen=True, kw_only=True):
    """An output that is asked for.

    Attributes:
        name: of it.
        parameters: ``binary_data`` for data after the JSON.
    """

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to score, as the protocol has it.

    Attributes:
        inputs: of it.
        id: which the answer repeats.
        parameters: ``priority`` (1 first), ``timeout`` (microseconds), ``binary_data_output``.
        outputs: that are wanted; none for ``scores``.
    """

    inputs: list[InputTensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[WantedOutput] = []


class InferAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Scores, as the protocol has them.

    Attributes:
        model_name: of the model.
        model_version: of it.
        id: of the request.
        outputs: that were wanted.
    """

    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]


@get("/v2")
async def server_metadata(state: Shared) -> ServerMetadata:
    """Tell what the server is."""
    service: Service = state["service"]
    return ServerMetadata("dien", service.model.version, ["binary_tensor_data"])


@get(
    ["/v2/models/{name:str}/ready", "/v2/models/{name:str}/versions/{version:str}/ready"],
    responses=may_refuse(404, 503),
)
async def model_ready(request: ParsedRequest, state: Shared, name: FromPath[str]) -> State:
    """Tell whether requests to a model are taken."""
    service: Service = state["service"]
    _model(service, name, request)
    service.expect_alive()
    service.expect_open()
    return State("ok")


@get(["/v2/models/{name:str}", "/v2/models/{name:str}/versions/{version:str}"], responses=may_refuse(404))
async def model_metadata(request: ParsedRequest, state: Shared, name: FromPath[str]) -> ModelMetadata:
    """Tell the inputs and outputs of a model."""
    model = _model(state["service"], name, request)
    outputs = [SCORES, CONVERSIONS] if model.scorer.predicts_conversions else [SCORES]
    return ModelMetadata(
        name=model.name,
        versions=[model.version],
        platform="dien",
        inputs=[
            TensorMetadata(name, _datatype(field), _shape(field)) for name, field in _inputs(model).items()
        ],
        outputs=[TensorMetadata(name, "FP64", [-1]) for name in outputs],
    )


@post(
    ["/v2/models/{name:str}/infer", "/v2/models/{name:str}/versions/{version:str}/infer"],
    status_code=200,
    opt={"decoder": msgspec.json.Decoder(InferRequest), "length_of_json": LENGTH},
    responses=may_refuse(400, 404, 413, 422, 429, 503, 504),
)
async def infer(
    request: ParsedRequest,
    data: JSONBody[InferRequest],
    state: Shared,
    name: FromPath[str],
    length: Annotated[
        str | None, HeaderParameter(name=LENGTH, description="Bytes of JSON before binary data.")
    ] = None,
) -> Response[Any]:
    """Score one request."""
    service: Service = state["service"]
    began = time.monotonic()
    model = _model(service, name, request)
    body = await request.body()
    binary = memoryview(body)[length_of_json(length, LENGTH, len(body)) :]
    wanted = {one.name: one.parameters for one in data.outputs} or {SCORES: {}}
    if unknown := wanted.keys() - {SCORES, CONVERSIONS}:
        raise RefusedError(422, f"found {min(unknown)}, expected {SCORES} or {CONVERSIONS}", "outputs")
    job = await scored(
        lambda: [_request(read_tensors(data.inputs, binary), model, CONVERSIONS in wanted)],
        service,
        model,
        several=False,
        large=len(body) > QUICK,
        deadline=_deadline(data.parameters, service, began),
        urgency=_urgency(data.parameters),
    )
    scores = job.scores.result()[0]
    of_output = {SCORES: scores[0], CONVERSIONS: scores[1]} if job.conversions else {SCORES: scores}
    by_default = data.parameters.get("binary_data_output") is True
    written = [
        write_tensor(output, of_output[output], parameters.get("binary_data", by_default) is True)
        for output, parameters in wanted.items()
    ]
    answer = InferAnswer(
        model_name=job.model.name,
        model_version=job.model.version,
        id=data.id,
        outputs=[tensor for tensor, _ in written],
    )
    if not any(tensor.parameters for tensor, _ in written):
        return Response(answer)
    head = msgspec.json.encode(answer)
    return Response(
        b"".join([head, *(binary for _, binary in written)]),
        headers={LENGTH: str(len(head))},
        media_type="application/octet-stream",
    )


INFERENCE = [server_metadata, model_ready, model_metadata, infer]


def _model(service: Service, name: str, request: ParsedRequest) -> Served:
    """Give the model that answers, if it is of the name and the version of the path.

    Raises:
        RefusedError: 404.
    """
    model = service.model
    if name != model.name:
        raise RefusedError(404, f"found the model {name!r}, expected {model.name!r}")
    version = request.path_params.get("version")  # of one of the paths alone
    if version is not None and version != model.version:
        raise RefusedError(404, f"found the version {version!r}, expected {model.version!r}")
    return model


def _inputs(model: Served) -> dict[str, Field]:
    """Name the inputs of a model, each with the field of a request that it stands for."""
    fields = model.scorer.fields
    groups = {
        "context": fields.context,
        "behaviours": fields.behaviours,
        "candidate_features": fields.candidates,
        "user_features": fields.user,
    }
    features = {f"{group}.{field.name}": field for group, found in groups.items() for field in found}
    plain = (USER, HISTORY, CANDIDATES, fields.history_times, fields.time)
    return {field.name: field for field in plain} | features


def _datatype(field: Field) -> str:
    return "BYTES" if field.depth == 2 and field.length is None else _DATATYPES[field.leaf]


def _shape(field: Field) -> list[int]:
    if field.depth == 0:
        return [1]
    if field.length is None:
        return [-1]
    return [field.length] if field.depth == 1 else [-1, field.length]


def _request(tensors: Mapping[str, list[Any]], model: Served, conversions: bool) -> ScoreRequest:
    """Make a request of tensors; the scorer checks their values.

    Raises:
        RefusedError: 422, naming the tensor.
    """
    known = _inputs(model)
    given: dict[str, Any] = {"conversions": conversions}
    for name, values in tensors.items():
        if name not in known:
            raise RefusedError(422, f"no such input; expected {', '.join(known)}", name)
        group, _, feature = name.partition(".")
        value = _value(name, values, known[name])
        if feature:
            given.setdefault(group, {})[feature] = value
        else:
            given[group] = value
    try:
        return msgspec.convert(given, ScoreRequest)
    except msgspec.ValidationError as error:
        raise not_as_expected(error) from None


def _value(name: str, values: list[Any], field: Field) -> Any:
    """Give the value of a field: one, a list, or a list of lists, each of which may be JSON in a text."""
    if field.depth == 0:
        if len(values) != 1:
            raise RefusedError(422, f"found {len(values)} values, expected one", name)
        return values[0]
    if field.depth == 1:
        return values
    try:
        return [_LISTS.decode(value) if isinstance(value, str) else value for value in values]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RefusedError(422, f"{error}; expected each element to be a list in JSON", name) from None


def _deadline(parameters: Mapping[str, Any], service: Service, began: float) -> float:
    """Read ``timeout``, in microseconds; 0 is none."""
    timeout = parameters.get("timeout", 0)
    if type(timeout) is not int or timeout < 0:
        raise RefusedError(422, f"found {timeout!r}, expected microseconds", "parameters.timeout")
    most = deadline_of(None, service)
    return min(most, began + timeout / 1e6) if timeout else most


def _urgency(parameters: Mapping[str, Any]) -> int:
    """Read ``priority``: 1 is the first, 0 the usual; there are eight."""
    priority = parameters.get("priority", 0)
    if type(priority) is not int or priority < 0:
        raise RefusedError(422, f"found {priority!r}, expected 0 or more", "parameters.priority")
    return min(priority - 1, 7) if priority else 3
