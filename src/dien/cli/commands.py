"""The commands, in the order of use. Each is thin: it checks its options and calls the library."""

from __future__ import annotations

import typer
from typer.core import TyperGroup

from dien.cli.bench import bench
from dien.cli.compare import compare
from dien.cli.convert_recbole import convert_recbole
from dien.cli.evaluate import evaluate
from dien.cli.explain import explain
from dien.cli.explore import explore
from dien.cli.export import export
from dien.cli.inspect import inspect
from dien.cli.prepare import prepare
from dien.cli.publish import publish, rollback
from dien.cli.schema import schema
from dien.cli.score import score
from dien.cli.serve import serve
from dien.cli.store import store
from dien.cli.train import train
from dien.cli.tune import tune

ORDER = (
    "prepare",
    "schema",
    "inspect",
    "train",
    "evaluate",
    "score",
    "explain",
    "explore",
    "serve",
    "publish",
    "rollback",
    "store",
    "export",
    "compare",
    "tune",
    "bench",
    "convert-recbole",
)


class _InOrder(TyperGroup):
    def list_commands(self, ctx: object) -> list[str]:
        """Give the commands in the order of use; by itself Typer puts commands before groups of commands."""
        return list(ORDER)


app = typer.Typer(
    cls=_InOrder,
    help="Deep Interest Evolution Network: from click logs to scores.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # in which [time] is a word, not a style
    pretty_exceptions_enable=False,
)
app.add_typer(prepare, name="prepare")
app.add_typer(schema, name="schema")
app.command()(inspect)
app.command()(train)
app.command()(evaluate)
app.command()(score)
app.command()(explain)
app.command()(explore)
app.command()(serve)
app.command()(publish)
app.command()(rollback)
app.add_typer(store, name="store")
app.command()(export)
app.command()(compare)
app.command()(tune)
app.add_typer(bench, name="bench")
app.command()(convert_recbole)
