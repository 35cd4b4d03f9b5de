"""Embedding tables that are drawn anew for each epoch: the rest of the network never learns one by heart."""

from __future__ import annotations

import torch
from torch import nn

from dien.data.features import Schema
from dien.models import Model, build
from dien.training.optimiser import RowAdam


@torch.no_grad()
def draw_tables(model: Model, optimiser: RowAdam, schema: Schema, seed: int, epoch: int) -> None:
    """Give every embedding table new first weights, and forget what the optimiser knows of it.

    Click models overfit in their second epoch (Zhang et al., arXiv 2209.06053): the network has met the
    embeddings of all rows by then. With new embeddings an epoch is as new to it as the first (multi-epoch
    learning with data augmentation, MEDA: Fan et al., arXiv 2305.19531).

    Args:
        model: of which the tables are (every ``nn.Embedding``); the rest stays as it is.
        optimiser: of its parameters.
        schema: of the data.
        seed: of the training; the weights follow from it and the epoch alone.
        epoch: that begins, from 0.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed((seed * 1_000_003 - epoch) % 2**63)
        fresh = dict(build(model.config, schema).named_modules())
    for name, part in model.named_modules():
        if isinstance(part, nn.Embedding):
            part.weight.copy_(fresh[name].weight)
            optimiser.state.pop(part.weight, None)
