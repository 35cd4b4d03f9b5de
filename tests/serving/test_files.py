"""Scoring a file: what is read, what is refused, what is written."""

import json
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dien.config import load_config
from dien.data.features import Categorical
from dien.data.log import Log
from dien.data.prepare import temporal
from dien.data.readers.text_format import TextFormat
from dien.data.writer import write
from dien.errors import DataError
from dien.run import Run
from dien.serving import Scorer, score_file
from dien.training import fit

REQUESTS: list[dict[str, Any]] = [
    {"user": "u1", "history": ["1", "2", "3"], "candidates": ["4", "5"], "hour": "7"},
    {"user": "nobody", "history": [], "candidates": ["4"], "hour": None},
    {"user": None, "history": ["9"] * 30, "candidates": [], "hour": "23"},
    {"user": "u2", "history": ["nothing"], "candidates": ["nothing", "1", "2"], "hour": "no hour"},
]


@pytest.fixture(scope="module")
def scorer(small_run: Run) -> Scorer:
    return Scorer(small_run)


def write_requests(path: Path, requests: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pl.DataFrame(
            requests, schema_overrides={"history": pl.List(pl.String), "candidates": pl.List(pl.String)}
        ).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(request) + "\n" for request in requests))
    return path


def read_scores(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dicts()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("given", ["parquet", "jsonl"])
@pytest.mark.parametrize("wanted", ["parquet", "jsonl"])
def test_a_file_scores_as_its_requests_one_by_one(
    scorer: Scorer, tmp_path: Path, given: str, wanted: str
) -> None:
    requests = write_requests(tmp_path / f"requests.{given}", REQUESTS)
    out = tmp_path / f"scores.{wanted}"
    result = score_file(scorer, requests, out)
    rows = read_scores(out)
    assert [row["user"] for row in rows] == ["u1", "nobody", None, "u2"]
    for row, request in zip(rows, REQUESTS, strict=True):
        assert row["candidates"] == request["candidates"]
        alone = scorer.score(
            request["user"], request["history"], request["candidates"], {"hour": request["hour"]}
        )
        np.testing.assert_allclose(row["scores"], alone, atol=1e-6)
    assert (result.requests, result.candidates) == (4, 6)
    assert (result.unknown_candidates, result.unknown_users, result.missing_context) == (1, 2, ())
    assert {path.name for path in tmp_path.iterdir()} == {requests.name, out.name}


def test_requests_without_candidates_anywhere_give_empty_scores(scorer: Scorer, tmp_path: Path) -> None:
    requests = write_requests(tmp_path / "r.jsonl", [{**REQUESTS[0], "candidates": []}] * 2)
    score_file(scorer, requests, tmp_path / "s.jsonl")
    assert [row["scores"] for row in read_scores(tmp_path / "s.jsonl")] == [[], []]


def test_more_requests_than_are_read_at_once_stay_in_order(
    scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = write_requests(tmp_path / "r.parquet", REQUESTS * 5)
    score_file(scorer, requests, tmp_path / "whole.parquet")
    monkeypatch.setattr("dien.serving.requests.REQUESTS_AT_ONCE", 3)
    score_file(scorer, requests, tmp_path / "parts.parquet")
    whole, parts = (read_scores(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    assert [row["candidates"] for row in parts] == [row["candidates"] for row in whole]
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one["scores"], other["scores"], atol=1e-6)


def test_candidates_that_match_without_an_age_are_counted_and_the_missing_field_is_named(
    scorer: Scorer, tmp_path: Path
) -> None:
    alike = {"user": "u1", "history": ["new", "2"], "candidates": ["2", "newer", "new"], "hour": "7"}
    now = {"times": [1_500_000, 1_600_000], "time": 1_700_000}
    with pytest.warns(
        UserWarning, match=r"4 of 6 candidates match .* no times and no time: .*\(docs"
    ) as told:
        result = score_file(scorer, write_requests(tmp_path / "r.jsonl", [alike] * 2), tmp_path / "s.jsonl")
    assert [one.filename for one in told] == [__file__]
    assert (result.ageless_matches, result.untimed_behaviours) == (4, 4)
    requests = write_requests(tmp_path / "r.jsonl", [{**alike, **now, "time": None}, {**alike, **now}])
    with pytest.warns(
        UserWarning, match="2 of 6 candidates match .* a time of theirs is null: .* every time"
    ):
        assert score_file(scorer, requests, tmp_path / "s.jsonl").ageless_matches == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        requests = write_requests(tmp_path / "r.jsonl", [{**alike, **now}, {**alike, "history": []}])
        assert score_file(scorer, requests, tmp_path / "s.jsonl").ageless_matches == 0


def test_context_the_file_lacks_is_reported(scorer: Scorer, tmp_path: Path) -> None:
    bare = [{key: value for key, value in request.items() if key != "hour"} for request in REQUESTS]
    for name in ("r.parquet", "r.jsonl"):
        result = score_file(scorer, write_requests(tmp_path / name, bare), tmp_path / "s.jsonl")
        assert result.missing_context == ("hour",)


@pytest.mark.parametrize("dtype", [pl.Int64(), pl.Decimal(38, 0)])
def test_integer_ids_are_read_as_their_digits(scorer: Scorer, tmp_path: Path, dtype: pl.DataType) -> None:
    rows = pl.DataFrame({"user": [7], "history": [[1, 2]], "candidates": [[3]]})
    lists = pl.List(dtype)
    rows.cast({"user": dtype, "history": lists, "candidates": lists}).write_parquet(tmp_path / "r.parquet")
    score_file(scorer, tmp_path / "r.parquet", tmp_path / "s.jsonl")
    assert read_scores(tmp_path / "s.jsonl")[0]["scores"] == pytest.approx(
        scorer.score(7, [1, 2], [3]), abs=1e-6
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: .*expected one JSON object"),
        ('{"user": "u"}', "line 2: no key 'history'; found user; expected a list of strings"),
        (
            '{"user": "u", "history": "1", "candidates": []}',
            "line 2: column 'history': found '1'; expected a list .*, .*\\] for none and never null; mend it",
        ),
        (
            '{"user": "u", "history": [1.5], "candidates": []}',
            r"line 2: column 'history': found \[1\.5\]; expected a list of strings or integers",
        ),
        (
            '{"user": "u", "history": [null], "candidates": []}',
            r"line 2: column 'history': found \[None\]; expected .* never null",
        ),
        (
            '{"user": {}, "history": [], "candidates": []}',
            "line 2: column 'user': found {}; expected strings or integers, or null",
        ),
        (
            '{"user": "u", "history": [], "candidates": [], "hour": []}',
            r"line 2: column 'hour': found \[\]; expected strings",
        ),
        ('{"history": [], "candidates": []}', "line 2: no key 'user'; found history, candidates"),
    ],
)
def test_a_bad_line_is_refused_by_its_number_and_nothing_is_written(
    scorer: Scorer, tmp_path: Path, line: str, message: str
) -> None:
    requests = tmp_path / "r.jsonl"
    requests.write_text(json.dumps(REQUESTS[0]) + "\n" + line + "\n")
    out = tmp_path / "s.jsonl"
    out.write_text("from before")
    with pytest.raises(DataError, match=message):
        score_file(scorer, requests, out)
    assert out.read_text() == "from before"
    assert {path.name for path in tmp_path.iterdir()} == {"r.jsonl", "s.jsonl"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"user": ["u"], "history": [["1"]]},
            "no column 'candidates'; found user, history; every row has it .a list of",
        ),
        (
            {"user": ["u"], "history": ["1"], "candidates": [["1"]]},
            "column 'history': found '1' in a column of text; expected a list",
        ),
        (
            {"user": ["u"], "history": [[1.0, 1.5]], "candidates": [["1"]]},
            r"column 'history': found \[1\.0, 1\.5\]; expected a list of strings or integers",
        ),
        (
            {"user": [1.5], "history": [["1"]], "candidates": [["1"]]},
            r"column 'user': found 1\.5; expected strings or integers",
        ),
        (
            {"user": ["u"] * 2, "history": [["1"], None], "candidates": [["1"]] * 2},
            "row 2: column 'history': found nothing",
        ),
        (
            {"user": ["u"] * 2, "history": [["1"]] * 2, "candidates": [["1"], [None]]},
            r"row 2: column 'candidates': found \[None\]",
        ),
    ],
)
def test_a_parquet_column_that_does_not_fit_is_named_with_what_was_expected(
    scorer: Scorer, tmp_path: Path, columns: dict[str, list[Any]], message: str
) -> None:
    pl.DataFrame(columns).write_parquet(tmp_path / "r.parquet")
    with pytest.raises(DataError, match=message):
        score_file(scorer, tmp_path / "r.parquet", tmp_path / "s.parquet")


