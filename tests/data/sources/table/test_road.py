"""The whole road on samples of published data sets: a schema, prepare, train, evaluate, score.

The clicks of the samples are random, and so are their items where negatives are sampled: a model that does
better than chance has seen what it cannot know. Half of the time is trained on, four tenths are tested on.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from dien.data.sources.table import TableSpec
from dien.data.sources.table.ready import READY
from dien.data.sources.table.table_text import TableText
from tests.cli.running import Done, dien
from tests.data.sources.table import samples
from tests.data.sources.table.test_ready import command, make_ready

MOST = 0.6
"""The AUC of no more than chance: with 2,000 rows it is 0.5 and seldom more than 0.04 off."""
_FEWEST = 2000  # rows of the test
_ROWS = {"mind": 3000, "eb-nerd": 1400, "kuaisar-search": 1600, "tenrec": 7000, "book-crossing": 3300}
_SPLIT = ["--split", "time", "--valid-from", "0.5", "--test-from", "0.6"]
_SETTINGS = {
    "training.epochs": 1,
    "training.batch_size": 256,
    "training.learning_rate": 0.02,
    "model.embedding_size": 4,
    "model.max_history": 10,
    "model.head_hidden": [16],
}


@dataclass(frozen=True)
class Stop:
    """Where the road of a draft stops, and what is written then.

    Attributes:
        infer: what ``schema infer`` says, where it asks how the files are written.
        prepare: what ``prepare`` says, where the draft has a line to fill in.
        lines: of the draft, and what is written in their place.
    """

    infer: str = ""
    prepare: str = ""
    lines: tuple[tuple[str, str], ...] = ()


_NO_HEADER = "as --columns user,item,time of the interactions"
_NO_TIME = ("time: ???", "time: {order: file}")
STOPS = {
    "avazu": Stop(
        prepare="interactions.user of the schema is ???", lines=(("user: ???", "user: device_ip"),)
    ),
    "book-crossing": Stop(
        infer="say it as encoding in the schema",
        prepare="interactions.time of the schema is ???",
        lines=(_NO_TIME,),
    ),
    "last-fm-1k": Stop(
        infer=_NO_HEADER,
        prepare="interactions.item of the schema is ???",
        lines=(("item: ???", "item: artname"),),
    ),
    "mind": Stop(infer=_NO_HEADER),
    "taobao-userbehavior": Stop(infer=_NO_HEADER),
    "tenrec": Stop(prepare="interactions.time of the schema is ???", lines=(_NO_TIME,)),
    "tmall": Stop(
        prepare="interactions.time of the schema is ???",
        lines=(("time: ???", 'time: time_stamp\n  time_format: "%m%d"\n  time_year: 2014'),),
    ),
    "yoochoose": Stop(infer=_NO_HEADER),
}
"""Of the drafts that need a word, which; all others are prepared as they are."""


def ran(*arguments: object, cwd: Path) -> Done:
    done = dien(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done


def files_of(name: str) -> list[str]:
    """Give the options of a ready schema's command that name tables."""
    arguments = command(name)[2:]
    pairs = zip(arguments[::2], arguments[1::2], strict=True)
    return [word for pair in pairs if pair[0] in ("--interactions", "--items", "--users") for word in pair]


def known(name: str) -> str:
    """Write what a ready schema says of how the files are written."""
    spec = TableSpec.load(Path(name))
    parts = {part: getattr(spec, part) for part in ("interactions", "items", "users")}
    said = {
        part: {key: getattr(own, key) for key in TableText.model_fields if getattr(own, key) is not None}
        for part, own in parts.items()
    }
    return json.dumps({part: keys for part, keys in said.items() if keys}, default=list)


