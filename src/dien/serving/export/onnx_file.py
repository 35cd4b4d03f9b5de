"""The ONNX file of a graph, and onnxruntime, which runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from dien.errors import RunError
from dien.serving.export.check import Engine
from dien.serving.export.graph import Graph

NAME = "model.onnx"
_MOST = 2_000_000_000
"""Bytes of weights: a file of ONNX holds 2 GiB."""


def write_onnx(graph: Graph, folder: Path, description: str) -> Path:
    """Write the file of a graph.

    Args:
        graph: what is written.
        folder: where to.
        description: of the model, for whoever opens the file.

    Raises:
        RunError: its weights are more than a file of ONNX holds.
        OSError: it cannot be written.
    """
    if graph.size > _MOST:
        raise RunError(
            f"the graph has {graph.size:,} bytes of weights, most of them rows of items and users; expected "
            f"{_MOST:,} at most, as a file of ONNX holds no more; train with smaller embeddings "
            "(model.embedding_size)"
        )
    file = folder / NAME
    onnx.save(graph.model(description), file)
    return file


def onnx_engine(file: Path) -> Engine:
    """Open a file in onnxruntime, with one thread.

    Raises:
        RunError: onnxruntime does not take it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = _asked(lambda: onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"]))
    names = [one.name for one in session.get_inputs()]

    def run(feed: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        found: list[NDArray[np.float32]] = _asked(
            lambda: session.run(None, {name: feed[name] for name in names})
        )
        return found

    return run


def _asked(call: Any) -> Any:
    """Have onnxruntime do something; its errors are of many kinds, each an Exception."""
    try:
        return call()
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "onnxruntime":
            raise
        raise RunError(f"onnxruntime does not run the graph: {error}") from error