@pytest.mark.parametrize(
    ("requests", "out", "message"),
    [
        ("missing.parquet", "s.parquet", "No such file"),
        ("r.docx", "s.parquet", r"unknown kind of file; expected .*\.parquet, \.csv"),
        ("r.inter", "s.parquet", "an atomic file; expected requests"),
        ("broken.parquet", "s.parquet", "not a readable Parquet file"),
        ("r.jsonl", "s.txt", r"ending in \.parquet, \.jsonl, \.csv"),
        ("r.jsonl", "nowhere/s.jsonl", "no such folder"),
    ],
)
def test_a_path_that_cannot_be_read_or_written_is_named_with_the_reason(
    scorer: Scorer, tmp_path: Path, requests: str, out: str, message: str
) -> None:
    write_requests(tmp_path / "r.jsonl", REQUESTS)
    (tmp_path / "r.docx").write_text("x")
    (tmp_path / "r.inter").write_text("x")
    (tmp_path / "broken.parquet").write_text("x")
    with pytest.raises(DataError, match=message):
        score_file(scorer, tmp_path / requests, tmp_path / out)


IDS, NUMBERS = pl.List(pl.String), pl.List(pl.Float64)
RICH = {
    "user": pl.String,
    "history": IDS,
    "candidates": IDS,
    "hour": pl.String,
    "zone": pl.String,
    "position": pl.Float64,
    "age_of_page": pl.Float64,
    "wanted": IDS,
    "action": IDS,
    "dwell": NUMBERS,
    "labels": pl.List(IDS),
    "times": pl.List(pl.Int64),
    "time": pl.Int64,
}


