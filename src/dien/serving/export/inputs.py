"""One request in a graph: its inputs, and the embeddings that a model reads of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dien.data.batch import popularity_numbers
from dien.data.changing import Changing
from dien.layers import FeatureEmbedding
from dien.models.inputs import Inputs
from dien.models.popularity_inputs import NEVER
from dien.run import Run
from dien.serving.export.columns import embedded, feature_input, newest, one_more
from dien.serving.export.graph import FLOAT, Graph, Name, Tensor, ints
from dien.serving.export.layers import joined, weight
from dien.serving.export.matches import logarithms, match_inputs, positive
from dien.serving.export.tables import embedded_rows
from dien.serving.features import RequestFields

HISTORY, CANDIDATES, USER, TIMES, TIME, POPULARITY = (
    "history", "candidates", "user", "times", "time", "popularity"
)  # fmt: skip
UNKNOWN_TIME = -1
"""Stands for a time that is not known."""
STEPS, OF_CANDIDATES = "steps", "candidates"
"""Names of the lengths that differ from request to request."""


@dataclass(frozen=True)
class Request:
    """What a model reads of a request of ``T`` behaviours, ``S = T + 1`` steps and ``B`` candidates.

    The last step counts for nothing, and is there so that no tensor is empty.

    Attributes:
        run: of the model.
        graph: that it is in.
        rows: ``[S]`` item rows of the history, 0 of unknown items.
        candidates: ``[B]`` item rows, likewise.
        mask: ``[S]``, 1 for behaviours.
        length: ``[1]``, ``T``.
        aged: whether matches have an age.
    """

    run: Run
    graph: Graph
    rows: Name
    candidates: Name
    mask: Name
    length: Name
    aged: bool

    @classmethod
    def of(cls, run: Run, graph: Graph) -> Request:
        """Add the inputs that every request has."""
        given = newest(graph, graph.input(HISTORY, np.int64, STEPS), run.config.model.max_history)
        rows = graph.op("Max", one_more(graph, given, "categorical"), ints(0))
        candidates = graph.op("Max", graph.input(CANDIDATES, np.int64, OF_CANDIDATES), ints(0))
        length = graph.op("Shape", given)  # [1]
        places = graph.op("Range", np.array(0), graph.op("Size", rows), np.array(1))  # [S]
        mask = graph.op("Cast", graph.op("Less", places, length), to=FLOAT)
        return cls(run, graph, rows, candidates, mask, length, RequestFields(run).ages)

    def for_each(self, x: Tensor) -> Name:
        """Give every candidate the same ``[1, width]``: ``[B, width]``."""
        shape = self.graph.op("Concat", self.graph.op("Shape", self.candidates), ints(1), axis=0)
        return self.graph.op("Expand", x, shape)

    def behaviours(self, embedding: FeatureEmbedding) -> Name | None:
        """Embed the behaviours' own features of an embedding: ``[S, width]``; None where it has none."""
        return self._of_inputs(embedding, "behaviour")

    def context(self, embedding: FeatureEmbedding) -> Name | None:
        """Embed the context's features of an embedding: ``[1, width]``; None where it has none."""
        return self._of_inputs(embedding, "context")

    def items(self, embedding: FeatureEmbedding) -> tuple[Name, Name]:
        """Embed the items' features of an embedding: of the history ``[S, ·]`` and candidates ``[B, ·]``."""
        table = embedded_rows(self.run, embedding)
        assert table is not None  # a schema has features of items
        return self.graph.op("Gather", table, self.rows), self.graph.op("Gather", table, self.candidates)

    def user(self, embedding: FeatureEmbedding) -> Name | None:
        """Embed the user's features of an embedding: ``[1, width]``; None where it has none."""
        table = embedded_rows(self.run, embedding)
        if table is None:
            return None
        row = self.graph.op("Max", self.graph.input(USER, np.int64, 1), ints(0))
        return self.graph.op("Gather", table, row)

    def _of_inputs(self, embedding: FeatureEmbedding, side: Literal["behaviour", "context"]) -> Name | None:
        own = {feature.name: feature for feature in self.run.schema.of(side)}
        graph, parts = self.graph, list[Tensor | None]()
        for feature in embedding.features:
            if feature.name not in own:
                continue
            values = feature_input(graph, own[feature.name], STEPS if side == "behaviour" else 1)
            if side == "behaviour":
                values = newest(graph, values, self.run.config.model.max_history)
            part = embedded(graph, embedding, feature, one_more(graph, values, feature.kind))
            parts.append(part if side == "behaviour" else graph.op("Gather", part, ints(0)))
        return joined(graph, parts) if parts else None


@dataclass(frozen=True)
class Embedded:
    """The embeddings of a request, as :class:`dien.models.inputs.Embedded` has those of a batch.

    Attributes:
        history: ``[S, E]`` behaviours.
        items: ``[S, D]`` their items alone.
        target: ``[B, D]`` candidates.
        profile: ``[B, ·]`` user and context, and ``numbers``; None where there is none.
        numbers: ``[B, ·]`` matches and popularity; None where the model reads neither.
    """

    history: Name
    items: Name
    target: Name
    profile: Name | None
    numbers: Name | None


def embed(request: Request, inputs: Inputs) -> Embedded:
    """Embed a request as a model's inputs do a batch."""
    graph = request.graph
    items, target = request.items(inputs.item)
    own = [request.behaviours(inputs.behaviour)]
    if inputs.positions is not None:
        last = graph.op("Sub", graph.op("Squeeze", request.length), np.array(1))
        back = graph.op("Range", last, np.array(-2), np.array(-1))  # [S] 0 is the newest one
        own.append(graph.op("Gather", weight(inputs.positions), graph.op("Max", back, ints(0))))
    history = joined(graph, [items, *own]) if any(own) else items
    of_user, of_context = request.user(inputs.profile), request.context(inputs.profile)
    profile = None
    if of_user or of_context:
        profile = request.for_each(joined(graph, [of_user, of_context]))
    numbers = _numbers(request, inputs)
    if profile and numbers:
        profile = joined(graph, [profile, numbers])
    return Embedded(history, items, target, profile or numbers, numbers)


def _numbers(request: Request, inputs: Inputs) -> Name | None:
    """Make the inputs ``[B, ·]`` of matches and popularity."""
    run, graph = request.run, request.graph
    parts = []
    if inputs.matches is not None:
        parts.append(_matches(request, inputs))
    if (module := inputs.popularity) is not None:
        F = len(run.schema.matched)
        raw = graph.input(POPULARITY, np.float32, OF_CANDIDATES, popularity_numbers(F))
        missing = np.zeros(popularity_numbers(F), np.float32)
        missing[-1] = NEVER
        logs = logarithms(graph, raw, weight(module.unit), weight(module.size), missing)
        parts.append(joined(graph, [logs, positive(graph, raw, slice(0, F))]))
    return joined(graph, [*parts]) if parts else None


def _matches(request: Request, inputs: Inputs) -> Name:
    run, graph = request.run, request.graph
    most = run.config.model.match_history
    assert inputs.matches is not None

    def read(name: Name) -> Name:
        return one_more(graph, newest(graph, graph.input(name, np.int64, STEPS), most), "categorical")

    times = (read(TIMES), graph.input(TIME, np.int64, 1)) if request.aged else None
    columns = [
        column for name in run.schema.matched[1:] if not isinstance(column := run.items[name], Changing)
    ]
    return match_inputs(graph, inputs.matches, columns, read(HISTORY), CANDIDATES, times)
