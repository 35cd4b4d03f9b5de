"""A comparison as a Markdown table."""

from dataclasses import dataclass

from dien.training.summary import Difference, Replicate, Spread, difference, spread


@dataclass(frozen=True)
class Line:
    """What the seeds of one model came to.

    Attributes:
        model: its name.
        settings: what was set, for people.
        auc: on the test split, by seed.
        log_loss: likewise.
        best_epochs: by validation AUC, of each seed.
        parameters: of the model, None where no seed is done.
    """

    model: str
    settings: str
    auc: dict[int, float]
    log_loss: dict[int, float]
    best_epochs: list[int]
    parameters: int | None


def table(title: str, lines: list[Line]) -> str:
    """Show models, of which the first is ours: means and standard deviations over the seeds that are done.

    A difference is ours less theirs, seed by seed, with the 95 % confidence interval of its mean.
    """
    shown = [
        f"**{title}**",
        "",
        "| | test AUC | ours less theirs (95 %) | LogLoss | ours less theirs (95 %) | seeds | best epochs "
        "| parameters | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in lines:
        cells = [line.model]
        for own, first in ((line.auc, lines[0].auc), (line.log_loss, lines[0].log_loss)):
            cells.append(_spread(spread(_replicates(own))))
            cells.append(
                "" if line is lines[0] else _difference(difference(_replicates(first), _replicates(own)))
            )
        epochs = " ".join(map(str, line.best_epochs))
        parameters = "" if line.parameters is None else f"{line.parameters:,}"
        cells += [str(len(line.auc)), epochs, parameters, line.settings]
        shown.append(f"| {' | '.join(cells)} |")
    return "\n".join([*shown, ""])


def _replicates(figures: dict[int, float]) -> dict[Replicate, float]:
    return {("", seed): value for seed, value in figures.items()}


def _spread(found: Spread | None) -> str:
    if found is None:
        return ""
    return f"{found.mean:.4f}" + ("" if found.std is None else f" ± {found.std:.4f}")


def _difference(found: Difference | None) -> str:
    if found is None:
        return ""
    interval = "" if found.low is None else f" ({found.low:+.4f} to {found.high:+.4f})"
    return f"{found.mean:+.4f}{interval}"
