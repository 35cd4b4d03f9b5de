"""Export of a finished run: its model, checked against the scorer, and what the inputs are made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dien.calibration import Platt
from dien.errors import RunError
from dien.places import claimed
from dien.run import Run
from dien.serving.export.check import TOLERANCE, Engine, largest_difference
from dien.serving.export.graph import Graph, Name, number
from dien.serving.export.inputs import OF_CANDIDATES, Request
from dien.serving.export.models import logits
from dien.serving.export.onnx_file import onnx_engine, write_onnx
from dien.serving.export.preprocessing import preprocessing
from dien.serving.scorer import Scorer

PREPROCESSING = "preprocessing.json"
CLICK, CONVERSION = "click", "conversion"
_REQUESTS = 16
Format = Literal["onnx", "torch"]


@dataclass(frozen=True)
class Exported:
    """What an export came to.

    Attributes:
        inputs: names of the model's inputs.
        outputs: of its outputs.
        bytes: size of its file.
        requests: drawn at random, that graph and scorer were compared on.
        largest_difference: of their probabilities.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    bytes: int
    requests: int
    largest_difference: float


def export_run(run: Run | Path | str, out: Path | str, format: Format = "onnx") -> Exported:
    """Write a run's model for other engines, with a JSON file that says how raw ids become its inputs.

    The model takes one request, of any number of behaviours and of candidates, and gives the probabilities
    that :meth:`dien.Scorer.score` gives. It is compared with the scorer before it is there.

    Args:
        run: a finished run, or its folder.
        out: the folder to write, which must not exist: ``preprocessing.json``, and ``model.onnx`` or
            ``model.pt2``. It is there whole or not at all.
        format: ``onnx`` for an ONNX graph, ``torch`` for an archive of torch.export.

    Raises:
        RunError: the run is not finished, or something of it cannot be exported, which the message names;
            what is exported differs from the scorer by more than 1e-5; or ``out`` is taken or cannot be
            written.
        ValueError: there is no such format.
    """
    if format not in get_args(Format):
        raise ValueError(f"format is {format!r}, expected one of {', '.join(get_args(Format))}")
    run = run if isinstance(run, Run) else Run.open(run)
    out = Path(out)
    _expect_exportable(run)
    with claimed(out, RunError) as place:
        if out.exists():
            raise RunError(f"{out}: exists already; choose another folder, or remove it")
        scorer = Scorer(run)
        try:
            graph, outputs = _graph(scorer, format)
            with place.building() as new:
                file, engine = _written(graph, new, format, run.config.model.name)
                difference = largest_difference(scorer, engine, _REQUESTS)
                if not difference <= TOLERANCE:
                    raise RunError(
                        f"what is exported gives probabilities that are up to {difference:.1e} from those of "
                        f"the scorer; expected {TOLERANCE:.0e} at most; nothing was written"
                    )
                said = json.dumps(preprocessing(run, graph, outputs), ensure_ascii=False, indent=1)
                (new / PREPROCESSING).write_text(said + "\n", encoding="utf-8", newline="")
                size = file.stat().st_size
        except RunError as error:
            raise RunError(f"{run.path}: {error}") from error
        except OSError as error:
            raise RunError(f"{out}: could not be written ({error}); nothing is left of it") from error
    return Exported(graph.inputs, tuple(outputs), size, _REQUESTS, difference)


def _written(graph: Graph, folder: Path, format: Format, model: str) -> tuple[Path, Engine]:
    """Write a graph in a format, and open what is written."""
    if format == "torch":
        from dien.serving.export.archive import (
            archive_engine,
            write_archive,
        )  # which torch.export is slow to load

        file = write_archive(graph, folder)
        return file, archive_engine(file, graph.inputs)
    file = write_onnx(graph, folder, f"{model} of dien; see {PREPROCESSING}")
    return file, onnx_engine(file)


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


def _graph(scorer: Scorer, format: Format) -> tuple[Graph, list[str]]:
    """Write the model of a scorer, with its calibration; give the names of the outputs, too."""
    graph = Graph(known_lengths=format == "torch")
    click, conversion = logits(Request.of(scorer.run, graph), scorer.model)
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
