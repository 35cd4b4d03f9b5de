"""The help: in the order of use, quick, in plain words."""

import re
import subprocess
import sys

import pytest

from tests.cli.commands import COMMANDS, ROOT
from tests.cli.running import dien


def test_the_commands_are_listed_in_the_order_of_use() -> None:
    listed = re.findall(r"^│ (\S+) {2,}\S", dien("--help").stdout.partition("Commands")[2], re.MULTILINE)
    assert (
        " ".join(listed)
        == "prepare schema inspect train evaluate score explain explore serve publish rollback store export "
        "compare tune bench convert-recbole"
    )
    assert set(listed) == set(ROOT.commands)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_shows_an_example_and_explains_every_option(command: tuple[str, ...]) -> None:
    shown = dien(*command, "--help").stdout
    assert f"dien {' '.join(command)}" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80
    for parameter in COMMANDS[command].params:
        assert parameter.help, parameter.name
        assert parameter.name == "help" or len(parameter.help.split()) > 2, parameter.name


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_says_dataset_folder_and_run_folder(command: tuple[str, ...]) -> None:
    words = " ".join(dien(*command, "--help").stdout.replace("│", " ").split())
    assert not re.search(r"\b(a|the|of) (DATA|RUN)\b|\b(DATA|RUN) folder", words)
    assert "told by" not in words


@pytest.mark.parametrize("command", ["amazon", "table"])
def test_help_says_which_recipe_or_split_an_option_is_of(command: str) -> None:
    shown = dien("prepare", command, "--help").stdout
    words = {"amazon": ("[paper]", "[temporal]"), "table": ("[time]", "[no label]")}[command]
    assert all(word in shown for word in words)


HELP = """
import sys
from dien.cli import main
for command in {commands}:
    sys.argv = ["dien", *command, "--help"]
    try:
        main()
    except SystemExit:
        pass
print([name for name in ("torch", "numpy", "polars") if name in sys.modules])
"""


def test_no_help_imports_torch_or_reads_data() -> None:
    program = HELP.format(commands=[(), *COMMANDS])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
