"""``python -m dien``: the commands."""

from dien.cli import main

main()
