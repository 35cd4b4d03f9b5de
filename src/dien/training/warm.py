"""A warm start: train a model further on a dataset that has grown since.

The model of a finished run goes on with the rows it has not been trained on. Its weights mean the same only
where every index does, so the new dataset must extend the run's:

- every vocabulary of the run is the beginning of the dataset's; new values come after it, none is renumbered;
- the features are otherwise the same, in the same order: side, kind, width, pooling, shared table, encoder;
- the model is configured alike; how it is trained may differ.

Weights are copied by name. An embedding table that grew has its old rows copied and its new rows freshly
initialised. The optimiser starts fresh.

The run that is written keeps where it comes from in its ``run.json``, so that it resumes by itself::

    "from": {"run": the earlier run, "rows_after": the second of its last training impression}

It trains on impressions later than ``rows_after``, which is null, for all rows, where the dataset has none.
"""

from __future__ import annotations

import torch
from torch import nn

from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.extension import expect_extends
from dien.models import Model, ModelConfig
from dien.run import Run, differences
from dien.run_info import Origin

_ANEW = "append to the dataset it was trained on (dien prepare ... --append), or train without --from"


def origin(source: Run, config: ModelConfig, dataset: Dataset) -> Origin:
    """Describe a warm start for ``run.json``, once it is sure to be possible.

    Args:
        source: the finished run to start from.
        config: the model to train.
        dataset: what to train it on.

    Raises:
        RunError: as :func:`expect_extension`.
    """
    expect_extension(source, config, dataset)
    newest_row = dataset.info.time["train"]
    last = int(source.info.dataset["time"]["train"][1])
    newer = newest_row is not None and newest_row[1] > last
    return Origin(str(source.path.resolve()), last if newer else None)


def since(start_from: Origin | None) -> int | None:
    """Give the second from which on the training rows of a run begin; None for all rows.

    Args:
        start_from: where the run comes from; None for fresh weights.
    """
    last = start_from.rows_after if start_from else None
    return None if last is None else last + 1


def expect_extension(source: Run, config: ModelConfig, dataset: Dataset) -> None:
    """Refuse a run whose weights would not mean the same in a model of this configuration and data.

    Raises:
        RunError: training of ``source`` has not ended, or the model, a feature or a vocabulary is another;
            the message names the first difference.
    """
    if not source.finished:
        raise RunError(f"{source.path}: training has not ended; go on with dien train ... --resume")
    if source.info.data is None:
        raise RunError(f"{source.path}: converted, so no dataset extends its own; train without --from")
    # The weights mean the same, however they were trained.
    same = {"sparse_gradients", "embedding_dropout", "match_dropout", "auxiliary_steps"}
    same |= source.config.model.without_effect().keys() & config.without_effect().keys()
    for key, was, now in differences(
        source.config.model.model_dump(exclude=same), config.model_dump(exclude=same)
    ):
        raise RunError(
            f"{source.path}: was trained with model.{key} = {was!r}, not {now!r}; start from it with the "
            f"same model ({source.options()})"
        )
    expect_extends(dataset, source, _ANEW)


def copy_weights(source: Run, model: Model) -> None:
    """Start a model from the weights of a run that :func:`expect_extension` lets through.

    Args:
        source: the finished run.
        model: of the same configuration; its tables may be higher, and keep the rows that are new.

    Raises:
        RunError: the weights cannot be read, or a shape differs.
    """
    weights = source.load_model(training=True).state_dict()
    tables = {f"{name}.weight" for name, part in model.named_modules() if isinstance(part, nn.Embedding)}
    with torch.no_grad():
        for name, new in model.state_dict().items():
            old = weights[name]
            same = new[: len(old)] if name in tables else new  # a view: what is new beyond it stays fresh
            if same.shape != old.shape:
                raise RunError(
                    f"{source.path}: {name} has the shape {list(old.shape)}, in the model to train "
                    f"{list(new.shape)}; train without --from"
                )
            same.copy_(old)
