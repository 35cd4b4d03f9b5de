"""Whether a dataset goes on with the one that a run was trained on: every index still means the same."""

from __future__ import annotations

from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.run import Run, differences


def expect_extends(dataset: Dataset, run: Run, mend: str) -> None:
    """Refuse a dataset whose indices do not mean what they mean to a run.

    Every vocabulary of the run must be the beginning of the dataset's, and the features must otherwise be the
    same, in the same order.

    Args:
        dataset: what has grown since.
        run: what was trained before.
        mend: what to do about a difference.

    Raises:
        RunError: a feature or a vocabulary is another; the message names the first difference.
    """
    _expect_features(dataset, run, mend)
    for name, old in run.vocabularies.items():
        new = dataset.vocabularies[name].values
        if len(new) < len(old):
            raise RunError(
                f"{dataset.path}: the vocabulary of {name} has {len(new)} values, that of {run.path} has "
                f"{len(old)}; it may only grow: {mend}"
            )
        moved = new[: len(old)].ne_missing(old.values)
        if moved.any():
            index = int(moved.arg_max() or 0)
            raise RunError(
                f"{dataset.path}: index {index} in the vocabulary of {name} is {new[index]!r}, in that of "
                f"{run.path} {old.values[index]!r}; no index may change its meaning: {mend}"
            )


def _expect_features(dataset: Dataset, run: Run, mend: str) -> None:
    if run.schema.conversion != dataset.schema.conversion:
        has, lacks = (run, dataset) if run.schema.conversion else (dataset, run)
        raise RunError(f"{has.path}: has conversions, {lacks.path} has none; {mend}")
    old, new = ({f.name: f for f in schema.features} for schema in (run.schema, dataset.schema))
    for name in (*old, *new):
        if name not in new:
            raise RunError(f"{dataset.path}: has no feature {name}, as {run.path} has; {mend}")
        if name not in old:
            raise RunError(f"{dataset.path}: has a feature {name}, {run.path} has none; {mend}")
    for name, feature in old.items():
        # A size may grow with its vocabulary; where there is none, the encoder decides it.
        for key, was, now in differences(vars(feature), {**vars(new[name]), "size": feature.size}):
            raise RunError(
                f"{dataset.path}: {key} of the feature {name} is {now!r}, in {run.path} {was!r}; {mend}"
            )
    if list(old) != list(new):  # weights that read concatenated embeddings know them by their place
        raise RunError(
            f"{dataset.path}: has its features in the order {', '.join(new)}, {run.path} in the order "
            f"{', '.join(old)}; {mend}"
        )
