"""Hold dien's test AUC and LogLoss against other implementations of DIEN on the same rows and histories.

    dien prepare movielens-1m --out data/movielens-1m
    python benchmarks/peers/install.py recbole torch-rechub deepctr-torch
    python benchmarks/quality/compare.py data/movielens-1m --seeds 5 --trials 20 --out runs/quality

Everyone trains as their project ships it, with every seed. With --trials, everyone is also tuned: as many
sets of values for each, the best by validation AUC of one seed, which then runs with every seed. What is in
OUT is not done again: a comparison that was stopped goes on, and runs of peers may be done elsewhere
(--commands). The tables are printed and written to OUT/table.md. Where a run has failed, they say of how many
seeds and trials they are, and the exit code is 1.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))

from export import export
from install import installed, python_of
from report import Line, table
from settings import DEFAULTS, Settings, trials

from dien.data.batches import cores
from dien.data.dataset import Dataset
from dien.files import write_text
from dien.training.compare import compare, compared_configs
from dien.training.comparison import DoneRun
from dien.training.space import search_space

HERE = Path(__file__).parent
OURS = "dien"
ROWS = "rows.npz"


@dataclass(frozen=True)
class Limits:
    """When training ends, for everyone: epochs at most, and epochs without a better validation AUC."""

    epochs: int
    patience: int

    def keys(self, max_history: int) -> list[str]:
        """Say it to dien, with the rows as they are stored and the newest behaviours of histories."""
        return [
            f"training.epochs={self.epochs}",
            f"training.patience={self.patience}",
            "training.negatives=stored",
            "training.calibration=none",  # the peers have none
            f"model.max_history={max_history}",
            "model.matches=false",  # the peers have none
        ]


@dataclass(frozen=True)
class Run:
    """A peer trained with some settings and a seed."""

    peer: str
    settings: Settings
    seed: int

    @property
    def file(self) -> str:
        """Where what it came to is written, seen from OUT."""
        return f"runs/{self.peer}-{self.settings}-s{self.seed}.json"

    def arguments(self, limits: Limits) -> list[str]:
        """Arguments of peer.py, seen from OUT."""
        options = {**vars(self.settings), "seed": self.seed, **vars(limits), "out": self.file}
        given = [[f"--{name.replace('_', '-')}", str(value)] for name, value in options.items()]
        return [self.peer, ROWS, *(part for option in given for part in option)]


class Peers:
    """The runs of peers in OUT.

    Args:
        out: the folder.
        fingerprint: of the rows there.
        limits: of every run.
        jobs: at a time.
        device: where they are trained; None where torch finds the best.
    """

    def __init__(self, out: Path, fingerprint: str, limits: Limits, jobs: int, device: str | None) -> None:
        self._out, self._fingerprint, self._limits = out, fingerprint, limits
        self._jobs, self._device = jobs, device
        (out / "runs").mkdir(exist_ok=True)

    def record(self, run: Run) -> dict[str, Any] | None:
        """Read what a run came to; None where it is not done or failed.

        Raises:
            SystemExit: it was made from other rows, or with other limits.
        """
        file = self._out / run.file
        if not file.exists():
            return None
        record: dict[str, Any] = json.loads(file.read_text())
        if record["rows"] != self._fingerprint or record["limits"] != vars(self._limits):
            raise SystemExit(f"{file}: made from other rows, or with other --epochs or --patience; see --out")
        return record

    def left(self, runs: Iterable[Run]) -> list[list[str]]:
        """Give the arguments of peer.py for each run that is not done."""
        return [run.arguments(self._limits) for run in dict.fromkeys(runs) if self.record(run) is None]

    def carry_out(self, runs: Iterable[Run]) -> None:
        """Do what is left; who fails is reported."""
        with ThreadPoolExecutor(self._jobs) as pool:
            list(pool.map(self._one, self.left(runs)))

    def best(self, peer: str, count: int) -> Settings | None:
        """Find the trial of the highest validation AUC; None where there is none yet."""
        found = self._valid_aucs(peer, count)
        return max(found, key=found.__getitem__) if found else None

    def finished(self, peer: str, count: int) -> int:
        """Count the trials that have a validation AUC: they neither diverged nor ended before."""
        return len(self._valid_aucs(peer, count))

    def _valid_aucs(self, peer: str, count: int) -> dict[Settings, float]:
        return {
            settings: record["valid_auc"]
            for settings in trials(peer, count)
            if (record := self.record(Run(peer, settings, 0))) and "valid_auc" in record
        }

    def line(self, peer: str, settings: Settings, seeds: int) -> Line:
        """Put the seeds of a peer together."""
        records = [self.record(Run(peer, settings, seed)) for seed in range(seeds)]
        done = [record for record in records if record and "test_auc" in record]
        return Line(
            model=peer,
            settings=f"learning rate {settings.learning_rate:g}, batch {settings.batch_size}, "
            f"embeddings {settings.embedding_size}",
            auc={record["seed"]: record["test_auc"] for record in done},
            log_loss={record["seed"]: record["test_log_loss"] for record in done},
            best_epochs=[record["best_epoch"] for record in done],
            parameters=done[0]["parameters"] if done else None,
        )

    def _one(self, arguments: list[str]) -> None:
        device = [] if self._device is None else ["--device", self._device]
        command = [str(python_of(arguments[0])), str(HERE.resolve() / "peer.py"), *arguments, *device]
        done = subprocess.run(command, cwd=self._out, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
        if done.returncode:
            print(f"{arguments[-1]}: failed with exit code {done.returncode}", file=sys.stderr)


def ours(
    data: Path, out: Path, config: Path | None, what: str, seeds: int, keys: list[str], jobs: int
) -> Line:
    """Train dien with every seed, by the machinery of ``dien compare``."""
    configs = compared_configs([OURS], config, keys)
    runs = compare([data], configs, out, seeds=seeds, jobs=jobs).runs
    done = [run for run in runs if isinstance(run, DoneRun)]
    return Line(
        model=OURS,
        settings=what,
        auc={run.seed: run.test.auc for run in done},
        log_loss={run.seed: run.test.log_loss for run in done},
        best_epochs=[run.best_epoch for run in done],
        parameters=done[0].parameters if done else None,
    )


def searched(data: Path, out: Path, count: int, keys: list[str], jobs: int) -> tuple[Path | None, int]:
    """Search dien's own space, by the machinery of ``dien tune``.

    Returns:
        The file of the best trial, None where none has a validation AUC, and how many have one.
    """
    from dien.training.tune import tune

    config = compared_configs([OURS], None, keys)[OURS]
    found = tune(data, OURS, config, search_space(OURS), out, trials=count, jobs=jobs)
    done = sum(trial.status == "done" for trial in found.trials)
    return (None if found.best is None else out / "best.yaml"), done


def chosen_among(line: Line, finished: int, asked: int) -> Line:
    """Say of a tuned line of how many trials it is the best, where they are fewer than asked for."""
    if finished == asked:
        return line
    said = f"{finished} of {asked} trials have a validation AUC"
    return replace(line, settings=f"{line.settings}; {said}" if line.settings else said)


def line_without_trials(model: str) -> Line:
    """Make the line of a model of which no trial has a validation AUC."""
    return Line(model, settings="", auc={}, log_loss={}, best_epochs=[], parameters=None)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--peers", nargs="*", choices=DEFAULTS, default=list(DEFAULTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=0, help="sets of values tried for each; 0 tunes nobody")
    parser.add_argument("--config", type=Path, help="dien's tuned configuration, in the place of a search")
    parser.add_argument("--epochs", type=int, default=30, help="at most, for everyone")
    parser.add_argument("--patience", type=int, default=3, help="epochs without a better validation AUC")
    parser.add_argument("--max-history", type=int, default=50, help="newest behaviours read, by everyone")
    parser.add_argument("--jobs", type=int, default=cores(), help="runs at a time, of one thread each")
    parser.add_argument("--device", help="of the peers, as cpu or cuda:0")
    parser.add_argument(
        "--commands", action="store_true", help="print the arguments of peer.py that are left, and end"
    )
    options = parser.parse_args()
    if options.config and not options.trials:
        parser.error("--config is for the table of tuned models: say with --trials how the peers are tuned")

    limits = Limits(options.epochs, options.patience)
    keys = limits.keys(options.max_history)
    options.out.mkdir(parents=True, exist_ok=True)
    dataset = Dataset.open(options.data)
    fingerprint = export(dataset, options.out / ROWS, options.max_history)
    peers = Peers(options.out, fingerprint, limits, options.jobs, options.device)

    seeds = range(options.seeds)
    runs = [Run(peer, DEFAULTS[peer], seed) for peer in options.peers for seed in seeds]
    runs += [Run(peer, tried, 0) for peer in options.peers for tried in trials(peer, options.trials)]

    def of_the_best() -> list[Run]:
        return [
            Run(peer, best, seed)
            for peer in options.peers
            if (best := peers.best(peer, options.trials))
            for seed in seeds
        ]

    if options.commands:
        # The best is known when every trial is done.
        for arguments in peers.left(runs) or peers.left(of_the_best()):
            print(" ".join(arguments))
        return

    for peer in options.peers:
        if not installed(peer):
            parser.error(f"{peer} is not installed: python benchmarks/peers/install.py {peer}")
    sizes = ", ".join(f"{name} {len(split.item):,}" for name, split in dataset.splits.items())
    tables = [f"Rows: {sizes}; histories of at most {options.max_history}; {options.seeds} seeds.\n"]
    failed: list[str] = []

    def show(title: str, lines: list[Line]) -> None:
        tables.append(table(title, lines))
        write_text(options.out / "table.md", "\n".join(tables))
        failed.extend(
            f"{title}: {line.model}: {len(line.auc)} of {options.seeds} seeds have a test AUC"
            for line in lines
            if len(line.auc) < options.seeds
        )

    def ours_with(config: Path | None, what: str, folder: str) -> Line:
        return ours(options.data, options.out / folder, config, what, options.seeds, keys, options.jobs)

    line = ours_with(None, "", "ours")
    peers.carry_out(runs)
    show("Defaults", [line, *(peers.line(peer, DEFAULTS[peer], options.seeds) for peer in options.peers)])
    if options.trials:
        finished = {peer: peers.finished(peer, options.trials) for peer in options.peers}
        if options.config:
            line = ours_with(options.config, f"`{options.config.name}`, given with --config", "ours-tuned")
        else:
            file, count = searched(
                options.data, options.out / "ours-search", options.trials, keys, options.jobs
            )
            line = ours_with(file, f"`{file.name}`", "ours-tuned") if file else line_without_trials(OURS)
            line = chosen_among(line, count, options.trials)
            finished = {OURS: count, **finished}
        peers.carry_out(of_the_best())
        lines = [line]
        for peer in options.peers:
            best = peers.best(peer, options.trials)
            of_peer = peers.line(peer, best, options.seeds) if best else line_without_trials(peer)
            lines.append(chosen_among(of_peer, finished[peer], options.trials))
        failed += [
            f"{model}: {count} of {options.trials} trials have a validation AUC"
            for model, count in finished.items()
            if count < options.trials
        ]
        show(f"Tuned, {options.trials} trials each", lines)
    print("\n".join(tables))
    if failed:
        raise SystemExit("\n".join(["not all that was asked for has come about:", *failed]))


if __name__ == "__main__":
    main()
