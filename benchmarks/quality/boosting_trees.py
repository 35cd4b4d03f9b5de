"""Train LightGBM on the inputs of boosting.py, and measure it as dien measures its models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from boosting_inputs import Inputs
from numpy.typing import NDArray

from dien.data.dataset import Dataset
from dien.data.ragged import row_of
from dien.data.tables import SPLITS, Split
from dien.training.metrics import Metrics, MetricStream

ROUNDS, PATIENCE = 3000, 50
PARAMETERS = {
    "objective": "binary",
    "metric": "auc",
    "learning_rate": 0.05,
    "num_leaves": 63,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class Outcome(msgspec.Struct, frozen=True):
    """What boosting came to on a replicate.

    Attributes:
        data: the dataset folder.
        seed: the training seed.
        without: groups of inputs that were left out.
        fingerprint: of the folder's dataset.json.
        rounds: trees that were kept.
        valid: metrics of the validation split, on which the number of trees and the calibration are chosen.
        test: metrics of the test split.
        gain: share of each input in the gain of all splits of the trees; adds up to 1.
        notes: what of the dataset was not counted.
    """

    data: str
    seed: int
    without: tuple[str, ...]
    fingerprint: str
    rounds: int
    valid: Metrics
    test: Metrics
    gain: dict[str, float]
    notes: tuple[str, ...]

    @property
    def key(self) -> tuple[str, int, tuple[str, ...]]:
        """What tells it from others."""
        return self.data, self.seed, self.without


@dataclass(frozen=True)
class Trained:
    """A model that is trained.

    Attributes:
        rounds: trees that were kept.
        scores: log odds ``[rows]`` of valid and of test.
        gain: of each input.
    """

    rounds: int
    scores: dict[str, NDArray[np.float32]]
    gain: NDArray[np.float64]


def train(
    inputs: dict[str, NDArray[np.float32]], names: Sequence[str], splits: dict[str, Split], seed: int
) -> Trained:
    """Train LightGBM, stopped early by the AUC of valid, and score valid and test.

    Args:
        inputs: by split ``[rows, inputs]``.
        names: of the inputs.
        splits: labels and weights of their rows.
        seed: of the rows and inputs that each tree sees.
    """
    import lightgbm

    def table(name: str, reference: Any = None) -> Any:
        rows = splits[name]
        return lightgbm.Dataset(
            inputs[name],
            label=np.asarray(rows.label),
            weight=None if rows.weight is None else np.asarray(rows.weight),
            feature_name=list(names),
            reference=reference,
        )

    training = table("train")
    booster = lightgbm.train(
        {**PARAMETERS, "seed": seed},
        training,
        num_boost_round=ROUNDS,
        valid_sets=[table("valid", training)],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    rounds = booster.best_iteration or booster.current_iteration()
    return Trained(
        rounds,
        {
            name: booster.predict(inputs[name], raw_score=True, num_iteration=rounds).astype(np.float32)
            for name in ("valid", "test")
        },
        booster.feature_importance("gain", iteration=rounds),
    )


def outcome(
    dataset: Dataset, inputs: Inputs, data: str, seed: int, without: tuple[str, ...], fingerprint: str
) -> Outcome:
    """Train on a replicate, and measure as dien measures its models: calibrated on valid."""
    kept = [place for place, group in enumerate(inputs.groups) if group not in without]
    names = [inputs.names[place] for place in kept]
    chosen = {str(name): values[:, kept] for name, values in inputs.values.items()}
    trained = train(chosen, names, {str(name): dataset.split(name) for name in SPLITS}, seed)

    def stream(name: Any) -> MetricStream:
        rows, made = dataset.split(name), MetricStream()
        user = rows.user[row_of(np.diff(rows.offsets))]
        made.update(trained.scores[name], rows.label, user, rows.weight)
        return made

    calibration = stream("valid").fit()
    whole = float(trained.gain.sum()) or 1.0
    return Outcome(
        data=data,
        seed=seed,
        without=without,
        fingerprint=fingerprint,
        rounds=trained.rounds,
        valid=stream("valid").compute(calibration),
        test=stream("test").compute(calibration),
        gain={name: float(gain) / whole for name, gain in zip(names, trained.gain, strict=True)},
        notes=inputs.notes,
    )
