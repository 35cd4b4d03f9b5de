"""Every way to a score agrees with the model: 10,000 requests in raw values, and the rows that they are.

The ways that take one request at a time get a part; with ``DIEN_REQUESTS=all`` in the environment, all.
"""

import json
import os
import runpy
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from tests.serving.conftest import log_of
from tests.serving.export.conftest import drawn_run
from tests.serving.http.servers import running
from tests.serving.http.test_inference import LISTS, tensor
from tritonclient.http import InferenceServerClient

from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.data.prepare import temporal
from dien.data.writer import write
from dien.serving import Request, Scorer, score_file, score_split
from dien.serving.export import export_run

REQUESTS = 10_000
CONTEXT = ("hour", "zone", "position", "age_of_page", "wanted")
BEHAVIOUR = ("action", "dwell", "labels")
Asked = dict[str, Any]
Scores = list[NDArray[np.float64]]


class Case:
    """A run whose weights matter, requests, and what its model gives of the rows of the dataset they are."""

    def __init__(self, folder: Path) -> None:
        log = log_of(events=12_000, items=600, users=500, until=4_000_000)
        write(temporal(log, valid_from=0.1, test_from=0.15, warmup=0, negatives=2), folder / "data")
        self.data, self.folder = Dataset.open(folder / "data"), folder
        self.run = drawn_run(folder / "run", self.data)  # in place of training, which learns little of noise
        self.scorer = Scorer(self.run)
        self.requests = self._requests(log.events)[:REQUESTS]
        self.of_model = self._of_model()[: len(self.requests)]

    def _requests(self, events: pl.DataFrame) -> list[Asked]:
        data, split, found = self.data, self.data.splits["test"], []
        mine: dict[str, list[Asked]] = defaultdict(list)
        for event in events.sort("time").to_dicts():
            mine[event["user"]].append(event)
        users, items = data.user_ids.decode(split.user), data.item_ids.decode(split.item).to_list()
        for place, user in enumerate(users):
            time = int(split.time[place])
            (now,) = (event for event in mine[user] if event["time"] == time)
            past = [event for event in mine[user] if event["time"] < time]
            found.append(
                {
                    "user": user,
                    "history": [event["item"] for event in past],
                    "candidates": items[split.offsets[place] : split.offsets[place + 1]],
                    "context": {name: now[name] for name in CONTEXT},
                    "behaviours": {name: [event[name] for event in past] for name in BEHAVIOUR},
                    "times": [event["time"] for event in past],
                    "time": time,
                }
            )
        return found

    def _of_model(self) -> Scores:
        model, keys = self.run.load_model(), self.run.config.model
        batches = Batches(
            self.data,
            "test",
            batch_size=512,
            max_history=keys.max_history,
            match_history=keys.matched_history,
        )
        with torch.inference_mode():
            logits = torch.cat([model(batches.batch(0, k)).logits for k in range(len(batches))]).double()
        assert model.calibration is not None
        scores = torch.sigmoid(model.calibration.clicks(logits)).numpy()
        return np.split(scores, self.data.splits["test"].offsets[1:-1])

    def expect(self, ask: Callable[[list[Asked]], Scores], every: int = 1) -> None:
        """Have some requests scored, and compare."""
        every = 1 if os.environ.get("DIEN_REQUESTS") == "all" else every
        found, expected = ask(self.requests[::every]), self.of_model[::every]
        assert [len(scores) for scores in found] == [len(scores) for scores in expected]
        assert np.abs(np.concatenate(found) - np.concatenate(expected)).max() <= 1e-5


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("agreement"))


def test_the_requests_are_many_and_of_every_length(case: Case) -> None:
    assert len(case.requests) == REQUESTS
    lengths = {len(request["history"]) for request in case.requests}
    assert lengths > set(range(25))  # beyond what is read, and what is matched
    assert np.concatenate(case.of_model).std() > 0.01  # scores hang on the requests


def test_the_split_agrees_with_ids_that_training_has_not_seen(case: Case, tmp_path: Path) -> None:
    found = score_split(case.run, tmp_path / "scores.parquet")
    assert 0 < found.unknown_candidates < found.candidates
    assert 0 < found.unknown_users < found.requests
    scores = [np.array(one) for one in pl.read_parquet(tmp_path / "scores.parquet")["scores"].to_list()]
    case.expect(lambda requests: scores[: len(requests)])


def test_the_scorer_agrees_one_request_at_a_time(case: Case) -> None:
    case.expect(lambda requests: [case.scorer.score(**request) for request in requests], every=20)


def test_the_scorer_agrees_on_many_requests_together(case: Case) -> None:
    case.expect(lambda requests: case.scorer.score_many([Request(**request) for request in requests]))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_file_of_requests_agrees(case: Case, tmp_path: Path, kind: str) -> None:
    def ask(requests: list[Asked]) -> Scores:
        nested = ("context", "behaviours")
        rows = [
            {name: value for name, value in request.items() if name not in nested}
            | request["context"]
            | request["behaviours"]
            for request in requests
        ]
        path, out = tmp_path / f"requests.{kind}", tmp_path / f"scores.{kind}"
        if kind == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            score_file(case.scorer, path, out)
            return [np.array(json.loads(line)["scores"]) for line in out.read_text().splitlines()]
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
        score_file(case.scorer, path, out)
        return [np.array(scores) for scores in pl.read_parquet(out)["scores"].to_list()]

    case.expect(ask)


def test_the_server_agrees(case: Case) -> None:
    def ask(requests: list[Asked]) -> Scores:
        found: Scores = []
        with running(case.run.path) as server:
            for start in range(0, len(requests), 250):
                answer = server.score(requests[start : start + 250])
                assert answer.status_code == 200, answer.text
                found += [np.array(one["scores"]) for one in answer.json()]
        return found

    case.expect(ask)


def test_the_server_agrees_by_the_open_inference_protocol(case: Case) -> None:
    def ask(requests: list[Asked]) -> Scores:
        with running(case.run.path, name="shop") as server:
            client = InferenceServerClient(f"127.0.0.1:{server.port}")
            found = [client.infer("shop", tensors_of(one)).as_numpy("scores") for one in requests]
            client.close()
        return found

    case.expect(ask, every=20)


def tensors_of(request: Asked) -> list[Any]:
    """Write a request as tensors: an id that nobody knows in place of none, NaN in place of no number."""
    plain = {name: request[name] for name in ("candidates", "history", "times")}
    plain |= {"user": [request["user"]], "time": [request["time"]]}
    for name, value in request["context"].items():
        if value is not None:
            plain[f"context.{name}"] = value if name in LISTS else [value]
    of = request["behaviours"]
    plain["behaviours.action"] = ["no action" if one is None else one for one in of["action"]]
    plain["behaviours.dwell"] = np.array(of["dwell"], np.float64)
    plain["behaviours.labels"] = [json.dumps(one or []) for one in of["labels"]]
    if not plain["history"]:
        plain["history"] = np.array([], object)  # without it the server would look for one of its own
    return [tensor(name, one, True) for name, one in plain.items() if len(one) or name == "history"]


def test_an_exported_graph_agrees(case: Case, tmp_path: Path) -> None:
    export_run(case.run, tmp_path / "exported")
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "score_onnx.py"))
    exported = example["ExportedModel"](tmp_path / "exported")
    case.expect(lambda requests: [exported.score(**request) for request in requests], every=20)
