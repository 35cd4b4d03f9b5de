"""Say where each model of a comparison is good: its runs evaluated by slices of the test split.

    python benchmarks/slices.py tables/beauty-temporal/table

For every slice that `dien evaluate --slices` knows: its rows, and of each model the AUC, mean and standard
deviation over replicates, its calibration, and the AUC less that of the model named before it, paired, with
the 95 % confidence interval. Prints Markdown, and below it why a slice has no AUC.

Of items that training has not seen there are two slices: `item: unknown` has their rows among themselves,
`unknown clicked, known not` their clicks against what was not clicked of known items. Where negatives are
sampled they are items of training, so that among themselves unknown items may have clicks alone.
"""

import argparse
from pathlib import Path

from rich.console import Console

from dien import Dataset
from dien.training import Metrics, evaluate_slices
from dien.training.comparison import Comparison
from dien.training.summary import Replicate, difference, spread

Slices = dict[str, dict[Replicate, Metrics]]
"""Slice -> replicate -> metrics of one model."""


def slices_of_runs(folder: Path, comparison: Comparison) -> dict[str, Slices]:
    """Evaluate every run that is done; by model."""
    data = {path: Dataset.open(path) for path in comparison.data}
    found: dict[str, Slices] = {model: {} for model in comparison.models}
    console = Console(stderr=True)
    for run in comparison.runs:
        if run.status == "done":
            console.print(run.run)
            for name, metrics in evaluate_slices(folder / run.run, data[run.data]).items():
                found[run.model].setdefault(name, {})[run.data, run.seed] = metrics
    return found


def line(model: str, name: str, found: dict[str, Slices], before: str | None, several: bool) -> str:
    """Write one model's figures in a slice."""
    own = found[model].get(name, {})
    aucs = {m: {r: x.auc for r, x in found[m].get(name, {}).items() if x.auc is not None} for m in found}
    auc = spread(aucs[model], several)
    calibration = spread({r: x.calibration for r, x in own.items() if x.calibration is not None}, several)
    gain = difference(aucs[model], aucs[before], several) if before else None
    first = next(iter(own.values()), None)
    cells = [
        name,
        model,
        f"{first.rows:,}" if first else "-",
        f"{first.positives / first.rows:.1%}" if first and first.rows else "-",
        "-" if auc is None else f"{auc.mean:.4f}" + ("" if auc.std is None else f" ± {auc.std:.4f}"),
        "-" if gain is None else f"{gain.mean:+.4f}",
        "-" if calibration is None else f"{calibration.mean:.3f}",
    ]
    if gain is not None and gain.low is not None:
        cells[5] += f" ({gain.low:+.4f} to {gain.high:+.4f})"
    return "| " + " | ".join(cells) + " |"


def without_auc(found: dict[str, Slices]) -> dict[str, str]:
    """Say of each slice in which no run has an AUC why that is."""
    of_slices: dict[str, list[Metrics]] = {}
    for of_model in found.values():
        for name, of_runs in of_model.items():
            of_slices.setdefault(name, []).extend(of_runs.values())
    return {
        name: metrics[0].note or "no AUC"
        for name, metrics in of_slices.items()
        if all(one.auc is None for one in metrics)
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("comparison", type=Path, help="folder of dien compare")
    folder = parser.parse_args().comparison
    comparison = Comparison.load(folder)
    found = slices_of_runs(folder, comparison)
    models, several = comparison.models, len(comparison.data) > 1
    print("| slice | model | rows | clicked | AUC | over the model before | calibration |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name in dict.fromkeys(name for of in found.values() for name in of):
        for model, before in zip(models, [None, *models], strict=False):
            print(line(model, name, found, before, several))
    for name, note in without_auc(found).items():
        print(f"\n`{name}`: {note}")


if __name__ == "__main__":
    main()
