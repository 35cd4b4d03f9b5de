"""Make an environment for each peer under .peers, where there is none yet.

    python benchmarks/peers/install.py [PEER ...]

A peer that cannot be installed is reported and left out of the comparison.
"""

import argparse
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".peers"
PEERS = tuple(sorted(file.stem for file in (HERE / "requirements").glob("*.txt")))


def python_of(peer: str) -> Path:
    """Where the interpreter of a peer's environment is, or would be."""
    return ENVIRONMENTS / peer / "bin" / "python"


def installed(peer: str) -> bool:
    """Whether a peer's environment is complete and of the present requirements."""
    done = ENVIRONMENTS / peer / "requirements.txt"
    return done.exists() and done.read_text() == (HERE / "requirements" / f"{peer}.txt").read_text()


def install(peer: str) -> bool:
    """Make the environment of a peer; tell whether it came about."""
    requirements = HERE / "requirements" / f"{peer}.txt"
    command = [str(python_of(peer)), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
    try:
        venv.create(ENVIRONMENTS / peer, clear=True, with_pip=True)
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{peer}: {error}", file=sys.stderr)
        return False
    (ENVIRONMENTS / peer / "requirements.txt").write_text(requirements.read_text())
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "peers", nargs="*", metavar="PEER", help=f"of {', '.join(PEERS)}; all where none is named"
    )
    chosen = parser.parse_args().peers or PEERS
    if unknown := set(chosen) - set(PEERS):
        parser.error(f"no peer {', '.join(sorted(unknown))}; expected some of {', '.join(PEERS)}")
    for peer in chosen:
        if not installed(peer):
            print(f"{peer}: installing", file=sys.stderr)
            if not install(peer):
                print(f"{peer}: could not be installed; the comparison leaves it out", file=sys.stderr)


if __name__ == "__main__":
    main()
