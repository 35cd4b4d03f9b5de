"""What a training step and scoring cost against length of histories, size of batches and vocabulary.

    pip install '.[bench]'
    python benchmarks/scaling.py --threads 2 --out docs

Random batches, as `dien bench` draws them: `length` takes 256 rows whose histories all have that length,
`batch` rows with histories of mean length 15, and `vocabulary` 1,024 of them, items drawn uniformly. The
settings of each take turns in every round; medians and quartiles over rounds. Writes scaling.json and
scaling.svg, and prints the numbers as Markdown.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dien.bench import Shape, Subject, draws, in_turns, paper, quartiles
from dien.config import load_config
from dien.memory import kept_memory

HIDDEN = (36, 64, 128)
LENGTHS = (20, 50, 100, 200, 500, 1000)
ROWS = (64, 256, 1024, 4096, 8192)
ITEMS = (10**4, 10**5, 10**6, 10**7)
MODES = ("train", "score")

Setting = tuple[int, int, str]
"""Hidden size, what is varied, mode."""
Measured = dict[Setting, list[float]]
"""Seconds of a batch in every round."""


def of_length(hidden: int, length: int) -> Subject:
    config = load_config(None, [f"model.hidden_size={hidden}", f"model.max_history={length}"], paper())
    return Subject(config, draws(Shape("256 rows of one length", 256), config, batches=2))


def of_batch(hidden: int, rows: int) -> Subject:
    config = load_config(None, [f"model.hidden_size={hidden}"], paper())
    return Subject(config, draws(Shape("rows with mean 15", rows, mean=15), config))


def of_vocabulary(hidden: int, items: int) -> Subject:
    """More batches than elsewhere: what they touch of a large table must not fit the caches."""
    config = load_config(None, [f"model.hidden_size={hidden}"], paper())
    batches = draws(Shape("rows with mean 15", 1024, mean=15), config, items=items, batches=8)
    return Subject(config, batches, items)


Make = Callable[[int, int], Subject]


def measure(name: str, make: Make, hidden: tuple[int, ...], varied: tuple[int, ...], rounds: int) -> Measured:
    timers = {}
    for of_hidden in hidden:
        for of_varied in varied:
            subject = make(of_hidden, of_varied)
            for mode in MODES:
                timers[of_hidden, of_varied, mode] = subject.timer(mode)
    done = iter(range(1, rounds * len(timers) + 1))

    def report(_: int) -> None:
        print(f"{name}: {next(done)} of {rounds * len(timers)}", end="\r", file=sys.stderr)

    seconds = in_turns(timers, rounds, report)
    timers.clear()
    gc.collect()
    return seconds


def growth(seconds: Measured) -> dict[Setting, dict[str, float]]:
    """Quartiles of the ratio to the smallest vocabulary in the same round."""
    return {
        (hidden, items, mode): quartiles(
            [a / b for a, b in zip(measured, seconds[hidden, ITEMS[0], mode], strict=True)]
        )
        for (hidden, items, mode), measured in seconds.items()
    }


def spread(of: dict[str, float], form: str) -> str:
    return f"{of['median']:{form}} ({of['low']:{form}} to {of['high']:{form}})"


def table(varied: str, seconds: Measured, cell: Callable[[Setting], str]) -> str:
    """Markdown with a row for each value of what is varied and a column for each mode and hidden size."""
    columns = sorted({(mode, hidden) for hidden, _, mode in seconds}, key=lambda c: (MODES.index(c[0]), c[1]))
    lines = [
        f"| {varied} | {' | '.join(f'{mode}, hidden {hidden}' for mode, hidden in columns)} |",
        f"| --- |{' --- |' * len(columns)}",
    ]
    for value in sorted({value for _, value, _ in seconds}):
        cells = [cell((hidden, value, mode)) for mode, hidden in columns]
        lines.append(f"| {value:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def tables(lengths: Measured, batches: Measured, vocabularies: Measured) -> str:
    grown = growth(vocabularies)

    def milliseconds(setting: Setting) -> str:
        return spread(quartiles([1e3 * one for one in lengths[setting]]), ",.1f")

    def rate(setting: Setting) -> str:
        return spread(quartiles([setting[1] / one for one in batches[setting]]), ",.0f")

    return "\n\n".join(
        (
            "Milliseconds of a batch of 256 rows, by length of their histories:",
            table("length", lengths, milliseconds),
            "Rows a second, by rows of a batch:",
            table("rows", batches, rate),
            "Time of a batch, as a multiple of that with 10,000 items:",
            table("items", vocabularies, lambda setting: spread(grown[setting], ".3f")),
        )
    )


def draw(lengths: Measured, batches: Measured, vocabularies: Measured, file: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "dien", "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")

    def lines(panel: Any, measured: Measured, of: Callable[[Setting], dict[str, float]]) -> None:
        for number, hidden in enumerate(sorted({setting[0] for setting in measured})):
            for mode, style in zip(MODES, ("o-", "s--"), strict=True):
                settings = sorted(s for s in measured if s[0] == hidden and s[2] == mode)
                found = [of(setting) for setting in settings]
                middle = [one["median"] for one in found]
                below = [one["median"] - one["low"] for one in found]
                above = [one["high"] - one["median"] for one in found]
                panel.errorbar(
                    [setting[1] for setting in settings],
                    middle,
                    (below, above),
                    fmt=style,
                    color=f"C{number}",
                    markersize=4,
                    linewidth=1.2,
                    capsize=2,
                    label=f"{mode}, hidden {hidden}",
                )
        values = sorted({setting[1] for setting in measured})
        panel.set_xscale("log")
        panel.set_xticks(values, [f"{value:,}" for value in values])
        panel.set_xticks([], minor=True)
        panel.grid(visible=True, alpha=0.3)

    grown = growth(vocabularies)
    lines(panels[0], lengths, lambda s: quartiles([1e3 * one for one in lengths[s]]))
    panels[0].set(yscale="log", xlabel="behaviours a history", title="milliseconds of 256 rows")
    panels[0].legend(fontsize=7)
    lines(panels[1], batches, lambda s: quartiles([s[1] / one for one in batches[s]]))
    panels[1].set(yscale="log", xlabel="rows a batch", title="rows a second, mean length 15")
    lines(panels[2], vocabularies, grown.__getitem__)
    panels[2].set(xlabel="items in the vocabulary", title="time, as a multiple of that with 10,000 items")
    highest = max(one["high"] for one in grown.values())
    panels[2].set_ylim(0, max(1.5, 1.1 * highest))
    figure.savefig(file, metadata={"Date": None})


def plain(seconds: Measured) -> list[dict[str, Any]]:
    return [
        {"hidden": hidden, "value": value, "mode": mode, "seconds": [round(one, 7) for one in measured]}
        for (hidden, value, mode), measured in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--hidden", type=int, nargs="+", default=HIDDEN)
    parser.add_argument(
        "--out", type=Path, default=Path("docs"), help="folder of scaling.json and scaling.svg"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    hidden = tuple(options.hidden)
    with kept_memory():
        lengths = measure("length", of_length, hidden, LENGTHS, options.rounds)
        batches = measure("batch", of_batch, hidden, ROWS, options.rounds)
        vocabularies = measure("vocabulary", of_vocabulary, hidden[:1], ITEMS, options.rounds)
    result = {"torch": torch.__version__, "threads": options.threads, "rounds": options.rounds}
    result |= {"length": plain(lengths), "batch": plain(batches), "vocabulary": plain(vocabularies)}
    (options.out / "scaling.json").write_text(json.dumps(result) + "\n")
    draw(lengths, batches, vocabularies, options.out / "scaling.svg")
    print(tables(lengths, batches, vocabularies))


if __name__ == "__main__":
    main()
