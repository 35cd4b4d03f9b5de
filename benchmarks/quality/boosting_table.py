"""The tables of boosting.py."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from dien.training.metrics import Metrics
from dien.training.summary import Difference, Replicate, Spread, difference, spread

Measured = Mapping[Replicate, Metrics]
"""Metrics of the test split by replicate."""

BOOSTING = "boosting"


def results_table(lines: Mapping[str, Measured], models: Mapping[str, Measured], several: bool) -> str:
    """Show boosting, boosting without some inputs, and other models: means and standard deviations.

    Args:
        lines: of boosting, :data:`BOOSTING` the first.
        models: of others.
        several: whether the replicates are of several datasets.

    Returns:
        Markdown. A difference is boosting less the line's, over the replicates that both have, with the 95 %
        confidence interval of its mean and the p value of the paired t test.
    """
    shown = [
        "| | test AUC | boosting less it (95 %) | GAUC | LogLoss | boosting less it (95 %) | replicates |",
        "| --- | --- | --- | --- | --- | --- | ---: |",
    ]
    whole = lines[BOOSTING]
    for name, measured in {**lines, **models}.items():
        cells = [name]
        for metric in ("auc", "gauc", "log_loss"):
            own = _figures(measured, metric)
            cells.append(_spread(spread(own, several)))
            if metric != "gauc":
                less = difference(_figures(whole, metric), own, several)
                cells.append("" if name == BOOSTING else _difference(less))
        shown.append(f"| {' | '.join([*cells, str(len(measured))])} |")
    return "\n".join([*shown, ""])


def verdict(whole: Measured, models: Mapping[str, Measured], several: bool) -> str:
    """Say in words which models boosting is ahead of, by mean AUC over the replicates that both have."""
    if not models:
        return "No model of dien's beside it: name a folder of dien compare with --against.\n"
    ahead, behind = [], []
    for name, measured in models.items():
        less = difference(_figures(whole, "auc"), _figures(measured, "auc"), several)
        if less is None:
            behind.append(f"{name} (no AUC to compare)")
        else:
            p = "no test: a single replicate" if less.p is None else f"p = {less.p:.2g}"
            (ahead if less.mean > 0 else behind).append(f"{name} ({less.mean:+.4f}, {p})")
    parts = [("is ahead of", ahead), ("is not ahead of", behind)]
    return "".join(f"Boosting {what} {', '.join(names)}.\n" for what, names in parts if names)


def gains_table(gains: Sequence[Mapping[str, float]], groups: Mapping[str, str]) -> str:
    """Show the share of each group of inputs, and of each input, in the gain of the trees' splits.

    Args:
        gains: by input, of each replicate.
        groups: of each input.
    """
    names = dict.fromkeys(name for gain in gains for name in gain)
    share = {name: fmean(gain.get(name, 0.0) for gain in gains) for name in names}
    of_group: dict[str, list[str]] = defaultdict(list)
    for name in sorted(share, key=share.__getitem__, reverse=True):
        of_group[groups[name]].append(name)
    total = {group: sum(share[name] for name in members) for group, members in of_group.items()}
    shown = ["| inputs | gain | of which |", "| --- | ---: | --- |"]
    for group in sorted(total, key=total.__getitem__, reverse=True):
        members = ", ".join(f"{name} {share[name]:.1%}" for name in of_group[group])
        shown.append(f"| {group} | {total[group]:.1%} | {members} |")
    return "\n".join([*shown, ""])


def _figures(measured: Measured, metric: str) -> dict[Replicate, float]:
    found = {replicate: getattr(metrics, metric) for replicate, metrics in measured.items()}
    return {replicate: value for replicate, value in found.items() if value is not None}


def _spread(found: Spread | None) -> str:
    if found is None:
        return "-"
    return f"{found.mean:.4f}" + ("" if found.std is None else f" ± {found.std:.4f}")


def _difference(found: Difference | None) -> str:
    if found is None:
        return "-"
    if found.low is None or found.p is None:
        return f"{found.mean:+.4f}"
    return f"{found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f}; p = {found.p:.2g})"
