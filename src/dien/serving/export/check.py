"""An exported model against the scorer of its run, on requests that are drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dien.data.batches import columns_of
from dien.data.changing import LATEST, values_at
from dien.data.features import Feature
from dien.data.ragged import Column, Ragged, row_of, to_offsets
from dien.serving.export.columns import NO_VALUE, input_name
from dien.serving.export.inputs import CANDIDATES, HISTORY, POPULARITY, TIME, TIMES, UNKNOWN_TIME, USER
from dien.serving.scored import ScoredFile
from dien.serving.scorer import Scorer

TOLERANCE = 1e-5
_SECONDS = 10_000_000  # of a third of a year: popularity and ages of every size


Engine = Callable[[dict[str, NDArray[Any]]], list[NDArray[np.float32]]]
"""Runs a model: from its inputs by name to its outputs in order. It may be given more than it reads."""


def largest_difference(scorer: Scorer, engine: Engine, requests: int, seed: int = 0) -> float:
    """Find the largest difference between the probabilities of an exported model and those of a scorer.

    Args:
        scorer: on the CPU.
        engine: runs the model.
        requests: how many are drawn; the first have 0, 1, 2, as many behaviours as are read, and one more.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    return max(_difference(scorer, engine, rng, length) for length in _lengths(scorer, rng, requests))


def _lengths(scorer: Scorer, rng: np.random.Generator, requests: int) -> list[int]:
    """Choose the lengths of histories: those at which something is cut, and others."""
    model = scorer.run.config.model
    edges = [0, 1, 2, model.max_history, model.max_history + 1, model.longest_history + 1]
    others: list[int] = rng.integers(0, model.max_history + 1, requests).tolist()
    return (edges + others)[:requests]


def _difference(scorer: Scorer, engine: Engine, rng: np.random.Generator, length: int) -> float:
    run = scorer.run
    candidates = int(rng.integers(1, 24))
    drawn = np.arange(1, len(run.item_ids))
    # Few items, of which some are not known: they match.
    some = np.append(rng.choice(drawn, min(len(drawn), 12)) if len(drawn) else [], [-1, -2]).astype(np.int32)
    end = 2 * _SECONDS if scorer.popularity is None else run.popularity.last
    now = max(0, end - int(rng.integers(0, _SECONDS)))
    times = np.maximum(0, np.sort(now - rng.integers(0, _SECONDS, length)))
    times[rng.random(length) < 0.1] = LATEST
    time = np.array([now if rng.random() < 0.8 else LATEST])
    context = {f.name: _random(f, 1, rng) for f in run.schema.of("context")}
    behaviours = {f.name: _random(f, length, rng) for f in run.schema.of("behaviour")}
    asked: dict[str, NDArray[Any]] = {
        USER: rng.integers(0, len(run.user_ids), 1),
        HISTORY: rng.choice(some, length),
        CANDIDATES: rng.choice(some, candidates),
    }
    expected = scorer.score_rows(
        user=asked[USER],
        history=asked[HISTORY],
        lengths=np.array([length]),
        candidates=asked[CANDIDATES],
        counts=np.array([candidates]),
        context=context,
        behaviours=behaviours,
        time=time,
        times=times,
        conversions=scorer.predicts_conversions,
        result=ScoredFile(),
    )
    feed = {name: values.astype(np.int64) for name, values in asked.items()}
    feed |= {TIMES: _or_unknown(times), TIME: _or_unknown(time)}
    feed |= {input_name(f): to_input(context[f.name]) for f in run.schema.of("context")}
    feed |= {input_name(f): to_input(behaviours[f.name]) for f in run.schema.of("behaviour")}
    if scorer.popularity is not None:
        rows = np.maximum(asked[CANDIDATES], 0)
        features = columns_of(values_at(run.items, rows, None))
        at = np.repeat(time, candidates)
        feed[POPULARITY] = scorer.popularity.numbers(asked[CANDIDATES], features, at).numpy()
    found = np.stack(engine(feed))
    return float(np.abs(found - expected.reshape(found.shape)).max())


def to_input(column: Column) -> NDArray[Any]:
    """Make an encoded feature ``[n]`` what its input takes: lists become rows of one length."""
    if not isinstance(column, Ragged):
        return column if column.dtype == np.float32 else column.astype(np.int64)
    lengths = np.diff(column.offsets)
    row = row_of(lengths)
    padded = np.full((len(column), int(lengths.max(initial=0))), NO_VALUE, np.int64)
    padded[row, np.arange(len(row)) - column.offsets[row]] = column.values
    return padded


def _random(feature: Feature, rows: int, rng: np.random.Generator) -> Column:
    """Draw encoded values of a feature; some are missing."""
    missing = rng.random(rows) < 0.2
    if feature.kind == "multi":
        offsets = to_offsets(np.where(missing, 0, rng.integers(0, 5, rows)))
        return Ragged(rng.integers(0, feature.size, offsets[-1]).astype(np.int32), offsets)
    if feature.kind == "categorical":
        return np.where(missing, 0, rng.integers(0, feature.size, rows)).astype(np.int32)
    numbers = rng.normal(size=(rows, feature.size) if feature.kind == "vector" else rows).astype(np.float32)
    numbers[missing] = np.nan
    return numbers


def _or_unknown(times: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(times == LATEST, UNKNOWN_TIME, times)
