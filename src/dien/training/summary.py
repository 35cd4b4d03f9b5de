"""Statistics over the replicates of several models: means, spreads, and tests of their differences."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from operator import attrgetter
from typing import Any

from msgspec import structs

from dien.training.comparison import (
    ComparedRun,
    Difference,
    DoneRun,
    ModelDifference,
    ModelSummary,
    Spread,
    Summary,
)
from dien.training.metrics import METRICS, OF_CONVERSIONS

CONFIDENCE = 0.95
BASE_MODEL = "sum-pooling"

Replicate = tuple[str, int]
"""Dataset folder and training seed: what every model gets alike."""


def independent(values: Mapping[Replicate, float], several: bool) -> list[float]:
    """Reduce the figures of replicates to independent ones.

    Seeds on one dataset differ in initialisation, order and drawn negatives only. With ``several`` datasets,
    seeds on the same one share its split, and count as one replicate: their mean. So they do where the runs
    on the other datasets are not done, or failed: the figures are about splits, and one split has no spread.
    """
    if not several:
        return list(values.values())
    by_data: dict[str, list[float]] = {}
    for (data, _), value in values.items():
        by_data.setdefault(data, []).append(value)
    return [statistics.fmean(of_one) for of_one in by_data.values()]


def spread(values: Mapping[Replicate, float], several: bool = False) -> Spread | None:
    """Mean and spread of a figure; None where there is none. ``several`` as :func:`independent`."""
    if not values:
        return None
    every, samples = list(values.values()), independent(values, several)
    mean, low, high = statistics.fmean(samples), None, None
    if len(samples) > 1:
        half = _t(len(samples)) * statistics.stdev(samples) / len(samples) ** 0.5
        low, high = mean - half, mean + half
    std = statistics.stdev(every) if len(every) > 1 else None
    return Spread(mean, std, low, high, len(every))


def difference(
    first: Mapping[Replicate, float], second: Mapping[Replicate, float], several: bool = False
) -> Difference | None:
    """Compare the first model's figures with the second's; None where they share no replicate.

    ``several`` as :func:`independent`.
    """
    both = {replicate: first[replicate] - second[replicate] for replicate in first if replicate in second}
    if not both:
        return None
    samples = independent(both, several)
    mean = statistics.fmean(samples)
    if len(samples) == 1:
        return Difference(mean, None, None, None, 1)
    error = statistics.stdev(samples) / len(samples) ** 0.5
    if not error:  # the same difference everywhere
        return Difference(mean, mean, mean, float(mean == 0), len(samples))
    from scipy import stats

    test = stats.ttest_1samp(samples, 0.0)
    interval = test.confidence_interval(CONFIDENCE)
    return Difference(mean, float(interval.low), float(interval.high), float(test.pvalue), len(samples))


def relative_improvement(auc: Mapping[Replicate, float], base: Mapping[Replicate, float]) -> float | None:
    """RelaImpr: how much further above 0.5 the mean AUC is than the base's, over replicates both have.

    None where they share none, or the base is no better than chance.
    """
    both = [replicate for replicate in auc if replicate in base]
    if not both:
        return None
    of_base = statistics.fmean(base[replicate] for replicate in both) - 0.5
    return None if of_base <= 0 else (statistics.fmean(auc[r] for r in both) - 0.5) / of_base - 1


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for being several (Holm, 1979).

    Where those at or below 0.05 are taken for real, the chance that any is not is at most 0.05.

    Args:
        p_values: of the tests that are made at once.

    Returns:
        The adjusted ones, in the same order; none is below its p value or above 1.
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    ascending = sorted(range(len(p_values)), key=p_values.__getitem__)
    for left, place in zip(range(len(p_values), 0, -1), ascending, strict=True):
        least = adjusted[place] = max(least, min(left * p_values[place], 1.0))
    return adjusted


def summarise(models: Sequence[str], runs: Sequence[ComparedRun]) -> Summary:
    """Put the runs of a comparison together.

    Args:
        models: names, in their order.
        runs: the runs, done or not.
    """
    done = [run for run in runs if isinstance(run, DoneRun)]
    several = len({run.data for run in runs}) > 1

    def of(model: str, figure: Callable[[DoneRun], float | None]) -> dict[Replicate, float]:
        found = {(run.data, run.seed): figure(run) for run in done if run.model == model}
        return {replicate: value for replicate, value in found.items() if value is not None}

    auc = {model: of(model, lambda run: run.test.auc) for model in models}
    base = BASE_MODEL if BASE_MODEL in models else models[0]
    known = [model for model in models if auc[model]]
    best = max(known, key=lambda model: statistics.fmean(auc[model].values()), default=None)

    def summary(model: str) -> ModelSummary:
        def metrics(part: str | None = None) -> dict[str, Spread | None]:
            return {name: spread(of(model, _metric(name, part)), several) for name in METRICS}

        figures: dict[str, Any] = metrics()
        for part in OF_CONVERSIONS:
            found = metrics(part)
            figures[part] = found if any(found.values()) else None
        for rate in ("training_rows_per_second", "scoring_rows_per_second"):
            rates = of(model, attrgetter(rate))
            figures[rate] = statistics.median(rates.values()) if rates else None
        return ModelSummary(
            model=model,
            runs=sum(run.model == model for run in done),
            relative_improvement=relative_improvement(auc[model], auc[base]),
            over_best=None if best in (None, model) else difference(auc[model], auc[str(best)], several),
            parameters=next((run.parameters for run in done if run.model == model), None),
            **figures,
        )

    found = {
        (model, over): compared
        for over, model in combinations(models, 2)
        if (compared := difference(auc[model], auc[over], several))
    }
    untested = None
    if len(models) > 1 and not any(compared.p is not None for compared in found.values()):
        untested = (
            "a paired test needs two replicates or more that two models have an AUC in: "
            + ("give more datasets" if several else "raise --seeds, or give several datasets")
            if known
            else "no run has an AUC on the test split"
        )
    p_holm = _adjusted_steps(models, found)
    return Summary(
        base=base,
        best=best,
        table=[summary(model) for model in models],
        differences=[
            ModelDifference(
                **structs.asdict(compared), model=names[0], over=names[1], p_holm=p_holm.get(names)
            )
            for names, compared in found.items()
        ],
        untested=untested,
    )


def _metric(name: str, part: str | None) -> Callable[[DoneRun], float | None]:
    """Make what takes a test metric of a run, of clicks or of a part of :data:`OF_CONVERSIONS`."""

    def figure(run: DoneRun) -> float | None:
        metrics = run.test if part is None else getattr(run.test, part)
        return None if metrics is None else getattr(metrics, name)

    return figure


def _adjusted_steps(
    models: Sequence[str], found: Mapping[tuple[str, str], Difference]
) -> dict[tuple[str, str], float]:
    """Adjust p of each model over the one named before it; a step without a test counts as p = 1."""
    steps = list(zip(models[1:], models, strict=False))
    p_values = {step: found[step].p if step in found else None for step in steps}
    adjusted = holm([1.0 if p is None else p for p in p_values.values()])
    return {step: p for step, p in zip(steps, adjusted, strict=True) if p_values[step] is not None}


def _t(count: int) -> float:
    """Half width of the confidence interval of a mean of ``count`` figures, in standard errors."""
    from scipy import stats

    return float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
