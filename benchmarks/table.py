"""Make a table of docs/results.md: prepare a DATA for each replicate, tune the models on the first, compare.

    python benchmarks/table.py --data 5 --config amazon-beauty --out tables/beauty -- amazon ...

What stands behind ``--`` is for ``dien prepare``. With ``--trials`` each model is tuned with so many,
in the place of a configuration. What is there already is kept: a table that was stopped is gone on with by
the same command. OUT/prepare.json says what the DATA there are prepared with, and of which bytes; another
preparation is refused.
"""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from dien.data.sources.lines import source_file
from dien.run import differences, write_text
from dien.training.space import SPACES

DIEN = [sys.executable, "-m", "dien"]
PREPARE = "prepare.json"


def run(*command: object) -> None:
    """Run a command of dien, and say which."""
    words = [str(word) for word in command]
    print("dien", *words, file=sys.stderr, flush=True)
    subprocess.run([*DIEN, *words], check=True)


def tuned(data: Path, models: list[str], trials: int, jobs: list[str], out: Path) -> Path:
    """Tune each model; returns the file of what was found, one comment and one entry a model."""
    comments, found = [], {}
    for model in models:
        if model not in SPACES:
            continue  # keeps its defaults
        folder = out / "tuned" / model.replace(":", "-")
        run("tune", data, "--model", model, "--trials", trials, "--out", folder, *jobs)
        best = (folder / "best.yaml").read_text(encoding="utf-8")
        comments.append(f"# {model}: {best.splitlines()[0].removeprefix('# ')}, of {trials} trials\n")
        found |= yaml.safe_load(best)["models"]
    text = yaml.safe_dump({"models": found}, sort_keys=False, default_flow_style=None, width=110)
    write_text(out / "tuned.yaml", "".join(comments) + text)
    return out / "tuned.yaml"


def expect_preparation(out: Path, arguments: list[str]) -> None:
    """Note in OUT what its DATA are prepared with: arguments of dien prepare, and the bytes of their files.

    Raises:
        SystemExit: the DATA there are prepared otherwise, or it is not known how.
    """
    file = out / PREPARE
    now = {
        "arguments": shlex.join(arguments),
        "files": {str(path): source_file(path).sha256 for path in files_of(arguments)},
    }
    if not file.exists():
        if any(out.glob("data-*")):
            raise SystemExit(
                f"{out}: has DATA, and no {PREPARE} that says what they were prepared with; choose another "
                f"--out, or, where you know that it was the same, write into {file}: {json.dumps(now)}"
            )
        out.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(now, indent=2) + "\n")
        return
    was = json.loads(file.read_text(encoding="utf-8"))
    if found := [f"{key} {before!r}, not {after!r}" for key, before, after in differences(was, now)]:
        raise SystemExit(
            f"{file}: the DATA there are prepared with {'; '.join(found)}; give the same to go on with "
            "them, or choose another --out"
        )


def files_of(arguments: list[str]) -> Iterator[Path]:
    """Find the files that arguments of dien prepare name, those of folders one by one."""
    for argument in arguments[1:]:  # the first is the name of a source
        value = argument.partition("=")[2] if argument.startswith("--") else argument
        path = Path(value)
        if path.is_file():
            yield path
        elif value and path.is_dir():
            yield from sorted(inside for inside in path.rglob("*") if inside.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default=",".join(SPACES), help="comma-separated (default: all)")
    parser.add_argument("--data", type=int, default=1, help="DATA to prepare, of seeds 0, 1, ... (default 1)")
    parser.add_argument("--seeds", type=int, default=1, help="training seeds on each DATA (default 1)")
    parser.add_argument("--config", type=Path, help="a preset's name or a file; without: the defaults")
    parser.add_argument("--trials", type=int, help="tune each model with so many trials first")
    parser.add_argument("--jobs", type=int, help="runs at a time (default: as many as cores)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("prepare", nargs="+", help="what dien prepare is given, but for --seed and --out")
    given = parser.parse_args()
    if given.config and given.trials:
        parser.error("--config and --trials: give one; with --trials the configuration is what is found")

    for word in given.prepare:
        if word.partition("=")[0] in ("--seed", "--out"):
            parser.error(f"{word.partition('=')[0]} of dien prepare is given here: say with --data how many")
    expect_preparation(given.out, given.prepare)
    data = [given.out / f"data-{seed}" for seed in range(given.data)]
    for seed, folder in enumerate(data):
        if not folder.exists():
            run("prepare", *given.prepare, "--seed", seed, "--out", folder)
    jobs = ["--jobs", str(given.jobs)] if given.jobs else []
    config = given.config
    if given.trials:
        config = tuned(data[0], given.models.split(","), given.trials, jobs, given.out)
    options = [*jobs, *(["--config", config] if config else [])]
    run(
        "compare",
        *data,
        "--models",
        given.models,
        "--seeds",
        given.seeds,
        "--out",
        given.out / "table",
        *options,
    )


if __name__ == "__main__":
    main()
