"""Every command with its options, as the program itself has them."""

from typing import Any, NamedTuple

import typer

from dien.cli.commands import app


class Value(NamedTuple):
    """A value that a command takes: an option by its name, an argument by its metavar."""

    command: tuple[str, ...]
    name: str
    metavar: str
    argument: bool


def _leaves(group: Any, path: tuple[str, ...]) -> dict[tuple[str, ...], Any]:
    found = {}
    for name in group.list_commands(None):
        command = group.commands[name]
        inner = hasattr(command, "commands")
        if not inner or command.invoke_without_command:
            found[(*path, name)] = command
        if inner:
            found |= _leaves(command, (*path, name))
    return found


ROOT: Any = typer.main.get_command(app)
COMMANDS: dict[tuple[str, ...], Any] = _leaves(ROOT, ())
VALUES = [
    Value(path, max(one.opts, key=len), one.metavar, one.param_type_name == "argument")
    for path, command in COMMANDS.items()
    for one in command.params
    if one.metavar
]

SMALL = "--set model.hidden_size=4 --set model.max_history=5 --set training.epochs=1"

WORKS = {
    "prepare amazon": "{amazon} --out {out}",
    "prepare movielens-100k": "--out {out}",
    "prepare movielens-1m": "--out {out}",
    "prepare complete-journey": "--out {out}",
    "prepare table": "--interactions {log} --out {out}",
    "prepare recbole": "{atomic} --out {out}",
    "prepare synthetic": "--users 60 --items 20 --days 4 --out {out}",
    "schema infer": "{log}",
    "schema list": "",
    "schema check": "{schema} --interactions {log}",
    "inspect": "{data}",
    "train": f"{{data}} {SMALL} --out {{out}}",
    "evaluate": "{run} --slices --behaviours",
    "score": "{run} {requests} --out {out}.jsonl",
    "explain": "{run} --user u1 --top 2",
    "publish": "{run} --to {out}",
    "rollback": "{published} --list",
    "store load": "{data} --store lmdb:{out}",
    "export": "{run} --out {out}",
    "compare": "{data} --models sum-pooling --set training.epochs=1 --out {out}",
    "tune": "{data} --model sum-pooling --trials 1 --set training.epochs=1 --out {out}",
    "bench": "--shape mean-15 --rounds 1",
    "bench serve": "{run} --candidates 3 --history 2 --seconds 0.2 --rounds 1 --rate 20",
}
"""Each command but three with arguments that work; names in braces are for the fixture ``fill``."""
