"""What the replicates of several models say: means, spreads, and whether one model is ahead of another."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from dien.training.metrics import METRICS

CONFIDENCE = 0.95
BASE_MODEL = "sum-pooling"

Replicate = tuple[str, int]
"""DATA and training seed: what every model gets alike."""


@dataclass(frozen=True)
class Spread:
    """A figure over replicates.

    Attributes:
        mean: over independent ones, as the interval.
        std: sample standard deviation over all of them; None of a single one.
        low: lower end of the 95 % confidence interval of the mean, by Student's t over independent
            replicates; None where there is only one.
        high: upper end.
        count: replicates.
    """

    mean: float
    std: float | None
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class Difference:
    """One model's AUC less another's, over the replicates that both have.

    Attributes:
        mean: of the differences.
        low: lower end of its 95 % confidence interval; None without a test.
        high: upper end.
        p: two-sided p value of the paired t test; None where fewer than two replicates are independent.
        count: independent replicates.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    count: int


def independent(values: Mapping[Replicate, float], several: bool) -> list[float]:
    """Reduce the figures of replicates to independent ones.

    Seeds on one DATA differ in initialisation, order and drawn negatives only. Where ``several`` DATA are
    compared on, seeds on the same one share its split, and count as one replicate: their mean. So they do
    where the runs on the other DATA are not done, or failed: the figures speak of splits, and of one alone
    there is no spread.
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
    every, apart = list(values.values()), independent(values, several)
    mean, low, high = statistics.fmean(apart), None, None
    if len(apart) > 1:
        half = _t(len(apart)) * statistics.stdev(apart) / len(apart) ** 0.5
        low, high = mean - half, mean + half
    std = statistics.stdev(every) if len(every) > 1 else None
    return Spread(mean, std, low, high, len(every))


def difference(
    first: Mapping[Replicate, float], second: Mapping[Replicate, float], several: bool = False
) -> Difference | None:
    """Hold the first model's figures against the second's; None where they share no replicate.

    ``several`` as :func:`independent`.
    """
    both = {replicate: first[replicate] - second[replicate] for replicate in first if replicate in second}
    if not both:
        return None
    apart = independent(both, several)
    mean = statistics.fmean(apart)
    if len(apart) == 1:
        return Difference(mean, None, None, None, 1)
    error = statistics.stdev(apart) / len(apart) ** 0.5
    if not error:  # the same difference everywhere
        return Difference(mean, mean, mean, float(mean == 0), len(apart))
    from scipy import stats

    test = stats.ttest_1samp(apart, 0.0)
    interval = test.confidence_interval(CONFIDENCE)
    return Difference(mean, float(interval.low), float(interval.high), float(test.pvalue), len(apart))


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


def summarise(models: Sequence[str], runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the runs of a comparison together.

    Args:
        models: names, in their order.
        runs: ``runs`` of ``comparison.json``.

    Returns:
        ``base``, the model RelaImpr is over: BaseModel where it is among the models, else the first;
        ``best``, that of the highest mean AUC, None without any; ``table``, a record for each model, with
        figures as :class:`Spread` and ``over_best`` as :class:`Difference`; ``differences`` of all pairs,
        with ``p_holm``, p adjusted over the steps from each model to the next, None of all other pairs;
        ``untested``, why there is no test, None where there is one.
    """
    done = [run for run in runs if run["status"] == "done"]
    several = len({run["data"] for run in runs}) > 1

    def of(model: str, figure: Callable[[Mapping[str, Any]], float | None]) -> dict[Replicate, float]:
        found = {(r["data"], r["seed"]): figure(r) for r in done if r["model"] == model}
        return {replicate: value for replicate, value in found.items() if value is not None}

    auc = {model: of(model, lambda run: run["test"]["auc"]) for model in models}
    base = BASE_MODEL if BASE_MODEL in models else models[0]
    known = [model for model in models if auc[model]]
    best = max(known, key=lambda model: statistics.fmean(auc[model].values()), default=None)
    records = []
    for model in models:
        record: dict[str, Any] = {"model": model, "runs": sum(run["model"] == model for run in done)}
        for metric in METRICS:
            figures = of(model, lambda run, metric=metric: run["test"][metric])  # type: ignore[misc]
            record[metric] = _plain(spread(figures, several))
        record["relative_improvement"] = relative_improvement(auc[model], auc[base])
        over_best = None if best in (None, model) else difference(auc[model], auc[str(best)], several)
        record["over_best"] = _plain(over_best)
        record["parameters"] = next((run["parameters"] for run in done if run["model"] == model), None)
        for rate in ("training_rows_per_second", "scoring_rows_per_second"):
            rates = of(model, lambda run, rate=rate: run[rate])  # type: ignore[misc]
            record[rate] = statistics.median(rates.values()) if rates else None
        records.append(record)
    pairs = [
        {"model": one, "over": other, **asdict(found), "p_holm": None}
        for other, one in combinations(models, 2)
        if (found := difference(auc[one], auc[other], several))
    ]
    _adjust_steps(models, pairs)
    untested = None
    if len(models) > 1 and not any(pair["p"] is not None for pair in pairs):
        untested = (
            "a paired test needs two replicates or more that two models have an AUC in: "
            + ("give more DATA" if several else "raise --seeds, or give several DATA")
            if known
            else "no run has an AUC on the test split"
        )
    return {"base": base, "best": best, "table": records, "differences": pairs, "untested": untested}


def _adjust_steps(models: Sequence[str], pairs: Sequence[dict[str, Any]]) -> None:
    """Set ``p_holm`` of each model against the one named before it; a step without a test counts as p = 1."""
    known = {(pair["model"], pair["over"]): pair for pair in pairs if pair["p"] is not None}
    steps = list(zip(models[1:], models, strict=False))
    for step, adjusted in zip(
        steps, holm([known[s]["p"] if s in known else 1.0 for s in steps]), strict=True
    ):
        if step in known:
            known[step]["p_holm"] = adjusted


def _plain(figure: Spread | Difference | None) -> dict[str, Any] | None:
    return None if figure is None else asdict(figure)


def _t(count: int) -> float:
    """Half width of the confidence interval of a mean of ``count`` figures, in standard errors."""
    from scipy import stats

    return float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
