"""Scores raw ids with an exported model, by onnxruntime and numpy alone: nothing of dien is needed.

    python score_onnx.py exported/shop < requests.jsonl

A line of requests.jsonl is a request, as {"user": "u7", "history": ["a", "b"], "candidates": ["c", "d"]}.
Each has an answer: the click probabilities of its candidates.
"""

import json
import re
import sys
import zlib
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import onnxruntime

MOST = float(np.finfo(np.float32).max)


class ExportedModel:
    """What dien export has written: a graph, and how raw ids become its inputs."""

    def __init__(self, folder):
        self.said = json.loads(Path(folder, "preprocessing.json").read_text(encoding="utf-8"))
        self.session = onnxruntime.InferenceSession(Path(folder, "model.onnx"))

    def score(
        self, user, history, candidates, context=None, behaviours=None, times=None, time=None, popularity=None
    ):
        """Give the click probabilities of candidates; times are seconds since 1970, None where not known."""
        said, unknown = self.said, {}
        times = [None] * len(history) if times is None else times

        def rows(ids):  # items that are not known are told apart: a candidate may be in the history
            found = [(self.index(said["items"], one), self.spelt(one)) for one in ids]
            return np.array(
                [row or -1 - unknown.setdefault(one, len(unknown)) for row, one in found], np.int64
            )

        def seconds(given):
            return np.array([said["unknown_time"] if one is None else one for one in given], np.int64)

        feed = {"history": rows(history), "candidates": rows(candidates)}
        feed["user"] = np.array([self.index(said["users"], user)], np.int64)
        feed |= {"times": seconds(times), "time": seconds([time])}
        for name, feature in said["features"].items():
            values = (behaviours or {}).get(name, [None] * len(history))
            if feature["side"] == "context":
                values = [(context or {}).get(name)]
                if values[0] is None and time is not None and "from_time" in feature:
                    values = [of_clock(time, **feature["from_time"])]
            if feature.get("time_since"):
                values = [None if time is None or one is None else time - one for one in times]
            feed[feature["input"]] = self.encoded(feature, values)
        if "popularity" in said["inputs"]:
            width = 4 * len(said["popularity"]) + 2
            if np.shape(popularity) != (len(candidates), width):
                found = "none" if popularity is None else f"the shape {np.shape(popularity)}"
                raise ValueError(
                    f"popularity: found {found}, expected {width} numbers for each of the "
                    f"{len(candidates)} candidates (docs/export.md, Popularity)"
                )
            feed["popularity"] = np.array(popularity, np.float32)
        return self.session.run(None, {name: feed[name] for name in said["inputs"]})[0]

    def encoded(self, feature, values):
        """Make raw values of a feature what its input takes; None is not known."""
        encoder, kind = feature.get("encoder", {}), feature["kind"]
        if kind == "multi":
            lists = [
                [self.of_value(feature, one) for one in (() if many is None else many) if one is not None]
                for many in values
            ]
            longest = max(map(len, lists), default=0)
            filled = [one + [self.said["no_value"]] * (longest - len(one)) for one in lists]
            return np.array(filled, np.int64).reshape(len(lists), longest)
        if kind == "categorical" and encoder.get("type") != "intervals":
            return np.array([self.of_value(feature, value) for value in values], np.int64)
        if kind == "vector":
            missing = [np.nan] * len(encoder["mean"])
            vectors = np.array([missing if one is None else one for one in values], np.float64)
            vectors = np.clip(vectors.reshape(-1, len(missing)), -MOST, MOST)
            vectors = vectors.astype(np.float32).astype(np.float64)  # rounded first, as in training
            return np.clip((vectors - encoder["mean"]) / encoder["norm"], -MOST, MOST).astype(np.float32)
        numbers = np.array(values, np.float64)  # None becomes NaN
        if kind == "categorical":
            found = 1 + np.searchsorted(encoder["edges"], numbers, side="right")
            return np.where(np.isnan(numbers), 0, found).astype(np.int64)
        if encoder["log"]:
            numbers = np.sign(numbers) * np.log1p(np.abs(numbers))
        return np.clip((numbers - encoder["mean"]) / encoder["std"], -MOST, MOST).astype(np.float32)

    def of_value(self, feature, value):
        """Find the index of one value."""
        if "vocabulary" in feature:
            return self.index(self.said["vocabularies"][feature["vocabulary"]], value)
        text = self.spelt(value) if feature["encoder"]["respelt"] else str(value)
        return 0 if value is None else 1 + zlib.crc32(text.encode()) % feature["encoder"]["buckets"]

    def index(self, indices, value):
        """Look up an id, as it is and in its one spelling; 0 is unknown."""
        return indices.get(str(value)) or indices.get(self.spelt(value), 0) if value is not None else 0

    def spelt(self, value):
        """Write 12.0 as 12, and True as true."""
        whole = re.fullmatch(self.said["spelling"]["pattern"], str(value))
        return whole[1] if whole else self.said["spelling"]["values"].get(str(value), str(value))


def of_clock(time, what, zone):
    """Tell the hour or the weekday of a time in seconds since 1970."""
    clock = datetime.fromtimestamp(time, ZoneInfo(zone))
    weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    return str(clock.hour) if what == "hour" else weekdays[clock.weekday()]


if __name__ == "__main__":
    model = ExportedModel(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(model.score(**json.loads(line)).tolist()))
