"""Vectors as a feature: how they are read, scaled and stored; that a model learns from them and scores."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dien.config import load_config
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.data.features import Feature, Schema, Vector
from dien.data.features.encoders import BadVectorError, Scaled, ScaledVectors
from dien.data.features.schema import encoder_from_json, encoder_to_json
from dien.data.inspection import inspect_data
from dien.data.log import Log
from dien.data.prepare import impressions
from dien.data.prepare.append import append
from dien.data.prepare.splits import ByTime
from dien.data.readers.messages import BadValueError
from dien.data.sources.table import TableSpec, read
from dien.data.sources.table.infer import infer
from dien.data.writer import write
from dien.errors import DataError
from dien.run import Run
from dien.serving.files import score_file
from dien.serving.scorer import Scorer
from dien.training import fit
from tests.data.logs import random_log

LISTS = pl.List(pl.Float32())
WIDE = 5  # numbers of a vector
SMALL = ("training.epochs=1", "training.learning_rate=0.02", "model.max_history=5", "model.hidden_size=6")

vectors = st.integers(1, 4).flatmap(
    lambda size: st.lists(
        st.none() | st.lists(st.floats(-1e3, 1e3, width=32), min_size=size, max_size=size), min_size=1
    )
)


def column(values: Sequence[Any], dtype: pl.DataType = LISTS) -> pl.Series:
    return pl.Series("text", values, dtype=dtype)


@settings(max_examples=60)
@given(vectors, st.integers(0, 2**31))
def test_vectors_are_centred_and_of_length_one_in_the_mean_square_by_the_training_rows(
    values: list[list[float] | None], seed: int
) -> None:
    counts = np.random.default_rng(seed).integers(0, 3, len(values))
    encoder = Vector().fit(column(values), counts)
    assert isinstance(encoder, ScaledVectors)
    assert encoder_from_json(json.loads(json.dumps(encoder_to_json(encoder)))) == encoder
    found = encoder.encode(column(values))
    missing = [value is None for value in values]
    assert Vector.known(found).tolist() == [not one for one in missing]
    assert Vector.fits(found, encoder.size)
    seen = [(np.array(v), n) for v, n in zip(values, counts, strict=True) if v is not None and n]
    repeated = [v for v, n in seen for _ in range(n)]
    if repeated:
        mean = np.mean(repeated, 0)
        norm = np.sqrt(np.mean([np.sum((v - mean) ** 2) for v in repeated])) or 1.0
        assert encoder.mean == pytest.approx(mean.tolist(), rel=1e-9, abs=1e-9)
        known = [(np.array(v) - encoder.mean) / encoder.norm for v in values if v is not None]
        assert found[~np.array(missing)] == pytest.approx(np.array(known), rel=1e-5, abs=1e-6)
        assert encoder.norm == pytest.approx(norm, rel=1e-6)


@settings(max_examples=40)
@given(arrays(np.float32, (6, 3), elements=st.floats(-10, 10, width=32)), st.lists(st.booleans(), min_size=6))
def test_a_request_is_encoded_to_the_bit_as_a_table_of_any_format_is(
    numbers: np.ndarray, given: list[bool]
) -> None:
    values = [row.tolist() if known else None for row, known in zip(numbers, given, strict=False)]
    encoder = Vector().fit(column(values), np.ones(6, np.int64))
    expected = encoder.encode_values(values)
    double = pl.List(pl.Float64())
    text = [None if value is None else json.dumps(value) for value in values]
    for raw in (
        column(values),
        column(values, double),
        column(values, pl.Array(pl.Float64(), 3)),
        column(text, pl.String()),
    ):
        assert np.array_equal(encoder.encode(Vector().parse(raw, pl.Float64())), expected, equal_nan=True)


@pytest.mark.parametrize(
    ("values", "at", "message"),
    [
        ([[1.0, 2.0], None, [1.0]], 2, "a vector of 1 numbers; expected 2 numbers, as the first one has"),
        ([None, []], 1, "a vector of 0 numbers; expected numbers, or null"),
        ([[1.0], [float("nan")]], 1, "nan as number 1 of a vector; expected a list of finite numbers"),
        ([[1.0, 2.0], None, [0.0, float("inf")]], 2, "inf as number 2 of a vector"),
        ([[1.0, 2.0], [0.0, None]], 1, "nothing as number 2"),
        ([[1e31]], 0, "1e\\+31 as number 1"),
        ([None, "[0.5, 1]", "0.5;1"], 2, "write it as \\[0.5, -1\\]"),
        (["[0.5, 1]", "[0.5, x]"], 1, "nothing as number 2"),
        ([["a"], ["b"]], 0, "lists of text; expected lists of numbers"),
        ([1.5, 2.5], 0, "1.5 in a column of floats; expected lists of numbers"),
    ],
)
def test_what_is_no_vector_of_that_length_is_refused_with_its_row(
    values: list[Any], at: int, message: str
) -> None:
    with pytest.raises(BadValueError, match=message) as refused:
        Vector().parse(pl.Series(values), pl.Float32())
    assert refused.value.index == at


@settings(max_examples=60)
@given(vectors.filter(any), st.data(), st.integers(0, 1))
def test_what_is_no_vector_is_not_encoded_either_and_its_row_is_counted_from_1(
    values: list[list[float] | None], data: st.DataObject, first: int
) -> None:
    encoder = Vector().fit(column(values), np.ones(len(values), np.int64))
    row = data.draw(st.sampled_from([row for row, value in enumerate(values) if value is not None]))
    short = [0.5] * (encoder.size - 1)
    number = "a number of its vector is missing or not finite"
    wrong, said = data.draw(
        st.sampled_from(
            [
                (short, f"a vector of {len(short)} numbers; expected {encoder.size}"),
                *(([*short, end], number) for end in (None, float("nan"), float("-inf"))),
            ]
        )
    )
    given_values = [*values[:row], wrong, *values[row + 1 :]]
    feature = Feature("text", "item", encoder.size, "vector", encoder=encoder)
    for encode, many in ((encoder.encode, column(given_values)), (encoder.encode_values, given_values)):
        with pytest.raises(BadVectorError, match=f"^row {row + 1}: {said}"):
            encode(many)
        with pytest.raises(DataError, match=f"^feature text: row {first + row}: {said}"):
            feature.encode(many, {}, first=first)


def test_a_column_of_vectors_without_any_is_left_out_with_a_word(log: Log, tmp_path: Path) -> None:
    nothing = column([None] * log.items.height).alias("text")
    where = "feature text is left out: it has no value in any row"
    with pytest.warns(UserWarning, match=where):
        made = impressions(replace(log, items=log.items.with_columns(nothing)), ByTime(0.6, 0.8))
    assert made.dropped == ("text",)
    assert "text" not in [feature.name for feature in made.schema.features]
    wrong = log.items.with_columns(
        pl.when(pl.int_range(pl.len()) == 3).then([0.5]).otherwise("text").alias("text")
    )
    with pytest.raises(DataError, match=f"feature text: row 4: a vector of 1 numbers; expected {WIDE}"):
        impressions(replace(log, items=wrong), ByTime(0.6, 0.8))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "numeric"}, "is numeric, which has no encoder of type scaled-vectors"),
        ({"encoder": None}, "is vector and has no encoder"),
        ({"encoder": Scaled(0.0, 1.0), "size": 1}, "is vector, which has no encoder of type scaled"),
        ({"size": 3}, "size 3, that of its encoder is 2"),
        ({"kind": "categorical"}, "is categorical, which has no encoder of type scaled-vectors"),
        ({"frozen": True}, "is frozen, its width is that of its 2"),
        ({"encoder": ScaledVectors((0.0, float("inf")), 1.0)}, "a number of its encoder is not finite"),
    ],
)
def test_a_stored_vector_that_does_not_fit_its_encoder_is_refused(
    wrong: dict[str, Any], message: str
) -> None:
    right = Feature("text", "item", 2, "vector", encoder=ScaledVectors((0.0, 1.0), 2.0))
    assert Schema.from_json(Schema((right,)).to_json()) == Schema((right,))
    with pytest.raises(ValueError, match=rf"features\[0\]: 'text': {message}"):
        Schema.from_json(Schema((replace(right, **wrong),)).to_json())


def random_vectors(rows: int, seed: int) -> list[list[float] | None]:
    rng = np.random.default_rng(seed)
    made: list[list[float] | None] = rng.normal(3, 2, (rows, WIDE)).astype(np.float32).tolist()
    made[rows // 2] = None
    return made


@pytest.fixture(scope="module")
def log() -> Log:
    log = random_log(users=30, items=20, events=900)

    def made(name: str, rows: int, seed: int) -> pl.Series:
        return column(random_vectors(rows, seed)).alias(name)

    return replace(
        log,
        items=log.items.with_columns(made("text", 20, 8), made("look", 20, 9)),
        users=log.users.with_columns(made("face", log.users.height, 7)),
        events=log.events.with_columns(made("at", 900, 5), made("as", 900, 6)),
        features={
            "look": Vector(side="item", frozen=True),
            "text": Vector(width=3),
            "at": Vector(side="behaviour"),
        },
    )


@pytest.fixture(scope="module")
def data(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("vectors")
    write(impressions(log, ByTime(0.6, 0.8), scratch=folder), folder / "data")
    return Dataset.open(folder / "data")


@pytest.fixture(scope="module")
def run(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    config = load_config(overrides=[*SMALL])
    fit(data, config, folder / "run", show_progress=False)
    return Run.open(folder / "run")


def test_vectors_of_every_side_are_prepared_stored_and_inspected(data: Dataset, log: Log) -> None:
    features = {feature.name: feature for feature in data.schema.features}
    assert {name: features[name].side for name in ("text", "look", "face", "at", "as")} == {
        "text": "item",
        "look": "item",
        "face": "user",
        "at": "behaviour",
        "as": "context",
    }
    assert (features["text"].width, features["text"].frozen) == (3, False)
    assert (features["look"].width, features["look"].frozen) == (WIDE, True)
    encoder = features["text"].encoder
    assert isinstance(encoder, ScaledVectors)
    stored = data.items["text"]
    assert isinstance(stored, np.ndarray)
    assert stored.shape == (21, WIDE)
    assert np.array_equal(stored[1:], encoder.encode(log.items["text"]), equal_nan=True)
    assert np.isnan(stored[0]).all()  # the unknown item
    unknown = {(one.feature, one.split): one.unknown for one in inspect_data(data).coverage}
    assert 0 < unknown["text", "train"] < 0.3
    data.check()


def test_a_batch_has_the_vectors_of_histories_and_targets(data: Dataset) -> None:
    batch = Batches(data, "train", batch_size=64, max_history=5).batch(0, 0)
    assert batch.target["text"].shape == (len(batch), WIDE)
    assert batch.history["at"].shape == batch.history["text"].shape == (len(batch.history["item"]), WIDE)


def test_a_damaged_vector_is_found(data: Dataset, tmp_path: Path) -> None:
    file = data.path / "items/text.npy"
    right = np.load(file)
    wrong = right.copy()
    wrong[3, 1] = np.nan
    try:
        np.save(file, wrong)
        with pytest.raises(DataError, match=r"text"):
            Dataset.open(data.path).check()
    finally:
        np.save(file, right)


def test_what_is_learned_of_a_vector_is_a_map_and_of_a_frozen_one_what_stands_for_none(run: Run) -> None:
    weights = run.load_model().state_dict()
    assert weights["inputs.item.numbers.0.weight"].shape == (1 + WIDE, 3)
    assert weights["inputs.item.numbers.1.weight"].shape == (1, WIDE)
    assert all(weights[f"inputs.item.numbers.{k}.weight"][0].all() for k in (0, 1))  # they start at 0


def request(data: Dataset) -> dict[str, Any]:
    return {
        "user": data.user_ids.values[1],
        "history": data.item_ids.values[1:3].to_list(),
        "candidates": data.item_ids.values[1:4].to_list(),
    }


def test_a_new_item_is_scored_by_its_vector_given_or_appended(
    run: Run, data: Dataset, log: Log, tmp_path: Path
) -> None:
    scorer = Scorer(run)
    one, other = random_vectors(20, 3)[:2]
    asked = request(data) | {"candidates": ["new", "new", "newer"]}
    found = scorer.score(**asked, candidate_features={"text": [one, other, None], "look": [None, None, None]})
    assert found[0] != found[1]
    lines = [
        {**asked, "text": [one, other, None], "as": None},
        {**asked, "text": [one, None, None], "as": [0.5] * WIDE, "at": [None, [1] * WIDE]},
    ]
    (tmp_path / "requests.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    score_file(scorer, tmp_path / "requests.jsonl", tmp_path / "scores.parquet")
    scores = pl.read_parquet(tmp_path / "scores.parquet")["scores"]
    assert scores[0].to_list() == pytest.approx(found.tolist(), abs=1e-6)
    assert scores[1][0] != scores[0][0]

    tables = {"user": log.users["user"], "item": log.items["item"]}
    ids = {side: dict(zip(of, range(1, 99), strict=False)) for side, of in tables.items()}
    events = log.events.with_columns(
        pl.col("time") + 10**6,
        *(pl.col(side).replace_strict(of, return_dtype=pl.Int32) for side, of in ids.items()),
    )
    events = events.with_columns(item=pl.when(pl.int_range(pl.len()) == 5).then(21).otherwise("item"))
    new = pl.DataFrame({"item": ["new"], "text": [one]}, schema_overrides={"text": LISTS})
    later = replace(log, items=pl.concat([log.items, new], how="diagonal"), events=events)
    grown = append(data, later, ByTime(0.5, 0.7))
    write(grown, tmp_path / "grown")
    by_row = Scorer(run, Dataset.open(tmp_path / "grown")).score(**asked | {"candidates": ["new"]})
    assert by_row.tolist() == pytest.approx(found[:1].tolist(), abs=1e-6)
    wrong = replace(later, items=later.items.with_columns(pl.col("text").list.head(2)))
    with pytest.raises(DataError, match=r"feature text: row \d+: a vector of 2 numbers; expected 5"):
        append(data, wrong, ByTime(0.5, 0.7))


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1.0, 2.0], "expected a list of lists of 5 finite numbers; this one has 2"),
        ([1.0, 2.0, 3.0, 4.0, None], "a number of it is missing; give None in place of the whole vector"),
        ([1.0, 2.0, 3.0, 4.0, float("nan")], "a number of it is missing"),
        (0.5, "expected a list of lists of 5 finite numbers"),
    ],
)
def test_a_request_with_another_vector_is_refused(
    vector: Any, message: str, run: Run, data: Dataset, tmp_path: Path
) -> None:
    scorer, asked = Scorer(run), request(data)
    with pytest.raises(ValueError, match=f"^text: .*{message}"):
        scorer.score(**asked, candidate_features={"text": [None, vector, None]})
    lines = [{**asked, "text": None}, {**asked, "text": [None, vector, None]}]
    text = "".join(json.dumps(line) + "\n" for line in lines).replace("NaN", "null")
    (tmp_path / "requests.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"requests\.jsonl.* 2.*text.*of 5 finite numbers"):
        score_file(scorer, tmp_path / "requests.jsonl", tmp_path / "scores.parquet")


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_table_of_items_has_vectors_all_of_one_length_over_its_files(
    suffix: str, log: Log, tmp_path: Path
) -> None:
    log.events.drop("at", "as").write_parquet(tmp_path / "log.parquet")
    items = log.items.select("item", embedding="text")
    halves = [items.head(12), items.tail(8)]

    def save(parts: list[pl.DataFrame]) -> list[Path]:
        paths = [tmp_path / f"items{k}.{suffix}" for k in range(2)]
        for part, path in zip(parts, paths, strict=True):
            part.write_parquet(path) if suffix == "parquet" else part.write_ndjson(path)
        return paths

    features = {"item": {"text": {"kind": "vector", "column": "embedding", "width": 3}}}
    spec = TableSpec.of({"features": features}, "schema.yaml")
    made = read([tmp_path / "log.parquet"], save(halves), None, spec)
    both = made.items.join(log.items, on="item", suffix="_given")
    assert both["text"].to_list() == both["text_given"].to_list()
    assert impressions(made, ByTime(0.6, 0.8)).schema.of("item")[-1].size == WIDE
    wrong = pl.when(pl.int_range(pl.len()) == 3).then(pl.col("embedding").list.head(2))
    paths = save([halves[0], halves[1].with_columns(wrong.otherwise("embedding").alias("embedding"))])
    where = rf"items1\.{suffix}: (row|line) 4: column 'embedding'"
    with pytest.raises(DataError, match=f"{where}: found a vector of 2 numbers; expected 5 numbers"):
        read([tmp_path / "log.parquet"], paths, None, spec)


def test_the_log_may_hold_the_vectors_of_its_items_and_users_and_they_may_change(
    log: Log, tmp_path: Path
) -> None:
    log.events.write_parquet(tmp_path / "log.parquet")
    said = {"kind": "vector", "from": "interactions"}
    features = {"item": {"at": said}, "user": {"as": {**said, "changes": True}}}
    spec = TableSpec.of({"features": features}, "schema.yaml")
    with pytest.warns(UserWarning, match="features.item.at: .* change it in the interactions"):
        made = read([tmp_path / "log.parquet"], None, None, spec)
    assert made.items["at"].dtype == made.changes["as"]["as"].dtype == LISTS
    latest = log.events.filter(pl.col("at").is_not_null()).sort("time", maintain_order=True)
    wanted = latest.group_by("item").agg(pl.col("at").last())
    assert dict(made.items.select("item", "at").iter_rows()) == dict(wanted.iter_rows())
    schema = impressions(made, ByTime(0.6, 0.8)).schema
    assert {f.name: (f.kind, f.changes) for f in schema.features if f.kind == "vector"} == {
        "at": ("vector", False),
        "as": ("vector", True),
    }


@pytest.mark.parametrize("dtype", [LISTS, pl.Array(pl.Float32(), WIDE)], ids=["lists", "of one size"])
def test_a_draft_takes_lists_of_as_many_floats_for_vectors(
    dtype: pl.DataType, log: Log, tmp_path: Path
) -> None:
    log.events.drop("at", "as").write_parquet(tmp_path / "log.parquet")
    uneven = pl.when(pl.int_range(pl.len()) == 3).then(pl.col("look").list.head(2)).otherwise("look")
    described = log.items.filter(pl.col("text").is_not_null())  # pyarrow 25 reads no null of one size
    items = described.with_columns(uneven.alias("look"), pl.col("text").cast(dtype))
    items.write_parquet(tmp_path / "items.parquet")
    assert pl.read_parquet_schema(tmp_path / "items.parquet")["text"] == dtype
    draft = infer([tmp_path / "log.parquet"], [tmp_path / "items.parquet"], None)
    assert "    text: {kind: vector}  # lists of 5 numbers each" in draft
    assert "# left out: look: only lists of text, or of as many numbers in each row, are a feature" in draft
