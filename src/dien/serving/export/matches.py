"""Matches of candidates and a history, counted in a graph (:mod:`dien.data.matches` says what they are)."""

from __future__ import annotations

import numpy as np

from dien.data.ragged import Column, Ragged
from dien.models.match_inputs import NONE, MatchInputs
from dien.serving.export.graph import BOOL, FLOAT, Graph, Name, Tensor, ints, number
from dien.serving.export.layers import joined, weight

_BEYOND = np.array(np.iinfo(np.int64).max)
"""Steps back of what does not match."""


def match_inputs(
    graph: Graph,
    module: MatchInputs,
    columns: list[Column],
    rows: Name,
    targets: Name,
    times: tuple[Name, Name] | None,
) -> Name:
    """Count matches, and make of the numbers the inputs that a model reads.

    Args:
        graph: to write into.
        module: what makes the inputs.
        columns: of the features that candidates are matched by besides the item itself, by item row.
        rows: ``[S]`` item rows of the history, below 0 of unknown items, the last one 0.
        targets: ``[B]`` item rows of the candidates, likewise.
        times: ``[S]`` seconds since 1970 of the history, 0 or below where not known; and ``[1]`` of the
            request, below 0 where not known. None where matches have no age.

    Returns:
        ``[B, 1 + 4 F]``.
    """
    T = graph.op("Sub", graph.op("Size", rows), ints(1))  # [1]
    ends = graph.op("Squeeze", T)
    back = graph.op("Range", ends, np.array(-1), np.array(-1))  # [S] 1 is the newest behaviour, 0 none
    here = graph.op("Shape", targets)
    length = graph.op("Expand", graph.op("Cast", T, to=FLOAT), here)  # [B]
    same = [_same(graph, graph.op("Unsqueeze", rows, ints(1)), graph.op("Unsqueeze", targets, ints(1)))]
    for column in columns:
        of_history, of_targets = (
            _lists(graph, column, graph.op("Max", one, ints(0))) for one in (rows, targets)
        )
        same.append(_same(graph, of_history, of_targets))
    counts, steps, ages = [], [], []
    for matched in same:  # [B, S]
        count = graph.op("ReduceSum", graph.op("Cast", matched, to=FLOAT), ints(1), keepdims=0)  # [B]
        first = graph.op("ReduceMin", graph.op("Where", matched, back, _BEYOND), axes=[1], keepdims=0)
        some = graph.op("Greater", count, number(0))
        nothing = np.array(np.nan, np.float32)
        counts.append(count)
        steps.append(graph.op("Where", some, graph.op("Cast", first, to=FLOAT), nothing))
        if times is None:
            ages.append(graph.op("Expand", nothing, here))
            continue
        place = graph.op("Sub", T, graph.op("Where", some, first, ints(0)))  # [B] the last step for none
        ages.append(_age(graph, graph.op("Gather", times[0], place), times[1]))
    numbers = [length, *counts, *steps, *ages]
    raw = joined(graph, [graph.op("Unsqueeze", one, ints(1)) for one in numbers])
    logs = logarithms(graph, raw, weight(module.unit), weight(module.size), number(NONE))
    return joined(graph, [logs, positive(graph, raw, slice(1, 1 + len(same)))])


def logarithms(graph: Graph, raw: Tensor, unit: Tensor, size: Tensor, missing: Tensor) -> Name:
    """Make ``log(1 + raw * unit) * size`` of numbers ``[B, ·]``, and something else of NaN."""
    logs = graph.op("Mul", graph.op("Log", graph.op("Add", graph.op("Mul", raw, unit), number(1))), size)
    return graph.op("Where", graph.op("IsNaN", raw), missing, logs)


def positive(graph: Graph, raw: Tensor, columns: slice) -> Name:
    """Mark by 1 which of some columns of ``[B, ·]`` are above 0."""
    some = graph.op("Slice", raw, ints(columns.start), ints(columns.stop), ints(1))
    return graph.op("Cast", graph.op("Greater", some, number(0)), to=FLOAT)


def _age(graph: Graph, then: Name, now: Name) -> Name:
    """Count the seconds ``[B]`` from some times to that of the request, NaN where one is not known."""
    known = graph.op("And", graph.op("Greater", then, ints(0)), graph.op("GreaterOrEqual", now, ints(0)))
    seconds = graph.op("Max", graph.op("Sub", now, then), ints(0))
    return graph.op("Where", known, graph.op("Cast", seconds, to=FLOAT), np.array(np.nan, np.float32))


def _lists(graph: Graph, column: Column, rows: Name) -> Name:
    """Look up the values of rows ``[n]``: ``[n, K]``, filled up with 0, which matches nothing."""
    if not isinstance(column, Ragged):
        return graph.op("Unsqueeze", graph.op("Gather", column.astype(np.int64), rows), ints(1))
    values = np.append(column.values.astype(np.int64), 0)  # never empty
    offsets = np.asarray(column.offsets, np.int64)
    first = graph.op("Gather", offsets[:-1], rows)
    many = graph.op("Gather", np.diff(offsets), rows)  # [n]
    place: Tensor
    if graph.known_lengths:
        place = np.arange(max(1, int(np.diff(offsets).max(initial=0))))
    else:
        longest = graph.op("Max", graph.op("ReduceMax", many, keepdims=0), np.array(1))
        place = graph.op("Range", np.array(0), longest, np.array(1))  # [K]
    wide = graph.op("Unsqueeze", first, ints(1))
    within = graph.op("Less", place, graph.op("Unsqueeze", many, ints(1)))  # [n, K]
    at = graph.op("Where", within, graph.op("Add", wide, place), ints(0))
    return graph.op("Where", within, graph.op("Gather", values, at), ints(0))


def _same(graph: Graph, history: Name, targets: Name) -> Name:
    """Mark which steps have a value ``[S, K]`` that a candidate has ``[B, K']``: ``[B, S]``.

    One value of the candidates after the other is compared, so that no tensor has all pairs of values.
    """
    alone = graph.op("Unsqueeze", history, ints(0))  # [1, S, K]
    shape = graph.op(
        "Concat",
        graph.op("Shape", targets, start=0, end=1),
        graph.op("Shape", history, start=0, end=1),
        axis=0,
    )
    nothing = graph.op("Cast", graph.op("Expand", ints(0), shape), to=BOOL)  # [B, S]

    def step(body: Graph, matched: Name, now: list[Name]) -> Name:
        wanted = body.op("Unsqueeze", now[0], ints(1, 2))  # [B, 1, 1]
        equal = body.op(
            "And", body.op("Equal", wanted, alone), body.op("Not", body.op("Equal", wanted, ints(0)))
        )
        any_of = body.op("ReduceMax", body.op("Cast", equal, to=FLOAT), axes=[2], keepdims=0)
        return body.op("Or", matched, body.op("Cast", any_of, to=BOOL))

    return graph.scan(nothing, [graph.op("Transpose", targets, perm=[1, 0])], step)
