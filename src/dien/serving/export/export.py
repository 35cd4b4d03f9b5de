"""Export of a finished run: a graph, checked against the scorer, and what its inputs are made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import onnx

from dien.calibration import Platt
from dien.errors import RunError
from dien.places import claimed
from dien.run import Run
from dien.serving.export.check import TOLERANCE, largest_difference
from dien.serving.export.graph import Graph, Name, number
from dien.serving.export.inputs import OF_CANDIDATES, Request
from dien.serving.export.models import logits
from dien.serving.export.preprocessing import preprocessing
from dien.serving.scorer import Scorer

GRAPH, PREPROCESSING = "model.onnx", "preprocessing.json"
CLICK, CONVERSION = "click", "conversion"
_MOST = 2_000_000_000
"""Bytes of weights: a file of ONNX holds 2 GiB."""
_REQUESTS = 16


@dataclass(frozen=True)
class Exported:
    """What an export came to.

    Attributes:
        inputs: names of the graph's inputs.
        outputs: of its outputs.
        bytes: size of the graph's file.
        requests: drawn at random, that graph and scorer were compared on.
        largest_difference: of their probabilities.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    bytes: int
    requests: int
    largest_difference: float


def export_onnx(run: Run | Path | str, out: Path | str) -> Exported:
    """Write a run's model as an ONNX graph, with a JSON file that says how raw ids become its inputs.

    The graph takes one request, of any number of behaviours and of candidates, and gives the probabilities
    that :meth:`dien.Scorer.score` gives. It is compared with the scorer before it is written.

    Args:
        run: a finished run, or its folder.
        out: the folder to write, which must not exist: ``model.onnx`` and ``preprocessing.json``. It is there
            whole or not at all.

    Raises:
        RunError: the run is not finished, or something of it cannot be exported, which the message names; the
            graph differs from the scorer by more than 1e-5; or ``out`` is taken or cannot be written.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    out = Path(out)
    _expect_exportable(run)
    with claimed(out, RunError) as place:
        if out.exists():
            raise RunError(f"{out}: exists already; choose another folder, or remove it")
        scorer = Scorer(run)
        graph, outputs = _graph(scorer)
        if graph.size > _MOST:
            raise RunError(
                f"{run.path}: its graph has {graph.size:,} bytes of weights, most of them of "
                f"{len(run.item_ids):,} items and {len(run.user_ids):,} users; expected {_MOST:,} at most, "
                "as a file of ONNX holds no more; train with smaller embeddings (model.embedding_size)"
            )
        try:
            with place.building() as new:
                file = new / GRAPH
                onnx.save(graph.model(f"{run.config.model.name} of dien; see {PREPROCESSING}"), file)
                difference = largest_difference(scorer, file, _REQUESTS)
                if not difference <= TOLERANCE:
                    raise RunError(
                        f"{run.path}: its graph gives probabilities that are up to {difference:.1e} from "
                        f"those of the scorer; expected {TOLERANCE:.0e} at most; nothing was written"
                    )
                said = preprocessing(run, graph, outputs)
                text = json.dumps(said, ensure_ascii=False, indent=1)
                (new / PREPROCESSING).write_text(text + "\n", encoding="utf-8", newline="")
                size = file.stat().st_size
        except OSError as error:
            raise RunError(f"{out}: could not be written ({error}); nothing is left of it") from error
    return Exported(graph.inputs, tuple(outputs), size, _REQUESTS, difference)


def _expect_exportable(run: Run) -> None:
    """Refuse by name what a graph of one history does not hold.

    Raises:
        RunError: naming it.
    """
    if (by := run.config.model.filter_by) is not None:
        raise RunError(
            f"{run.path}: model.filter_by={by} cannot be exported: each candidate has a history of its own; "
            "train with model.filter_by=null, or score by dien.Scorer"
        )
    changing = [feature.name for feature in run.schema.features if feature.changes]
    if changing:
        raise RunError(
            f"{run.path}: features that change over time cannot be exported: {', '.join(changing)}; prepare "
            "the data without changes: true for them, or score by dien.Scorer"
        )


def _graph(scorer: Scorer) -> tuple[Graph, list[str]]:
    """Write the model of a scorer, with its calibration; give the names of the outputs, too."""
    graph = Graph()
    try:
        click, conversion = logits(Request.of(scorer.run, graph), scorer.model)
    except RunError as error:
        raise RunError(f"{scorer.run.path}: {error}") from error
    calibration = scorer.calibration
    graph.output(
        _probability(graph, click, None if calibration is None else calibration.clicks), CLICK, OF_CANDIDATES
    )
    if conversion is None:
        return graph, [CLICK]
    platt = None if calibration is None else calibration.conversions
    graph.output(_probability(graph, conversion, platt), CONVERSION, OF_CANDIDATES)
    return graph, [CLICK, CONVERSION]


def _probability(graph: Graph, logit: Name, platt: Platt | None) -> Name:
    if platt is not None:
        logit = graph.op("Add", graph.op("Mul", logit, number(platt.scale)), number(platt.shift))
    return graph.op("Sigmoid", logit)
