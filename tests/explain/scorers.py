"""Scorers of any model, with weights that were drawn and scores that hang on every input."""

import copy
from dataclasses import replace
from typing import Any

import torch

from dien.models import build, model_config
from dien.serving import Scorer
from tests.embeddings import enlarge

READERS = (
    "sum-pooling",
    "wide-deep",
    "pnn",
    "din",
    "gru-attention",
    "gru+aigru",
    "gru+agru",
    "gru+augru",
    "dien",
    "dien:paper",
    "dien:authors",
    "dien:recbole",
)
"""Models that read histories."""


def scorer_of(base: Scorer, name: str, **options: Any) -> Scorer:
    """Make a scorer of another model of the same data, with weights of seed 0."""
    config = model_config(name).model_copy(update=options)
    torch.manual_seed(0)
    model = build(config, base.run.schema).eval()
    enlarge(model)
    return of(base, model, config)


def reading(base: Scorer, **options: int) -> Scorer:
    """Have the same model read another number of behaviours."""
    return of(base, base.model, base.run.config.model.model_copy(update=options))


def of(base: Scorer, model: Any, config: Any) -> Scorer:
    scorer = copy.copy(base)
    scorer.run = replace(base.run, config=base.run.config.model_copy(update={"model": config}))
    scorer.model = model.to(base.device)
    return scorer
