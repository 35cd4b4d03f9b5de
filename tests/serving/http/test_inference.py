"""The Open Inference Protocol v2, as the client of Triton speaks it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.http.servers import Running, running
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from dien.run import Run
from dien.serving import Scorer
from dien.serving.http.refusals import RefusedError
from dien.serving.http.service import QUICK
from dien.serving.http.tensors import InputTensor, read_tensors

LISTS = {"labels", "wanted", "tags"}


@pytest.fixture(scope="module")
def server(rich_run: Run) -> Iterator[Running]:
    with running(rich_run.path, name="shop", store="memory:") as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[InferenceServerClient]:
    found = InferenceServerClient(f"127.0.0.1:{server.port}")
    yield found
    found.close()


def tensor(name: str, values: Any, binary: bool) -> InferInput:
    array = np.array(values)
    if array.dtype.kind in "UO":
        array = array.astype(object)
    found = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    found.set_data_from_numpy(array, binary_data=binary)
    return found


def tensors_of(request: dict[str, Any], binary: bool) -> list[InferInput]:
    """Write a request as tensors, without what is unknown."""
    plain = {"user": [request["user"]], "history": request["history"], "candidates": request["candidates"]}
    plain |= {"times": np.array(request["times"], np.int64), "time": np.array([request["time"]])}
    for name, value in request["context"].items():
        if value is not None:
            plain[f"context.{name}"] = value if name in LISTS else [value]
    plain["behaviours.dwell"] = np.array(request["behaviours"]["dwell"], np.float64)  # None is NaN
    plain["behaviours.labels"] = [json.dumps(labels or []) for labels in request["behaviours"]["labels"]]
    return [tensor(name, values, binary) for name, values in plain.items() if len(values)]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("asks", [True, False])
def test_the_client_of_triton_gets_the_scores_of_the_scorer(
    binary: bool,
    asks: bool,
    client: InferenceServerClient,
    rich_scorer: Scorer,
    rich_requests: list[dict[str, Any]],
) -> None:
    for request in rich_requests[:10]:
        # A NaN has no form in JSON.
        columns = {"dwell": [0.0 if one is None else one for one in request["behaviours"]["dwell"]]}
        columns["labels"] = [one or [] for one in request["behaviours"]["labels"]]
        asked = {**request, "behaviours": columns}
        outputs = [InferRequestedOutput("scores", binary_data=binary)] if asks else None
        answer = client.infer("shop", tensors_of(asked, binary), outputs=outputs, request_id="r1")
        np.testing.assert_array_equal(answer.as_numpy("scores"), rich_scorer.score(**asked))
        assert answer.get_response()["id"] == "r1"


def test_a_number_that_is_not_known_is_a_nan(
    client: InferenceServerClient, rich_scorer: Scorer, rich_requests: list[dict[str, Any]]
) -> None:
    request = next(one for one in rich_requests if None in one["behaviours"]["dwell"])
    asked = {**request, "behaviours": {"dwell": request["behaviours"]["dwell"]}}
    asked["behaviours"]["labels"] = [one or [] for one in request["behaviours"]["labels"]]
    answer = client.infer("shop", tensors_of(asked, True))
    np.testing.assert_array_equal(answer.as_numpy("scores"), rich_scorer.score(**asked))


def test_the_client_sees_a_server_and_a_model_that_are_ready(
    client: InferenceServerClient, server: Running
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("shop")
    assert not client.is_model_ready("other")
    version = server.client.get("/model").json()["version"]
    assert client.is_model_ready("shop", version)
    assert not client.is_model_ready("shop", "1")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    found = client.get_model_metadata("shop", version)
    inputs = {one["name"]: (one["datatype"], one["shape"]) for one in found["inputs"]}
    assert inputs["candidates"] == ("BYTES", [-1])
    assert inputs["time"] == ("INT64", [1])
    assert inputs["context.wanted"] == ("BYTES", [-1])
    assert inputs["behaviours.dwell"] == ("FP64", [-1])
    assert inputs["user_features.age"] == ("FP64", [1])
    assert found["outputs"] == [{"name": "scores", "datatype": "FP64", "shape": [-1]}]


def test_a_history_comes_from_the_store_where_there_is_no_tensor_of_it(
    client: InferenceServerClient, server: Running, rich_scorer: Scorer
) -> None:
    body = {"user": "7", "behaviours": [{"item": "i3", "time": 5}]}
    assert server.client.post("/observe", json=body).status_code == 200
    inputs = [tensor("user", [7], True), tensor("candidates", ["i1"], True), tensor("time", [9], True)]
    answer = client.infer("shop", inputs)
    expected = rich_scorer.score(7, ["i3"], ["i1"], times=[5], time=9)
    np.testing.assert_array_equal(answer.as_numpy("scores"), expected)


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"inputs": []}, 422, "candidates"),
        ({"inputs": "none"}, 422, "array"),
        ({"outputs": [{"name": "logits"}]}, 422, "logits"),
        ({"outputs": [{"name": "conversions"}]}, 422, "does not predict conversions"),
        ({"parameters": {"timeout": "soon"}}, 422, "microseconds"),
        ({"parameters": {"timeout": 1}}, 504, "deadline"),
        ({"parameters": {"priority": -1}}, 422, "0 or more"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(
    server: Running, change: dict[str, Any], status: int, says: str
) -> None:
    inputs = [{"name": name, "shape": [1], "datatype": "BYTES", "data": ["i1"]} for name in ("candidates",)]
    inputs.append({"name": "history", "shape": [0], "datatype": "BYTES", "data": []})
    body = {"inputs": inputs, "parameters": {"priority": 1, "timeout": 0}}
    answer = server.client.post("/v2/models/shop/infer", json=body)
    assert answer.status_code == 200
    assert len(answer.json()["outputs"][0]["data"]) == 1
    answer = server.client.post("/v2/models/shop/infer", json=body | change)
    assert answer.status_code == status, answer.text
    assert says in answer.text


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("item", ["i1"], "no such input"),
        ("context.hours", ["1"], "no such input"),
        ("user", ["a", "b"], "expected one"),
        ("behaviours.labels", ["[1", "["], "list in JSON"),
        ("candidates", [1.5], "got `float`"),
    ],
)
def test_an_input_that_is_not_expected_is_refused_by_name(
    client: InferenceServerClient, name: str, values: Any, says: str
) -> None:
    inputs = {"candidates": ["i1"], "history": ["i2"]} | {name: values}
    with pytest.raises(InferenceServerException, match=says.replace("[", "\\[")) as refused:
        client.infer("shop", [tensor(key, found, True) for key, found in inputs.items()])
    assert refused.value.status() == "422"


@pytest.mark.parametrize("length", ["x", "-1", "9" * 30, "1000", "²", ""])
def test_a_length_that_is_none_is_refused(server: Running, length: str) -> None:
    headers = httpx.Headers({"Inference-Header-Content-Length": length}, encoding="utf-8")
    answer = server.client.post("/v2/models/shop/infer", content=b'{"inputs": []}', headers=headers)
    assert answer.status_code == 422, answer.text


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=5),
    st.lists(st.floats(width=32), max_size=6),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6),
)
def test_binary_tensors_come_back_as_they_were_written(
    texts: list[str], floats: list[float], whole: list[int]
) -> None:
    as_bytes = [text.encode() for text in texts]
    packed = b"".join(len(one).to_bytes(4, "little") + one for one in as_bytes)
    written = [
        ("texts", "BYTES", packed, len(texts)),
        ("floats", "FP32", np.array(floats, np.float32).tobytes(), len(floats)),
        ("whole", "INT64", np.array(whole, np.int64).tobytes(), len(whole)),
    ]
    tensors = [
        InputTensor(name=name, shape=[n], datatype=kind, parameters={"binary_data_size": len(data)})
        for name, kind, data, n in written
    ]
    found = read_tensors(tensors, memoryview(b"".join(data for _, _, data, _ in written)))
    assert found["texts"] == texts
    np.testing.assert_array_equal(found["floats"], np.array(floats, np.float32).astype(float))
    assert found["whole"] == whole


@given(
    st.lists(st.integers(-1, 4) | st.integers(0, 1 << 62), max_size=3),
    st.sampled_from(["BYTES", "FP32", "INT64", "UINT8", "BOOL", "FP16", "BF16", ""]),
    st.one_of(st.none(), st.integers(-1, 30), st.text(max_size=2)),
    st.one_of(st.none(), st.lists(st.one_of(st.integers(), st.lists(st.none(), max_size=3)), max_size=4)),
    st.binary(max_size=24),
)
def test_any_tensor_is_read_or_refused(
    shape: list[int], datatype: str, size: Any, data: list[Any] | None, binary: bytes
) -> None:
    parameters = {} if size is None else {"binary_data_size": size}
    one = InputTensor(name="a", shape=shape, datatype=datatype, parameters=parameters, data=data)
    found = None
    try:
        found = read_tensors([one], memoryview(binary))["a"]
    except RefusedError as error:
        refused = error
    if found is None:
        assert (refused.status, bool(refused.field)) == (422, True)
    else:
        assert len(found) == shape[0]


@pytest.mark.parametrize("shape", [[10**12, 0], [1, 0]])
def test_rows_of_no_values_are_refused_however_many(shape: list[int]) -> None:
    with pytest.raises(RefusedError, match="expected no empty rows") as refused:
        read_tensors([InputTensor(name="a", shape=shape, datatype="BYTES", data=[])], memoryview(b""))
    assert refused.value.status == 422
    none = InputTensor(name="a", shape=[0, 3], datatype="BYTES", data=[])
    assert read_tensors([none], memoryview(b"")) == {"a": []}


def test_a_large_call_is_read_and_scored_as_a_small_one(server: Running) -> None:
    def asked(length: int) -> dict[str, Any]:
        of_length = {"shape": [length], "datatype": "BYTES", "data": ["i1"] * length}
        history = {"name": "history", "shape": [1], "datatype": "BYTES", "data": ["i2"]}
        return {"inputs": [{"name": "candidates", **of_length}, history]}

    assert len(json.dumps(asked(20_000))) > QUICK
    small, large = (server.client.post("/v2/models/shop/infer", json=asked(n)) for n in (1, 20_000))
    expected = small.json()["outputs"][0]["data"] * 20_000
    assert large.json()["outputs"][0]["data"] == pytest.approx(expected, abs=1e-6)
    wrong = asked(20_000)
    wrong["inputs"][0]["shape"] = [3]
    refused = server.client.post("/v2/models/shop/infer", json=wrong)
    assert (refused.status_code, refused.json()["field"]) == (422, "candidates")
