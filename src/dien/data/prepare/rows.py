"""The second pass over a log: the impressions of each split, with their candidates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.data.features.columns import from_pieces, pieces_of
from dien.data.negative_sampling import NegativeSampler
from dien.data.prepare.columns import ColumnWriter
from dien.data.prepare.features import Features
from dien.data.prepare.negatives import add_negatives, positive_of
from dien.data.prepare.splits import SplitEvents
from dien.data.tables import SPLITS, Split, SplitName


def make_splits(
    split_events: SplitEvents,
    features: Features,
    *,
    warmup: int,
    kept: NDArray[np.bool_] | None,
    sampler: NegativeSampler | None,
    per_positive: int,
    seed: int,
    scratch: Path | None,
) -> dict[SplitName, Split]:
    """Make the impressions of every split.

    Args:
        split_events: the log.
        features: encode the context.
        warmup: behaviours a user must have before the first impression.
        kept: ``[training impressions]`` which of them are kept; None for all.
        sampler: draws negatives for impressions that have positives only; None for real negatives.
        per_positive: how many of each positive.
        seed: the negatives follow from it.
        scratch: folder for columns while they grow; None keeps them in memory.
    """
    writers = {name: ColumnWriter(scratch and scratch / name) for name in SPLITS}
    # A generator for each split, so that max_train_rows leaves validation and test as they are.
    rngs = {name: np.random.default_rng([seed, number]) for number, name in enumerate(SPLITS, 1)}
    rows = dict.fromkeys(SPLITS, 0)
    for writer in writers.values():
        writer.append("offsets", np.zeros(1, np.int64))
    behaviours, trained = 0, 0  # in the slices so far
    for _, events, shown, split in split_events.slices():
        warm = shown.past >= warmup
        for number, name in enumerate(SPLITS):
            chosen = shown.keep(warm & (split == number))
            if name == "train" and kept is not None:
                before, trained = trained, trained + len(chosen)
                chosen = chosen.keep(kept[before:trained])
            item = events.item[chosen.candidate]
            label = events.clicked[chosen.candidate].astype(np.int8)
            weight = None if events.weight is None else events.weight[chosen.candidate]
            lengths = chosen.lengths
            conversion = None if events.conversion is None else events.conversion[chosen.candidate]
            if sampler is not None:
                if weight is not None or conversion is not None:
                    own = positive_of(lengths, per_positive)
                    weight = None if weight is None else weight[own]
                    conversion = None if conversion is None else conversion[own]
                item, label, lengths = add_negatives(item, lengths, per_positive, sampler, rngs[name])
            writer = writers[name]
            writer.append("user", chosen.user)
            writer.append("end", chosen.end + behaviours)
            writer.append("time", chosen.time)
            if events.history is not None:
                writer.append("start", chosen.end + behaviours - chosen.past)
            writer.append("offsets", rows[name] + np.cumsum(lengths))
            rows[name] += int(lengths.sum())
            writer.append("item", item)
            writer.append("label", label)
            if weight is not None:
                writer.append("weight", weight)
            if conversion is not None:
                writer.append("conversion", conversion * label)
            for feature, column in features.encode(events.features_of(chosen.event), "context").items():
                for piece, values in pieces_of(column).items():
                    writer.append(f"context/{feature}/{piece}", values)
        behaviours += int(events.behaviour.sum())
    return {name: _finish(writer, features) for name, writer in writers.items()}


def _finish(writer: ColumnWriter, features: Features) -> Split:
    columns = writer.finish()
    pieces: dict[str, dict[str, NDArray[Any]]] = {}
    for name, values in columns.items():
        if name.startswith("context/"):
            _, feature, piece = name.split("/")
            pieces.setdefault(feature, {})[piece] = values
    context = {f.name: from_pieces(pieces[f.name]) for f in features.schema.of("context")}
    return Split(
        user=columns["user"],
        end=columns["end"],
        time=columns["time"],
        context=context,
        offsets=columns["offsets"],
        item=columns["item"],
        label=columns["label"],
        weight=columns.get("weight"),
        conversion=columns.get("conversion"),
        start=columns.get("start"),
    )
