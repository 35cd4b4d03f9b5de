"""The drop-in where RecBole is not installed."""

import subprocess
import sys

import pytest


def outcome(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_importing_it_says_what_to_install() -> None:
    # None in sys.modules makes an import fail as if the package were not there.
    result = outcome("import sys; sys.modules['recbole'] = None; import dien.recbole")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("ImportError: dien.recbole needs RecBole 1.2.1")
    assert "pip install '.[recbole]' in the clone" in result.stderr


@pytest.mark.parametrize(("trust", "code", "message"), [("", 2, "pickle"), (", '--trust'", 1, "pip install")])
def test_converting_a_checkpoint_asks_for_trust_and_then_for_recbole(
    trust: str, code: int, message: str
) -> None:
    result = outcome(
        "import sys; sys.modules['recbole'] = None\n"
        f"sys.argv = ['dien', 'convert-recbole', 'x.pth', '--out', 'run'{trust}]\n"
        "from dien.cli import main; main()"
    )
    assert result.returncode == code
    assert message in result.stderr
