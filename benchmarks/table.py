"""Make a table of docs/results.md: prepare a DATA for each replicate, tune the models on the first, compare.

    python benchmarks/table.py --data 5 --config amazon-beauty --out tables/beauty -- amazon ...

What stands behind ``--`` is for ``dien prepare``. With ``--trials`` each model is tuned with so many,
in the place of a configuration. What is there already is kept: a table that was stopped is gone on with by
the same command. OUT/prepare.json says with which arguments the DATA there are prepared; others are refused.
For DATA that are there no file is read again, and one that has changed since is not noticed. Where further
DATA are made of it, dien compare refuses them: they say of which bytes they are.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

from dien.files import write_text
from dien.training.space import spaces

DIEN = [sys.executable, "-m", "dien"]
PREPARE = "prepare.json"
NOT_FOR_PREPARE = {
    "--seed": "its DATA are of seeds 0, 1, ...; say with --data how many",
    "--out": "OUT is named before the --; its DATA are OUT/data-SEED",
    "--append": "the DATA of a table are each prepared whole; leave it out",
}


def run(*command: object) -> None:
    """Run a command of dien, and say which."""
    words = [str(word) for word in command]
    print("dien", *words, file=sys.stderr, flush=True)
    subprocess.run([*DIEN, *words], check=True)


def tuned(data: Path, models: list[str], trials: int, jobs: list[str], out: Path) -> Path:
    """Tune each model; returns the file of what was found, one comment and one entry a model."""
    comments, found = [], {}
    for model in models:
        if model not in spaces():
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
    """Note in OUT which arguments of dien prepare its DATA are prepared with.

    Only DATA that are there count: dien prepare leaves one whole or not at all, so that arguments which have
    failed may be mended.

    Raises:
        SystemExit: the DATA there are prepared with others, or it is not known with which.
    """
    file, now = out / PREPARE, shlex.join(arguments)
    text = json.dumps({"arguments": now}) + "\n"
    if not any(out.glob("data-*")):
        out.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
        return
    if not file.exists():
        raise SystemExit(
            f"{out}: has DATA, and no {PREPARE} that says what they were prepared with; choose another "
            f"--out, or, where you know that it was the same, write into {file}: {text.strip()}"
        )
    if (was := json.loads(file.read_text(encoding="utf-8"))["arguments"]) != now:
        raise SystemExit(
            f"{file}: the DATA there are prepared with {was!r}, not {now!r}; give the same to go on with "
            "them, or choose another --out"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default=",".join(spaces()), help="comma-separated (default: all)")
    parser.add_argument("--data", type=int, default=1, help="DATA to prepare, of seeds 0, 1, ... (default 1)")
    parser.add_argument("--seeds", type=int, default=1, help="training seeds on each DATA (default 1)")
    parser.add_argument("--config", type=Path, help="a preset's name or a file; without: the defaults")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of dien compare")
    parser.add_argument("--trials", type=int, help="tune each model with so many trials first")
    parser.add_argument("--jobs", type=int, help="runs at a time (default: as many as cores)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("prepare", nargs="+", help="what dien prepare is given")
    given = parser.parse_args()
    if given.config and given.trials:
        parser.error("--config and --trials: give one; with --trials the configuration is what is found")

    for word in given.prepare:
        if why := NOT_FOR_PREPARE.get(name := word.partition("=")[0]):
            parser.error(f"{name} is not for dien prepare here: {why}")
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
    options += [word for value in given.set for word in ("--set", value)]
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
