"""Hold gradient boosting (LightGBM) on counts, matches, popularity and recency against dien's models.

    pip install -r benchmarks/quality/boosting-requirements.txt
    python benchmarks/quality/boosting.py data/beauty-? --against comparisons/beauty --out runs/boosting
    python benchmarks/quality/boosting.py DATA --without popularity popularity,recency --out runs/boosting

A replicate is a dataset folder and a training seed, as for `dien compare`. Each trains on the stored rows of
train, with early stopping by the AUC of valid, and test is read once. With --against, the models of a
comparison on the same dataset folders are in the table, each with the paired difference to boosting. Each
--without adds a line: boosting without a group of its inputs, or several, divided by commas.

What is in OUT is not done again. The tables are printed and written to OUT/table.md; figures and the gain of
every input are in OUT/boosting.json.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
import torch
from boosting_inputs import GROUPS, inputs_of
from boosting_table import BOOSTING, gains_table, results_table, verdict
from boosting_trees import PARAMETERS, PATIENCE, ROUNDS, Outcome, outcome

from dien.data.dataset import Dataset
from dien.data.dataset_info import FILE_NAME
from dien.errors import DienError
from dien.files import make_folder, write_text
from dien.models.config import ModelConfig
from dien.run import Run
from dien.training.comparison import Comparison, DoneRun
from dien.training.metrics import Metrics
from dien.training.records import load, text_of
from dien.training.summary import Replicate

MATCH_HISTORY: int = ModelConfig.model_fields["match_history"].default
"""Newest behaviours that matches are counted over, as dien's own models have it."""

RESULTS = "boosting.json"


class Results(msgspec.Struct):
    """The content of ``boosting.json``.

    Attributes:
        settings: of LightGBM and of training.
        groups: of each input.
        outcomes: one for each replicate and set of inputs.
    """

    settings: dict[str, Any]
    groups: dict[str, str]
    outcomes: list[Outcome]


def expect_usable(dataset: Dataset) -> None:
    """Refuse a dataset that cannot be trained on, or in which early stopping has no AUC to go by.

    Raises:
        SystemExit: a split has no rows, or only clicks, or none.
    """
    for name, size in dataset.info.sizes.splits.items():
        if not 0 < size.positives < size.rows:
            raise SystemExit(
                f"{dataset.path}: {name} has {size.rows:,} rows, {size.positives:,} of them clicked; "
                "expected some that are and some that are not: prepare it with other splits"
            )


def compared(folder: Path, data: Sequence[Path]) -> Comparison:
    """Read a comparison, and refuse one whose runs are not on these dataset folders as they are now.

    Raises:
        SystemExit: it is on others, or nothing of it is done on one.
        DienError: there is no comparison or run, or a dataset folder has another content since.
    """
    comparison = Comparison.load(folder)
    for path in data:
        if str(path) not in comparison.data:
            known = ", ".join(comparison.data)
            raise SystemExit(f"{path}: {folder} is not on it; expected some of its dataset folders: {known}")
        done = [run for run in comparison.runs if isinstance(run, DoneRun) and run.data == str(path)]
        if not done:
            raise SystemExit(f"{folder}: no run on {path} is done; go on with dien compare")
        Run.open(folder / done[0].run).expect_data(Dataset.open(path))
    return comparison


def replicates(
    data: Sequence[Path], seeds: int | None, comparison: Comparison | None
) -> list[tuple[Path, int]]:
    """Give each dataset folder its training seeds, numbered as ``dien compare`` numbers them.

    Args:
        data: dataset folders, resolved.
        seeds: on each; None for as many as the comparison has, or one.
        comparison: whose seeds these are.
    """
    if comparison is None:
        return [
            (path, seed)
            for number, path in enumerate(data)
            for seed in range(number * (seeds or 1), (number + 1) * (seeds or 1))
        ]
    of_each = comparison.seeds
    if seeds is not None and seeds > of_each:
        raise SystemExit(f"--seeds {seeds}: the comparison has {of_each} on each dataset folder; lower it")
    firsts = [(path, comparison.data.index(str(path)) * of_each) for path in data]
    return [(path, first + k) for path, first in firsts for k in range(seeds or of_each)]


def read(file: Path, settings: dict[str, Any]) -> list[Outcome]:
    """Read what is done already.

    Raises:
        SystemExit: it was done with other settings.
        DienError: the file cannot be read.
    """
    if not file.exists():
        return []
    results = load(file, Results, "boosting.py")
    if results.settings != settings:
        raise SystemExit(f"{file}: made with other settings of training; choose another --out")
    return results.outcomes


def groups_of(text: str) -> tuple[str, ...]:
    """Parse an argument of --without."""
    named = text.split(",")
    if unknown := [name for name in named if name not in GROUPS]:
        raise argparse.ArgumentTypeError(
            f"no group {', '.join(unknown)}; expected some of {', '.join(GROUPS)}"
        )
    if set(named) == set(GROUPS):
        raise argparse.ArgumentTypeError("no input would be left; leave a group in")
    return tuple(name for name in GROUPS if name in named)


