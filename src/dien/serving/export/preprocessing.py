"""What a program has to know to make the inputs of a graph from raw ids: plain data for a JSON file.

docs/export.md explains every key. Vocabularies name each raw value with its index, so that one look-up does.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dien.data.features import TIME_SINCE, Feature
from dien.data.features.schema import encoder_to_json
from dien.data.spelling import BOOLEANS, WHOLE
from dien.data.vocabulary import Ids
from dien.run import Run
from dien.serving.export.columns import NO_VALUE, input_name
from dien.serving.export.graph import Graph
from dien.serving.export.inputs import POPULARITY, UNKNOWN_TIME, USER
from dien.serving.features import RequestFields

FORMAT = 1


def preprocessing(run: Run, graph: Graph, outputs: list[str]) -> dict[str, Any]:
    """Describe the inputs of a graph.

    Args:
        run: that it was made of.
        graph: it.
        outputs: names of its outputs.
    """
    fields = RequestFields(run)
    features = run.schema.of("context", "behaviour")
    vocabularies = {f.vocabulary for f in features if f.vocabulary is not None}
    return {
        "format": FORMAT,
        "model": run.config.model.name,
        "newest": run.config.model.longest_history,
        "inputs": list(graph.inputs),
        "outputs": outputs,
        "unknown_time": UNKNOWN_TIME,
        "no_value": NO_VALUE,
        "spelling": {"pattern": WHOLE, "values": BOOLEANS},
        "items": _indices(run.item_ids),
        "users": _indices(run.user_ids) if USER in graph.inputs else {},
        "vocabularies": {name: _indices(run.vocabularies[name]) for name in sorted(vocabularies)},
        "features": {f.name: _feature(f, fields) for f in features if input_name(f) in graph.inputs},
        **({"popularity": list(run.schema.matched)} if POPULARITY in graph.inputs else {}),
    }


def _feature(feature: Feature, fields: RequestFields) -> dict[str, Any]:
    """Say how a feature is encoded."""
    said: dict[str, Any] = {"input": input_name(feature), "side": feature.side, "kind": feature.kind}
    if feature.encoder is None:
        said["vocabulary"] = feature.vocabulary
    else:
        said["encoder"] = encoder_to_json(feature.encoder)
    if feature.name in fields.from_time:
        said["from_time"] = msgspec.to_builtins(fields.from_time[feature.name])
    if feature.name == TIME_SINCE:
        said["time_since"] = True
    return said


def _indices(ids: Ids) -> dict[str, int]:
    """Give the index of each raw value; of one that an earlier version kept in another spelling, of both."""
    own = {value: index for index, value in enumerate(ids.values.to_list()) if index}
    return ids.spelt | own
