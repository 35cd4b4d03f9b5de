"""The batch size and the learning rate, where they are left to the number of training rows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dien.config import RunConfig
from dien.data.batch_sampler import BatchSampler
from dien.data.dataset import Dataset

STEPS_AN_EPOCH = 512
FEWEST, MOST = 128, 512
RATE_OF_MOST = 5e-3


def batch_size_for(rows: int) -> int:
    """Choose how many candidates a step has: fewer where rows are few, so that an epoch has enough steps.

    Args:
        rows: training rows.

    Returns:
        The power of two that comes nearest to 512 steps an epoch, from 128 to 512.
    """
    power = round(math.log2(max(rows, 1) / STEPS_AN_EPOCH))
    return int(min(max(2**power, FEWEST), MOST))


def learning_rate_for(batch_size: int) -> float:
    """Choose the step size of Adam that goes with a batch size: it grows with its square root.

    Args:
        batch_size: candidates a step.

    Source:
        Malladi et al., "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms", NeurIPS 2022.
    """
    return float(f"{RATE_OF_MOST * math.sqrt(batch_size / MOST):.2g}")


def settled(config: RunConfig, dataset: Dataset, since: int | None = None) -> RunConfig:
    """Put numbers in place of a batch size and a learning rate that are null.

    Args:
        config: model and training.
        dataset: what it will be trained on.
        since: only on impressions at this second or later (:func:`dien.training.warm.since`); None for all.
    """
    training = config.training
    rows = BatchSampler(dataset.splits["train"], MOST, since=since).rows  # whatever the size of a batch
    size = training.batch_size or batch_size_for(rows)
    found: Mapping[str, float] = {
        "batch_size": size,
        "learning_rate": training.learning_rate or learning_rate_for(size),
    }
    return config.model_copy(update={"training": training.model_copy(update=found)})
