"""The archive of torch.export of a graph, and PyTorch, which runs it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.fx.experimental import _config

from dien.errors import RunError
from dien.serving.export.check import Engine
from dien.serving.export.graph import Graph
from dien.serving.export.program import Program

NAME = "model.pt2"
_SETTINGS: Any = _config  # of a type that mypy is not told
_ANY_LENGTH = "backed_size_oblivious"
"""Setting of PyTorch by which a length of 0 or 1 is as any other, and no case of its own."""
_SHOWN = 3
"""Each length of the example that torch.export is shown."""


def write_archive(graph: Graph, folder: Path) -> Path:
    """Write the archive of a graph.

    Args:
        graph: what is written.
        folder: where to.

    Raises:
        RunError: this version of PyTorch cannot do it.
        OSError: it cannot be written.
    """
    if not hasattr(_SETTINGS, _ANY_LENGTH):
        raise RunError(
            f"torch {torch.__version__} cannot export lengths of any size, 0 and 1 among them; install a "
            "later one, or export with --format onnx"
        )
    file = folder / NAME
    shown, lengths = _example(graph)
    with _quiet(), torch.no_grad(), _SETTINGS.patch(**{_ANY_LENGTH: True}):
        try:
            exported = torch.export.export(
                Program(graph).eval(), shown, dynamic_shapes={"inputs": lengths}, strict=False
            )
        except Exception as error:  # of torch.export there are many kinds
            raise RunError(f"torch.export does not take the graph: {error}") from error
        torch.export.save(exported, file)
    return file


def archive_engine(file: Path, inputs: tuple[str, ...]) -> Engine:
    """Open an archive.

    Args:
        file: the archive.
        inputs: names of its inputs, in order.
    """
    with _quiet():
        module = torch.export.load(file).module()

    def run(feed: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        with torch.no_grad():
            found = module(*(torch.from_numpy(feed[name]) for name in inputs))
        return [one.numpy() for one in found]

    return run


def _example(graph: Graph) -> tuple[tuple[torch.Tensor, ...], tuple[dict[int, Any], ...]]:
    """Make inputs of small lengths, and say which lengths differ from request to request."""
    known: dict[str, Any] = {}
    shown, lengths = [], []
    for dtype, shape in graph.shapes:
        zeros = np.zeros([_SHOWN if isinstance(n, str) else n for n in shape], dtype)
        shown.append(torch.from_numpy(zeros))
        names = {k: name for k, name in enumerate(shape) if isinstance(name, str)}
        for name in names.values():
            known.setdefault(name, torch.export.Dim(f"length_{len(known)}", min=0))
        lengths.append({k: known[name] for k, name in names.items()})
    return tuple(shown), tuple(lengths)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch from telling of its own working."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