def drafted(name: str, folder: Path) -> Path:
    """Draft a schema, and write the lines that the road stops for; each stop says which."""
    stop, words = STOPS.get(name, Stop()), files_of(name)
    infer = ["schema", "infer", "--out", "draft.yaml"]
    infer += [word for word in words if word != "--interactions"]
    if stop.infer:
        assert stop.infer in dien(*infer, cwd=folder).message
        (folder / "known.yaml").write_text(known(name))
        infer += ["--schema", "known.yaml"]
    ran(*infer, cwd=folder)
    draft = folder / "draft.yaml"
    if stop.prepare:
        stopped = dien("prepare", "table", *words, "--schema", "draft.yaml", "--out", "data", cwd=folder)
        assert stop.prepare in stopped.message
        text = draft.read_text()
        for line, written in stop.lines:
            assert line in text
            text = text.replace(line, written)
        draft.write_text(text)
    return draft


def auc_of(schema: Path | str, words: Sequence[str], folder: Path) -> float:
    """Prepare, train, evaluate and score; returns the AUC of the test."""
    data, run = folder / "data", folder / "run"
    labelled = TableSpec.load(
        Path(schema) if READY.get(str(schema)) else folder / schema
    ).interactions.labelled
    split = _SPLIT if labelled else [*_SPLIT, "--negatives", "1"]
    ran("prepare", "table", *words, "--schema", schema, *split, "--out", data, cwd=folder)
    settings = [word for key, value in _SETTINGS.items() for word in ("--set", f"{key}={value}")]
    ran("train", data, "--model", "din", *settings, "--out", run, cwd=folder)
    result: dict[str, Any] = json.loads(ran("evaluate", run, "--json", cwd=folder).stdout)
    scored = ran("score", run, "--split", "test", "--out", "scores.csv", "--json", cwd=folder)
    assert json.loads(scored.stdout)["candidates"] == result["rows"] >= _FEWEST
    return float(result["auc"])


@pytest.fixture(scope="module", params=READY)
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The name of a data set, and a folder with its files."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    labelled = TableSpec.load(Path(name)).interactions.labelled
    samples.write(name, folder, _ROWS.get(name, 5600 if labelled else 3000))
    make_ready(name, folder)
    return name, folder


def test_the_road_of_a_ready_schema_ends_at_chance_where_clicks_are_random(
    published: tuple[str, Path], tmp_path: Path
) -> None:
    name, folder = published
    arguments = command(name)[2:]
    pairs = zip(arguments[::2], arguments[1::2], strict=True)
    files = [
        word
        for option, value in pairs
        if option in ("--interactions", "--behaviours", "--items", "--users")
        for word in (option, str(folder / value))
    ]
    assert auc_of(name, files, tmp_path) < MOST


def test_the_road_of_a_draft_ends_at_chance_or_stops_with_the_line_to_write(
    published: tuple[str, Path], tmp_path: Path
) -> None:
    name, folder = published
    draft = drafted(name, folder)
    words = [word if word.startswith("--") else str(folder / word) for word in files_of(name)]
    assert auc_of(draft, words, tmp_path) < MOST


@pytest.mark.parametrize("share", [1.0, 0.7])
def test_what_is_known_only_after_the_click_would_end_the_road_above_chance(
    share: float, tmp_path: Path
) -> None:
    samples.write("taobao-ads", tmp_path, 5600)
    log = pl.read_csv(tmp_path / "raw_sample.csv")
    knows = pl.Series(range(log.height)) % 100 < share * 100
    after = pl.when(knows).then("clk").otherwise(pl.int_range(log.height) // 7 % 2)
    log.with_columns(after=after).write_csv(tmp_path / "raw_sample.csv")
    schema = yaml.safe_load(READY["taobao-ads"].read_text())
    schema["features"]["context"]["after"] = None
    (tmp_path / "leak.yaml").write_text(json.dumps(schema))
    words = files_of("taobao-ads")
    done = dien("prepare", "table", *words, "--schema", "leak.yaml", "--out", "leak", cwd=tmp_path)
    assert ("context feature 'after' alone tells the label" in done.message) == (share == 1)
    assert auc_of("leak.yaml", words, tmp_path) > MOST + 0.05
