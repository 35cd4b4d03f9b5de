"""Draw comparisons side by side: each model's test AUC, a point for every replicate, mean and 95 % interval.

    python benchmarks/figure.py Beauty=tables/beauty/table Sports=tables/sports/table --out auc.svg

Needs matplotlib: `pip install '.[bench]'` in the clone.
"""

import argparse
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dien.training.comparison import Comparison, DoneRun

matplotlib.rcParams.update({"svg.hashsalt": "dien", "font.size": 9})  # the same comparison, the same file
COLOUR, OURS = "#6b7785", "#c8472e"


def draw(axes: Axes, title: str, folder: Path) -> None:
    """Draw one comparison, its models from top to bottom."""
    comparison = Comparison.load(folder)
    for place, summary in enumerate(comparison.table):
        model, found = summary.model, summary.auc
        colour = OURS if model == "dien" else COLOUR
        runs = [run for run in comparison.runs if run.model == model and isinstance(run, DoneRun)]
        each = [run.test.auc for run in runs]
        axes.plot(each, [place] * len(each), "o", color=colour, alpha=0.35, markersize=3)
        axes.plot([found.low, found.high], [place, place], color=colour, linewidth=2)
        axes.plot(found.mean, place, "o", color=colour, markersize=6)
    names = [summary.model for summary in comparison.table]
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(title=title, xlabel="test AUC")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("comparisons", nargs="+", metavar="TITLE=DIR", help="folders of dien compare")
    parser.add_argument("--out", type=Path, required=True, metavar="F.svg")
    given = parser.parse_args()
    figure = Figure(figsize=(4.2 * len(given.comparisons), 3.2), layout="constrained")
    panels = figure.subplots(1, len(given.comparisons), squeeze=False)[0]
    for axes, comparison in zip(panels, given.comparisons, strict=True):
        title, _, folder = comparison.partition("=")
        draw(axes, title, Path(folder))
    figure.savefig(given.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
