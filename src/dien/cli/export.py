"""The command that exports a run to engines that know nothing of dien."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dien.cli import options
from dien.cli.output import finish
from dien.errors import ConfigError


def export(
    run: options.RunFolder,
    out: Annotated[Path, options.option("--out", "DIR", "Folder to write; it must not exist yet.")],
    file_format: Annotated[
        Literal["onnx", "torch"],
        typer.Option(
            "--format", help="What the model is written as: a graph of ONNX, or an archive of torch.export."
        ),
    ] = "onnx",
    as_json: options.Json = False,
) -> None:
    """Write the model for other engines, with all that makes its inputs of raw ids.

    The folder has preprocessing.json, and model.onnx or, of torch.export, model.pt2. It is compared with the
    run's own scores first.
    For example:

        dien export runs/shop --format onnx --out exported/shop
    """
    try:
        from dien.serving.export import export_run
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnxruntime"):
            raise
        raise ConfigError("dien export needs ONNX and onnxruntime: pip install 'dien[export]'") from error
    result = export_run(run, out, file_format)
    rows = {
        "inputs": result.inputs,
        "outputs": result.outputs,
        "bytes": result.bytes,
        "requests compared": result.requests,
        "largest difference": f"{result.largest_difference:.1e}",
    }
    finish({"out": str(out), "format": file_format, **vars(result)}, rows, f"exported: {out}", as_json)