def main() -> None:
    groups = "\n".join(f"  {name:11} {what}" for name, what in GROUPS.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"groups of inputs:\n{groups}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, help="on each DATA; as many as --against has, else 1")
    parser.add_argument("--against", type=Path, metavar="DIR", help="folder of dien compare")
    parser.add_argument("--without", type=groups_of, nargs="+", default=[], metavar="GROUP[,GROUP...]")
    given = parser.parse_args()
    if given.seeds is not None and given.seeds < 1:
        parser.error(f"--seeds {given.seeds}: expected 1 or more")
    data = [path.resolve() for path in given.data]
    if len(set(data)) < len(data):
        parser.error("a DATA is named twice, and would count twice")
    torch.set_num_threads(1)
    try:
        run(data, given.out, given.seeds, given.against, list(dict.fromkeys([(), *given.without])))
    except ModuleNotFoundError as error:
        if error.name != "lightgbm":
            raise
        parser.error("LightGBM is missing: pip install -r benchmarks/quality/boosting-requirements.txt")
    except DienError as error:
        raise SystemExit(str(error)) from error


def run(
    data: Sequence[Path],
    out: Path,
    seeds: int | None,
    against: Path | None,
    wanted: Sequence[tuple[str, ...]],
) -> None:
    """Do what is left, and show everything.

    Args:
        data: dataset folders, resolved.
        out: the folder to write.
        seeds: on each.
        against: folder of a comparison.
        wanted: groups to leave out, set by set; the empty one first.
    """
    comparison = None if against is None else compared(against, data)
    pairs = replicates(data, seeds, comparison)
    settings = {**PARAMETERS, "rounds": ROUNDS, "patience": PATIENCE, "match_history": MATCH_HISTORY}
    settings |= {"popularity of lists": "mean"}  # what was made before had none
    make_folder(out)
    done = {outcome.key: outcome for outcome in read(out / RESULTS, settings)}
    groups: dict[str, str] = {}
    for path in data:
        dataset = Dataset.open(path)
        expect_usable(dataset)
        dataset.check()
        fingerprint = hashlib.sha256((path / FILE_NAME).read_bytes()).hexdigest()
        for key, kept in done.items():
            if key[0] == str(path) and kept.fingerprint != fingerprint:
                raise SystemExit(
                    f"{out / RESULTS}: made from other rows than {path} has now; choose another --out"
                )
        print(f"{path}: inputs", file=sys.stderr, flush=True)
        inputs = inputs_of(dataset, MATCH_HISTORY)
        groups |= dict(zip(inputs.names, inputs.groups, strict=True))
        for seed in (seed for of, seed in pairs if of == path):
            for without in wanted:
                key = str(path), seed, without
                if key not in done:
                    done[key] = outcome(dataset, inputs, str(path), seed, without, fingerprint)
                    write_text(out / RESULTS, text_of(Results(settings, groups, list(done.values()))))
                    print(
                        f"{path}: seed {seed}{said(without)}: {short(done[key])}", file=sys.stderr, flush=True
                    )

    written = report(data, pairs, wanted, done, groups, comparison)
    write_text(out / "table.md", written)
    print(written)


def report(
    data: Sequence[Path],
    pairs: Sequence[tuple[Path, int]],
    wanted: Sequence[tuple[str, ...]],
    done: dict[tuple[str, int, tuple[str, ...]], Outcome],
    groups: dict[str, str],
    comparison: Comparison | None,
) -> str:
    """Write the tables as Markdown, and what is to be known of them.

    Args:
        data: dataset folders.
        pairs: of these and seeds.
        wanted: groups that are left out, set by set; the empty one first.
        done: what each came to.
        groups: of each input.
        comparison: whose models are shown beside.
    """
    chosen = [(str(path), seed) for path, seed in pairs]
    lines = {
        f"{BOOSTING}{said(without)}": {pair: done[(*pair, without)].test for pair in chosen}
        for without in wanted
    }
    whole = [done[(*pair, ())] for pair in chosen]
    models: dict[str, dict[Replicate, Metrics]] = {}
    missing = []
    for one in comparison.runs if comparison else []:
        if (one.data, one.seed) not in chosen:
            continue
        if isinstance(one, DoneRun):
            models.setdefault(one.model, {})[one.data, one.seed] = one.test
        else:
            missing.append(f"{one.model} on {one.data}, seed {one.seed}, is {one.status}: not in the table")
    several = len(data) > 1
    sizes = ", ".join(f"{name} {len(split.item):,}" for name, split in Dataset.open(data[0]).splits.items())
    notes = [
        "Sampled negatives of train are as they are stored; dien's models redraw them unless set.",
        "Calibrated on valid (Platt), as dien's models are unless set.",
        *dict.fromkeys(note for one in whole for note in one.notes),
        *missing,
    ]
    parts = [
        f"Rows{f' of {data[0]}' if several else ''}: {sizes}; {len(pairs)} replicate{'s'[: len(pairs) > 1]}; "
        f"{fmean(one.rounds for one in whole):.0f} trees.\n",
        results_table(lines, models, several),
        verdict(lines[BOOSTING], models, several),
        gains_table([one.gain for one in whole], groups),
        "\n".join(f"- {note}" for note in notes),
    ]
    return "\n".join([*parts, ""])


def said(without: tuple[str, ...]) -> str:
    """Say what is left out."""
    return f" without {', '.join(without)}" if without else ""


def short(found: Outcome) -> str:
    """Say an outcome in a few words."""
    return f"test AUC {found.test.auc:.4f}, {found.rounds} trees"


if __name__ == "__main__":
    main()
