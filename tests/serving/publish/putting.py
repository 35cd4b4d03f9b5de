"""Runs of other weights, put into a folder of published models without any gate."""

import shutil
from pathlib import Path

from tests.damage import rewrite
from torch import Tensor

from dien.published import PublishedModel, now
from dien.run import WEIGHTS, Run
from dien.serving.publish.folder import copy_run, publishing, switch, with_model, with_newest


def changed(run: Path, to: Path, factor: float, layer: str = "") -> Path:
    """Copy a run with its weights multiplied, or with those of a layer."""

    def multiply(tensors: dict[str, Tensor], _: dict[str, str]) -> None:
        tensors.update({name: w * factor for name, w in tensors.items() if name.startswith(layer)})

    shutil.copytree(run, to)
    rewrite(to / WEIGHTS, multiply)
    return to


def put(path: Path, run: Path, keep: int = 5) -> str:
    """Make a run current in a folder; gives its version."""
    version = Run.open(run).version
    with publishing(path) as before:
        if before is None or before.model(version) is None:
            copy_run(Run.open(run), path, version)
        model = PublishedModel(version=version, run=str(run), published=now(), forced=False, gate={})
        switch(path, before, with_newest(with_model(before, model), keep))
    return version