def write_rich(path: Path, requests: list[dict[str, Any]]) -> Path:
    rows = [
        {**{k: v for k, v in request.items() if k not in ("context", "behaviours")}}
        | request["context"]
        | request["behaviours"]
        for request in requests
    ]
    if path.suffix == ".parquet":
        given = {name: kind for name, kind in RICH.items() if any(name in row for row in rows)}
        pl.DataFrame(rows, schema=given).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sometimes_without(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave whole fields of some requests null, and all fields of one."""
    rng, found = np.random.default_rng(0), []
    for k, request in enumerate(requests):
        share = 1.0 if k == 3 else 0.3
        found.append(
            request
            | {
                side: {n: None if rng.random() < share else v for n, v in request[side].items()}
                for side in ("context", "behaviours")
            }
            | {name: None if rng.random() < share else request[name] for name in ("times", "time")}
        )
    return found


@pytest.mark.parametrize("given", ["parquet", "jsonl"])
def test_a_file_with_features_of_every_kind_scores_as_its_requests_one_by_one(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], tmp_path: Path, given: str
) -> None:
    for requests in (rich_requests, sometimes_without(rich_requests)):
        result = score_file(rich_scorer, write_rich(tmp_path / f"r.{given}", requests), tmp_path / "s.jsonl")
        assert (result.missing_context, result.missing_behaviours) == ((), ())
        for row, request in zip(read_scores(tmp_path / "s.jsonl"), requests, strict=True):
            behaviours = {n: v for n, v in request["behaviours"].items() if v is not None}
            alone = rich_scorer.score(**(request | {"behaviours": behaviours}))
            np.testing.assert_allclose(row["scores"], alone, atol=1e-6)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_whole_number_and_a_boolean_are_one_value_however_they_are_written(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], kind: str, tmp_path: Path
) -> None:
    spelt = {"hour": ["7", 7, 7.0, "7.0"], "zone": ["true", True, "True", "true"]}
    request = {name: rich_requests[0][name] for name in ("user", "history", "candidates")}
    rows = [{**request, "hour": hour, "zone": zone} for hour, zone in zip(*spelt.values(), strict=True)]
    path = tmp_path / f"r.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "csv":
        cells = [
            {k: json.dumps(v) if isinstance(v, list) else str(v) for k, v in row.items()} for row in rows
        ]
        pl.DataFrame(cells).write_csv(path)
    else:
        rows = [row | {"hour": 7.0, "zone": True} for row in rows]
        pl.DataFrame(rows).write_parquet(path)
    score_file(rich_scorer, path, tmp_path / "s.jsonl")
    other = rich_scorer.score(**request, context={"hour": "8", "zone": "other"})
    for row, given in zip(read_scores(tmp_path / "s.jsonl"), rows, strict=True):
        alone = rich_scorer.score(**request, context={"hour": given["hour"], "zone": given["zone"]})
        usual = rich_scorer.score(**request, context={"hour": "7", "zone": "true"})
        np.testing.assert_allclose(row["scores"], usual, atol=1e-6)
        np.testing.assert_array_equal(alone, usual)
        assert not np.allclose(usual, other, rtol=0, atol=1e-6)


def test_features_that_no_request_has_are_reported(
    rich_scorer: Scorer, rich_requests: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dien.serving.requests.REQUESTS_AT_ONCE", 2)
    bare = [
        {key: request[key] for key in ("user", "history", "candidates", "time")}
        | {"context": {}, "behaviours": {}}
        for request in rich_requests[:5]
    ]
    bare[1]["context"] = {"hour": "3"}  # one that is in a single request is not missing
    for name in ("r.parquet", "r.jsonl"):
        result = score_file(rich_scorer, write_rich(tmp_path / name, bare), tmp_path / "s.jsonl")
        assert result.missing_context == ("zone", "position", "age_of_page", "wanted")
        assert result.missing_behaviours == ("action", "dwell", "labels", "times")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("action", ["action1"], "column 'action': found 1 values; expected 2, one for each item of history"),
        ("labels", [["label1"]], "column 'labels': found 1 values; expected 2, one for each"),
        ("times", [1, 2, 3], "column 'times': found 3 values; expected 2, one for each"),
        (
            "dwell",
            [1.0, float("inf")],
            r"column 'dwell': found \[1.0, inf\]; expected a list of finite numbers",
        ),
        ("position", float("-inf"), "column 'position': found -inf; expected finite numbers"),
        (
            "times",
            [1, 2**62 + 1],
            "column 'times': found .*; expected a list of integers, seconds since 1970",
        ),
    ],
)
def test_a_value_that_does_not_fit_its_history_or_bounds_is_refused_by_its_row(
    rich_scorer: Scorer, tmp_path: Path, field: str, value: Any, message: str
) -> None:
    good = {"user": "u1", "history": ["i1", "i2"], "candidates": ["i3"]}
    rows = [good, good, good | {field: value}]
    schema = {name: RICH[name] for name in (*good, field)}
    pl.DataFrame(rows, schema=schema).write_parquet(tmp_path / "r.parquet")
    with pytest.raises(DataError, match=rf"r\.parquet: row 3: {message}"):
        score_file(rich_scorer, tmp_path / "r.parquet", tmp_path / "s.jsonl")
    if "inf" not in message:  # JSON has no such number
        text = "\n\n".join(json.dumps(row) for row in rows)  # an empty line counts
        (tmp_path / "r.jsonl").write_text(text)
        with pytest.raises(DataError, match=rf"r\.jsonl: line 5: {message}"):
            score_file(rich_scorer, tmp_path / "r.jsonl", tmp_path / "s.jsonl")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"position": "1"}, "column 'position': found '1'; expected finite numbers, or null"),
        ({"wanted": "tag1"}, "column 'wanted': found 'tag1'; expected a list of strings"),
        ({"dwell": ["1", 2]}, r"column 'dwell': found \['1', 2\]; expected a list of finite numbers"),
        ({"labels": ["a", "b"]}, "column 'labels': found .*; expected a list of lists of strings"),
        ({"times": [1.5, 2]}, r"column 'times': found \[1.5, 2\]; expected a list of integers, seconds"),
        ({"time": 2**63}, "column 'time': found '9223372036854775808'; expected integers, seconds"),
    ],
)
def test_a_json_value_of_another_type_is_refused_by_its_line_and_column(
    rich_scorer: Scorer, tmp_path: Path, line: dict[str, Any], message: str
) -> None:
    good = {"user": "u1", "history": ["i1", "i2"], "candidates": ["i3"]}
    (tmp_path / "r.jsonl").write_text(json.dumps(good) + "\n" + json.dumps(good | line))
    with pytest.raises(DataError, match=rf"r\.jsonl: line 2: {message}"):
        score_file(rich_scorer, tmp_path / "r.jsonl", tmp_path / "s.jsonl")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"position": ["1"]}, "column 'position': .*column of text; expected finite numbers"),
        ({"wanted": ["tag1"]}, "column 'wanted': .*column of text; expected a list of strings"),
        ({"labels": [["a"]]}, "column 'labels': .*lists of text; expected a list of lists of strings"),
        ({"user": [Decimal("1.5")]}, "column 'user': .*Decimal.*; expected strings or integers"),
        ({"times": [[1.5]]}, r"column 'times': found \[1\.5\]; expected a list of integers, seconds"),
        ({"time": [2**63]}, "row 1: column 'time': found 9223372036854775808; expected integers, seconds"),
    ],
)
def test_a_parquet_column_of_another_type_is_refused_by_its_name(
    rich_scorer: Scorer, tmp_path: Path, column: dict[str, Any], message: str
) -> None:
    good = {"user": ["u1"], "history": [["i1"]], "candidates": [["i3"]]}
    pl.DataFrame(good | column).write_parquet(tmp_path / "r.parquet")
    with pytest.raises(DataError, match=message):
        score_file(rich_scorer, tmp_path / "r.parquet", tmp_path / "s.jsonl")


def test_values_that_the_run_does_not_know_are_counted_by_feature(rich_run: Run, tmp_path: Path) -> None:
    known = {"user": "u1", "history": ["i1", "i2"], "candidates": ["i3"], "hour": "3", "position": 1.5}
    odd = {
        "hour": "no-hour",
        "action": ["action1", "no-action"],
        "labels": [["label1", "no"], None],
        "wanted": ["no", "tag1", "nor"],
        "category": ["no-category"],
        "zone": "any",  # hashed: every value has an index
        "dwell": [None, 1e9],  # a number
    }
    path = write_requests(tmp_path / "r.jsonl", [known, known | odd, {**known, "hour": None}])
    result = score_file(Scorer(rich_run), path, tmp_path / "s.jsonl")
    assert result.unknown_values == {"hour": 1, "wanted": 2, "action": 1, "labels": 1, "category": 1}


def test_a_feature_may_have_a_name_that_is_none_in_python(tmp_path: Path) -> None:
    context = ["product.name", "hour-of-day", "2nd", "a b", "class", "__init__"]
    behaviour = [f"{name}.then" for name in context]
    rows = [
        {
            "user": f"u{k % 5}",
            "item": f"i{k % 7}",
            "time": k,
            **dict.fromkeys(context + behaviour, f"v{k % 3}"),
        }
        for k in range(60)
    ]
    events = pl.DataFrame(rows)
    items, users = (events.select(pl.col(name).unique()) for name in ("item", "user"))
    sides = {name: Categorical(side="behaviour") for name in behaviour}
    write(temporal(Log(events, items, users, (), features=sides), warmup=1), tmp_path / "data")
    config = load_config(overrides=["training.epochs=1"], model="sum-pooling")
    fit(tmp_path / "data", config, tmp_path / "run", show_progress=False)
    request: dict[str, Any] = {"user": "u1", "history": ["i1"], "candidates": ["i2"]}
    request |= dict.fromkeys(context, "v1") | {name: ["v1"] for name in behaviour}
    for kind in ("jsonl", "parquet"):
        path = write_requests(tmp_path / f"r.{kind}", [request])
        result = score_file(Scorer.load(tmp_path / "run"), path, tmp_path / f"s.{kind}")
        assert (result.missing_context, result.missing_behaviours, result.unknown_values) == ((), (), {})


@pytest.mark.filterwarnings("ignore:.* of 30 candidates match")
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_processes_and_a_stop_on_the_way_change_no_byte_of_the_scores(
    scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("dien.serving.requests.REQUESTS_AT_ONCE", 3)
    rows = [{**request, "time": 1_700_000 + k} for k, request in enumerate(REQUESTS * 5)]
    path = tmp_path / f"r.{kind}"
    if kind == "csv":
        cells = [{k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows]
        pl.DataFrame(cells, infer_schema_length=None).write_csv(path)
    else:
        write_requests(path, rows)
    whole = score_file(scorer, path, tmp_path / f"whole.{kind}")
    assert whole.times == {"seconds, before 1990": 20}
    assert score_file(scorer, path, tmp_path / f"two.{kind}", jobs=2) == whole

    done: list[int] = []

    def stop(requests: int) -> None:
        done.append(requests)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(scorer, path, tmp_path / f"stopped.{kind}", stop)
    again: list[int] = []
    assert score_file(scorer, path, tmp_path / f"stopped.{kind}", again.append, resume=True) == whole
    assert again == [9, 3, 3, 3, 2]
    for name in ("two", "stopped"):
        assert (tmp_path / f"{name}.{kind}").read_bytes() == (tmp_path / f"whole.{kind}").read_bytes()


def test_an_error_names_its_line_whatever_process_would_have_scored_it(
    scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dien.serving.requests.REQUESTS_AT_ONCE", 3)
    requests = write_requests(tmp_path / "r.jsonl", [*REQUESTS * 2, {**REQUESTS[0], "history": "1"}])
    with pytest.raises(DataError, match=r"r\.jsonl: line 9: column 'history': found '1'; expected a list"):
        score_file(scorer, requests, tmp_path / "s.jsonl", jobs=2)
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("requests", r"requests\.(bytes|modified) = \d+, not \d+"),
        ("base_rate", r"base_rate = None, not 0\.1"),
        ("text", r"requests\.format\.format = None, not 'jsonl'"),
    ],
)
def test_other_requests_or_options_than_those_that_were_begun_with_are_refused(
    small_run: Run, scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, said: str
) -> None:
    monkeypatch.setattr("dien.serving.requests.REQUESTS_AT_ONCE", 3)
    path, out = write_requests(tmp_path / "r.jsonl", REQUESTS), tmp_path / "s.jsonl"

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(scorer, path, out, stop)
    if change == "requests":
        write_requests(path, REQUESTS * 2)
    with pytest.raises(DataError, match=rf"s\.jsonl\.parts: was begun with {said}; go on with what"):
        score_file(
            Scorer(small_run, base_rate=0.1) if change == "base_rate" else scorer,
            path,
            out,
            text=TextFormat(format="jsonl") if change == "text" else TextFormat(),
            resume=True,
        )
