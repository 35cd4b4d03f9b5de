"""The values of the next trial of a search, by Optuna's TPE, and which keys have mattered so far.

What is suggested follows from a trial's number and the trials before it, whatever processes there are and
however often the search was stopped: the three before it count as running, whether they have ended or not, so
that four can run side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from dien.models import Choice, LogUniform, Space
from dien.training.tuning import Trial

SIDE_BY_SIDE = 4  # trials at most; one is suggested when all but the last three before it have ended
RANDOM_TRIALS = 10  # whose results are known before one is suggested from results
IMPORTANCE_TRIALS = 20  # with fewer, the best quarter, which it compares with the others, are too few
DIGITS = 3  # of a number out of a range: more decide nothing and differ from machine to machine


def known(number: int) -> int:
    """How many trials, from the first on, must have ended before the one of this number is suggested."""
    return max(number - SIDE_BY_SIDE + 1, 0)


def suggest(begun: Sequence[Trial], space: Space, own: Mapping[str, Any]) -> dict[str, Any]:
    """Suggest the values of the next trial.

    Args:
        begun: the trials before it.
        space: what is searched.
        own: values of the first trial, as far as they are in the space.
    """
    number = len(begun)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(
        seed=number, n_startup_trials=RANDOM_TRIALS, multivariate=True, constant_liar=True
    )
    study = _study(begun, known(number), space, sampler)
    if number == 0:
        inside = {key: own[key] for key in space if own[key] in space[key]}
        study.enqueue_trial({key: _to_optuna(space[key], value) for key, value in inside.items()})
    suggested = study.ask(_distributions(space)).params
    return {key: _from_optuna(values, suggested[key]) for key, values in space.items()}


def importance(begun: Sequence[Trial], space: Space) -> dict[str, float] | None:
    """Weigh each key by what sets the best quarter apart (PED-ANOVA); None where trials are too few."""
    done = [trial for trial in begun if trial.valid_auc is not None]
    if len(done) < IMPORTANCE_TRIALS:
        return None
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    found = optuna.importance.get_param_importances(_study(done, len(begun), space), evaluator=evaluator)
    return {key: found[key] for key in space}


def _study(
    begun: Sequence[Trial], known: int, space: Space, sampler: optuna.samplers.BaseSampler | None = None
) -> optuna.Study:
    """Give Optuna the trials: the first ``known`` with their results, the others as running."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in begun:
        auc = trial.valid_auc if trial.trial < known else None
        state = TrialState.COMPLETE if auc is not None else TrialState.FAIL
        study.add_trial(
            create_trial(
                state=state if trial.trial < known else TrialState.RUNNING,
                value=auc,
                params={key: _to_optuna(space[key], value) for key, value in trial.values.items()},
                distributions=_distributions(space),
            )
        )
    return study


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    return {
        key: FloatDistribution(values.low, values.high, log=True)
        if isinstance(values, LogUniform)
        else IntDistribution(0, len(values.values) - 1)
        for key, values in space.items()
    }


def _to_optuna(values: LogUniform | Choice, value: Any) -> Any:
    return value if isinstance(values, LogUniform) else values.values.index(value)


def _from_optuna(values: LogUniform | Choice, value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(values, LogUniform) else values.values[value]
