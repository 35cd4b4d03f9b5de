"""The commands that measure this machine: models on random batches, and a server under load."""

from __future__ import annotations

import typer

from dien.cli.bench.serve import serve
from dien.cli.bench.shapes import shapes

bench = typer.Typer(invoke_without_command=True)
bench.callback()(shapes)
bench.command()(serve)
