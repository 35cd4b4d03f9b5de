"""Features of candidates and users in a request: new items and users are scored by them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dien.data.ragged import Ragged
from dien.run import Run
from dien.serving import Scorer, score_file

NEW = ["new", "i3", "newer", "i3"]
CATEGORIES = ["c1", None, "c3", "c0"]
PRICES = [3.0, None, None, 90.0]
TAGS = [["tag1", "tag2"], None, [], ["tag4", None, "no tag"]]


def with_catalogue(run: Run, candidates: list[str], told: dict[str, list[Any]], age: float | None) -> Scorer:
    """A scorer whose catalogue says what a request tells, in a row for each candidate and the user."""
    scorer = Scorer(Run.open(run.path))
    rows = scorer.run.item_ids.encode_values(candidates)
    items = {
        name: column[np.append(np.arange(len(column)), rows)] for name, column in scorer.run.items.items()
    }
    first, features = len(scorer.run.item_ids), {f.name: f for f in run.schema.of("item")}
    for name, values in told.items():
        encoded = features[name].encode(pl.Series(values, dtype=features[name].raw.dtype), run.vocabularies)
        for k, value in enumerate(values):
            if value is None:
                continue
            column = items[name]
            if isinstance(column, Ragged):
                lists = [column.values[column.offsets[r] : column.offsets[r + 1]] for r in range(len(column))]
                lists[first + k] = encoded.values[encoded.offsets[k] : encoded.offsets[k + 1]]
                offsets = np.cumsum([0, *map(len, lists)])
                items[name] = Ragged(np.concatenate(lists), offsets)
            else:
                column[first + k] = encoded[k]
    users = {name: column[[*range(len(column)), 0]] for name, column in scorer.run.users.items()}
    if age is not None:
        feature = next(f for f in run.schema.of("user") if f.name == "age")
        users["age"][-1] = feature.encode(pl.Series([age]), run.vocabularies)[0]
    vars(scorer.run).update(items=items, users=users)
    return scorer


def expected_scores(run: Run, told: dict[str, list[Any]], age: float | None) -> Any:
    scorer = with_catalogue(run, NEW, told, age)
    first = len(scorer.run.item_ids)
    return scorer.score_rows(
        user=np.array([len(scorer.run.user_ids)]),
        history=scorer.run.item_ids.encode_values(["i1", "i2"]),
        lengths=np.array([2]),
        candidates=np.arange(first, first + len(NEW)),
        counts=np.array([len(NEW)]),
        context=scorer.fields.encode_context({}, 1),
        behaviours=scorer.fields.encode_behaviours({}, 2, []),
    )


@pytest.mark.parametrize(
    ("told", "age"),
    [
        ({}, None),
        ({"category": CATEGORIES}, None),
        ({"price": PRICES}, None),
        ({"tags": TAGS}, 30.5),
        ({"category": CATEGORIES, "price": PRICES, "tags": TAGS}, 66.0),
    ],
)
def test_what_a_request_tells_counts_as_if_the_catalogue_had_it(
    rich_scorer: Scorer, rich_run: Run, tmp_path: Path, told: dict[str, list[Any]], age: float | None
) -> None:
    expected = expected_scores(rich_run, told, age)
    user_features = {"age": age}
    given = rich_scorer.score(
        "nobody", ["i1", "i2"], NEW, candidate_features=told, user_features=user_features
    )
    np.testing.assert_allclose(given, expected, atol=1e-6)
    row = {"user": "nobody", "history": ["i1", "i2"], "candidates": NEW, **told, **user_features}
    bare = {"user": "u1", "history": [], "candidates": ["i1"]}
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(one) + "\n" for one in (bare, row, bare)))
    text = pl.List(pl.String)
    types = {
        "user": pl.String, "history": text, "candidates": text, "category": text,
        "price": pl.List(pl.Float64), "tags": pl.List(text), "age": pl.Float64,
    }  # fmt: skip
    pl.DataFrame([bare, row, bare], types).write_parquet(tmp_path / "r.parquet")
    cells = [
        {name: json.dumps(value) if isinstance(value, list) else value for name, value in one.items()}
        for one in (bare, row, bare)
    ]
    pl.DataFrame(cells, infer_schema_length=None).write_csv(tmp_path / "r.csv")
    for name in ("r.jsonl", "r.parquet", "r.csv"):
        result = score_file(rich_scorer, tmp_path / name, tmp_path / "s.parquet")
        scores = pl.read_parquet(tmp_path / "s.parquet")["scores"].to_list()
        np.testing.assert_allclose(scores[1], expected, atol=1e-6)
        np.testing.assert_allclose(scores[0], scores[2], atol=1e-6)
        np.testing.assert_allclose(scores[0], rich_scorer.score("u1", [], ["i1"]), atol=1e-6)
        described = sum(any(v[k] is not None for v in told.values()) for k in range(len(NEW)))
        assert (result.described_candidates, result.described_users) == (described, int(age is not None))


def test_a_value_of_an_unknown_item_changes_its_score_and_none_does_not(rich_scorer: Scorer) -> None:
    request: dict[str, Any] = {"user": "u1", "history": ["i1"], "candidates": ["new", "i3"]}
    bare = rich_scorer.score(**request)
    for name, value in (("category", "c1"), ("price", 500.0), ("tags", ["tag1"])):
        assert rich_scorer.score(**request, candidate_features={name: [value, None]})[0] != bare[0]
        none = rich_scorer.score(**request, candidate_features={name: [None, None]})
        np.testing.assert_allclose(none, bare, atol=1e-7)
    assert rich_scorer.score(**request, user_features={"age": 90})[0] != bare[0]


def test_more_candidates_than_fit_at_once_keep_their_own_features(
    rich_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = [f"new{k}" for k in range(7)]
    told = {"price": [float(10**k) for k in range(7)], "tags": [[f"tag{k % 5}"] * k for k in range(7)]}
    whole = rich_scorer.score(
        "nobody", ["i1"], candidates, candidate_features=told, user_features={"age": 20}
    )
    monkeypatch.setattr("dien.serving.scorer.CANDIDATES_AT_ONCE", 3)
    parts = rich_scorer.score(
        "nobody", ["i1"], candidates, candidate_features=told, user_features={"age": 20}
    )
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    assert len(set(whole)) == 7


def test_what_does_not_fit_is_refused_by_the_name_of_its_feature(rich_scorer: Scorer) -> None:
    for given, message in (
        (
            {"candidate_features": {"price": [1.0]}},
            r"^price: \[1.0\], expected 2 values, one for each of cand",
        ),
        ({"candidate_features": {"price": 1.0}}, "^price: 1.0, expected a list of finite numbers"),
        ({"candidate_features": {"tags": ["a", "b"]}}, "^tags: 'a', expected a list of lists"),
        ({"candidate_features": {"prise": [1.0, 1.0]}}, "no feature prise in this run; did you mean price"),
        ({"candidate_features": {"item": ["a", "b"]}}, "no feature item in this run; expected category"),
        ({"user_features": {"agee": 3}}, "user_features: no feature agee in this run; did you mean age"),
        ({"user_features": [3]}, r"user_features: found \[3\], expected a dictionary"),
    ):
        with pytest.raises(ValueError, match=message):
            rich_scorer.score("u1", ["i1"], ["new", "i3"], **given)
