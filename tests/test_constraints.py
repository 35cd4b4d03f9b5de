"""The files that pin what is installed say the same, and each file that may be installed has its hash."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_HASHED = re.compile(r"mkdocs|markdown$|pymdown|griffelib$")  # of the site, which nobody runs


def pinned(file: str) -> dict[str, str]:
    """Read the versions of a file by normal names."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", (ROOT / file).read_text(), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def test_every_constraint_is_pinned_by_hash_at_the_same_version() -> None:
    hashed = pinned("constraints-hashed.txt")
    for name, version in pinned("constraints.txt").items():
        if not NOT_HASHED.match(name):
            assert hashed.get(name) == version, f"{name}: make constraints-hashed.txt again"


def test_nothing_is_pinned_without_a_hash() -> None:
    text = (ROOT / "constraints-hashed.txt").read_text()
    blocks = re.split(r"\n(?=[A-Za-z])", text)[1:]
    assert len(blocks) > 50
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.split("\n")[0]
