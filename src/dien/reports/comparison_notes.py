"""What must be said beside the figures of a comparison: how they came about, and how far they go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dien.models.space import shown
from dien.training.comparison import Comparison, DoneRun, FailedRun


def notes(comparison: Comparison) -> Iterator[str]:
    """Say how the figures came about and how far they go, a sentence or two at a time."""
    data, seeds = comparison.data, comparison.seeds
    names = ", ".join(Path(path).name for path in data)
    where = names if len(data) == 1 else f"each of {names}"
    yield f"{_count(len(data) * seeds, 'replicate')}: {_count(seeds, 'training seed')} on {where}."
    unlike = dict(_unlike(comparison))
    other_batches = unlike.keys() & {"training.batch_size", "training.negatives"}
    alike = "impressions" if other_batches else "impressions and negatives, in the same order"
    yield (
        f"Within a replicate every model has the same {alike}; the epoch with the best validation AUC is "
        "tested."
    )
    for key, values in unlike.items():
        each = ", ".join(f"{model} {shown(value)}" for model, value in values.items())
        what = _MEANING.get(key, "")
        yield f"Not the same for every model: {key} ({each}){what}."
    for run in comparison.runs:
        if not isinstance(run, DoneRun):
            error = run.error.partition("\n")[0] if isinstance(run, FailedRun) else "not run to its end"
            yield f"{run.model}, seed {run.seed}: {run.status}: {error}"
    yield " ".join(["± is the sample standard deviation over replicates.", *_speak_of(comparison)])
    yield f"RelaImpr is over {comparison.base}: (AUC - 0.5) / (AUC of {comparison.base} - 0.5) - 1."
    if any(found.conversion for found in comparison.table):
        yield "RelaImpr, differences and tests are of clicks; nothing is tested of conversions."
    if comparison.untested:
        yield f"No test: {comparison.untested}."
    elif any(difference.p is not None for difference in comparison.differences):
        against, unadjusted = "", "The p values of all differences"
        if best_is_tested(comparison):
            against = f", against {comparison.best}, whose mean test AUC turned out highest"
            unadjusted = "Its p values and those of all differences"
        yield (
            f"The test is a paired t test, two-sided{against}; in brackets the 95 % confidence interval. "
            f"{unadjusted} are not adjusted for multiple tests; those of the steps, each model over the one "
            "named before it, are given adjusted, too (Holm)."
        )
    yield _speed(unlike)


def best_is_tested(comparison: Comparison) -> bool:
    """Whether any model could be tested against the best one."""
    return any(found.over_best is not None and found.over_best.p is not None for found in comparison.table)


def _speak_of(comparison: Comparison) -> Iterator[str]:
    """Say what the replicates have in common, and so what intervals and tests do not speak of."""
    several, seeds = len(comparison.data) > 1, comparison.seeds
    drawn = comparison.drawn
    if not several:
        if seeds > 1:
            yield "One split of the data: intervals and tests speak of seeds, not of another split."
        return
    if "split" not in drawn:
        own = "differ in sampled negatives alone" if drawn else "have the same rows"
        of = "seeds and negatives" if drawn else "seeds"
        yield (
            f"The datasets share one split, which no --seed of dien prepare changes, and {own}: intervals "
            f"and tests speak of {of}, not of another split."
        )
    else:
        yield f"Each dataset has its own {' and '.join(drawn)}."
    if seeds > 1:
        yield "Seeds on the same dataset share its rows: intervals and tests take the mean of each dataset."


def _speed(unlike: dict[str, dict[str, Any]]) -> str:
    sizes = unlike.get("training.batch_size")
    differ = (
        f", and batch sizes differ ({', '.join(f'{m} {shown(n)}' for m, n in sizes.items())})"
        if sizes
        else ""
    )
    return (
        "Rows/s are candidates on one thread, medians over runs: an indication, no measurement. Several runs "
        f"may have gone side by side, beside whatever else the machine did{differ}; for figures: dien bench."
    )


def _unlike(comparison: Comparison) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find what decides the rows, how they are trained on, and is not alike for all models."""
    settings = comparison.settings
    keys = [("training", key) for key in next(iter(settings.values()))["training"]]
    for part, key in [*keys, *(("model", key) for key in _READ)]:
        needed = _NEEDED.get(key)
        read = {model: of for model, of in settings.items() if not needed or of["model"].get(needed)}
        values = {model: of[part].get(key) for model, of in read.items()}
        if any(value != other for value in values.values() for other in values.values()):
            yield f"{part}.{key}", values


_READ = (
    "max_history",
    "filter_by",
    "filter_history",
    "matches",
    "match_history",
    "match_dropout",
    "popularity",
)
"""Keys of models that say what is read of the rows."""
_NEEDED = {"filter_history": "filter_by", "match_history": "matches", "match_dropout": "matches"}
"""The key without which another one has no effect."""
_MEANING = {
    "model.max_history": ": they read histories of other lengths",
    "model.filter_by": ": they read other parts of the histories",
    "model.filter_history": ": they search other parts of the histories",
    "model.popularity": ": some have the popularity of the target among their inputs",
    "model.matches": ": some have matches of target and history among their inputs",
    "model.match_history": ": they count matches over histories of other lengths",
    "model.match_dropout": ": training hides matches of other shares of the candidates",
}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
