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
        found |= _leaves(command, (*path, name)) if inner else {(*path, name): command}
    return found


ROOT: Any = typer.main.get_command(app)
COMMANDS: dict[tuple[str, ...], Any] = _leaves(ROOT, ())
VALUES = [
    Value(path, max(one.opts, key=len), one.metavar, one.param_type_name == "argument")
    for path, command in COMMANDS.items()
    for one in command.params
    if one.metavar
]
