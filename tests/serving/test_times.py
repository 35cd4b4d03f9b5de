"""Times of requests: read as those of the log, alike in a file and in Python."""

import json
import shutil
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.config import load_config
from dien.data.sources.table import prepare
from dien.data.sources.table.times import TimeParser
from dien.data.times import FromTime, Times
from dien.errors import DataError, RunError
from dien.run import Run
from dien.serving import Scorer, score_file
from dien.serving.times import Clock
from dien.training import fit

_SPELLED = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d %I:%M:%S %p", "%a %b %d %H:%M:%S +0230 %Y",
    "%d %B %Y %H:%M:%S GMT", "%Y%m%dT%H%M%S-05", "%Y-%m-%d", "%d.%m.%Y %H:%M:%S", "%Y-%m-%d 25:00", "%Y%m%d",
)  # fmt: skip
_CLOCKS = (
    Clock(),
    Clock(Times(form="iso", zone="Europe/Berlin")),
    Clock(Times(form="%d.%m.%Y %H:%M:%S", zone="America/New_York")),
    Clock(Times(form="%Y%m%d", zone="UTC")),
    Clock(Times(form="ms")),
    Clock(Times(form="%Y%m%d", zone="UTC", year=2014)),
    Clock(Times(form="%Y %d.%m.", zone="Asia/Shanghai", year=2014)),
)
_moments = st.datetimes(datetime(1990, 1, 1), datetime(2026, 1, 1)).map(lambda t: t.replace(microsecond=0))
_ENDS = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)  # of what calendars of Python hold
_values = (
    st.sampled_from(["0829", "829", "29.08.", "9.9."])
    | st.tuples(_moments | st.sampled_from(_ENDS), st.sampled_from(_SPELLED)).map(
        lambda pair: pair[0].strftime(pair[1])
    )
    | st.integers(-(10**12), 10**12)
    | st.integers(0, 4 * 10**9).map(float)
    | st.integers(0, 4 * 10**9).flatmap(lambda t: st.sampled_from([t * 10**k for k in (0, 3, 6, 9)]))
    | st.text("0123456789-:/. TZ", max_size=12)
    | st.none()
)


@settings(max_examples=80, deadline=None)
@given(values=st.lists(_values, min_size=1, max_size=8), clock=st.sampled_from(_CLOCKS))
def test_a_file_and_python_read_the_same_times(values, clock) -> None:
    column = pl.Series("time", [None if value is None else str(value) for value in values])
    found, _ = clock.seconds(column)
    assert found.to_list() == [None if value is None else clock.second(value) for value in values]


@given(
    values=st.lists(st.integers(-5, 2**33) | st.sampled_from([4_102_444_799, 4_102_444_800]), max_size=5),
    clock=st.sampled_from(_CLOCKS),
)
def test_seconds_that_are_told_at_once_are_those_that_are_read_one_by_one(values, clock) -> None:
    one_by_one = [clock.second(value) for value in values]
    if clock.are_seconds(values):
        assert one_by_one == values
    elif clock.times is None:
        assert one_by_one != values


@given(
    moments=st.lists(_moments, min_size=1, max_size=5), clock=st.sampled_from(_CLOCKS), aware=st.booleans()
)
def test_typed_times_are_read_alike(moments, clock, aware) -> None:
    typed = [moment.replace(tzinfo=timezone.utc) for moment in moments] if aware else moments
    found, said = clock.seconds(pl.Series("time", typed))
    assert found.to_list() == [clock.second(moment) for moment in typed]
    assert said in ({"typed times": len(typed) - found.null_count()}, {})
    assert clock.seconds(pl.Series(moments).dt.date())[0][0] == clock.second(moments[0].date())
    assert clock.seconds(pl.Series(_ENDS))[0].to_list() == [clock.second(end) for end in _ENDS] == [None] * 2


def test_a_number_is_of_the_unit_that_its_size_says_and_a_date_where_the_log_writes_it_so() -> None:
    second = 1_700_000_000
    values = pl.Series([second, second * 10**3, second * 10**6, second * 10**9, -1, 5 * 10**9])
    found, said = Clock().seconds(values)
    assert found.to_list() == [second] * 4 + [None, None]
    assert said["milliseconds"] == 1
    assert Clock(Times(form="%Y%m%d")).seconds(pl.Series([20231115, second]))[0].to_list() == [
        1700006400,
        second,
    ]


@given(
    second=st.integers(0, 4_000_000_000), zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"])
)
def test_the_hour_and_the_weekday_of_a_time_are_the_same_in_a_file_and_in_python(second, zone) -> None:
    for what in ("hour", "weekday"):
        told = FromTime(what=what, zone=zone)
        assert told.of(pl.Series([second, None], dtype=pl.Int64)).to_list() == [told.of_second(second), None]


@pytest.mark.parametrize(
    ("format", "written", "with_year"),
    [
        ("%m%d", ["0829", "1111"], ["20140829", "2014-11-11"]),
        ("%d.%m.", ["29.08.", "11.11."], ["2014-08-29"]),
    ],
)
def test_a_log_of_one_year_that_it_does_not_name_is_read_so_in_requests(
    format: str, written: list[str], with_year: list[str]
) -> None:
    parser = TimeParser(None, format=format, year=2014, quiet=True)
    parser.start_file("log.csv")
    of_log = parser.parse(pl.Series(written)).to_list()
    assert of_log == [1409270400, 1415664000]
    clock = Clock(parser.times)
    found, said = clock.seconds(pl.Series([*written, *with_year, None]))
    assert found.to_list() == [*of_log, *of_log[: len(with_year)], None]
    assert [clock.second(one) for one in written] == of_log
    assert "seconds" not in said
    if format == "%m%d":
        assert (
            clock.seconds(pl.Series([829, 1111]))[0].to_list()
            == [clock.second(829), clock.second(1111)]
            == of_log
        )


@pytest.fixture(scope="module")
def timed_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose log is in milliseconds, with the hour of the impression in New York."""
    path = tmp_path_factory.mktemp("timed")
    log = pl.DataFrame(
        {
            "user": [k % 7 for k in range(300)],
            "item": [k * k % 11 for k in range(300)],
            "time": [(1_700_000_000 + 4_000 * k) * 1000 for k in range(300)],
            "label": [k % 3 % 2 for k in range(300)],
        }
    )
    schema = {
        "interactions": {"label": "label"},
        "features": {
            "behaviour": {"time_since": None},
            "context": {"hour": {"from_time": "hour", "zone": "America/New_York"}},
        },
    }
    data = prepare(log, path / "data", schema=schema)
    fit(
        data,
        load_config(overrides=["training.epochs=1", "model.hidden_size=4"]),
        path / "run",
        show_progress=False,
    )
    return Run.open(path / "run")


_NOW = 1_701_000_000
_REQUEST = {"user": 1, "history": [1, 2], "candidates": [3, 4]}
_WRITTEN = [
    {"times": [_NOW - 90, _NOW - 40], "time": _NOW},
    {"times": [(_NOW - 90) * 1000, (_NOW - 40) * 1000], "time": _NOW * 1000},
    {"times": ["2023-11-26 11:58:30", "2023-11-26T11:59:20Z"], "time": "2023/11/26 12:00:00"},
    {"times": [_NOW - 90, _NOW - 40], "time": _NOW, "hour": "7"},
    {"times": [_NOW - 90, _NOW - 40], "time": float(_NOW)},  # as pandas has them in columns with gaps
]


def test_requests_score_alike_however_their_times_are_written_and_the_hour_follows(
    timed_run, tmp_path
) -> None:
    scorer = Scorer(timed_run)
    plain = scorer.score(1, [1, 2], [3, 4], context={"hour": "7"}, **_WRITTEN[0])
    for written in _WRITTEN[:3]:
        assert (scorer.score(1, [1, 2], [3, 4], **written) == plain).all()
    other = scorer.score(1, [1, 2], [3, 4], context={"hour": "8"}, **_WRITTEN[0])
    assert (other != plain).any()
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(_REQUEST | one) + "\n" for one in _WRITTEN))
    result = score_file(scorer, tmp_path / "r.jsonl", tmp_path / "s.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert np.allclose([line["scores"] for line in lines], [plain] * 5, atol=1e-6)
    assert result.missing_context == ()
    assert result.times == {"seconds": 9, "milliseconds": 3, "text": 3}


def test_numbers_that_would_be_seconds_of_long_ago_are_counted_apart() -> None:
    found, said = Clock().seconds(pl.Series([20_240_131, _NOW, _NOW * 1000, None]))
    assert found.to_list() == [20_240_131, _NOW, _NOW, None]
    assert said == {"seconds, before 1990": 1, "seconds": 1, "milliseconds": 1}


def test_the_times_of_a_history_may_mix_text_and_numbers(timed_run, tmp_path) -> None:
    scorer, path = Scorer(timed_run), tmp_path / "r.jsonl"
    mixed = {"times": ["2023-11-26 11:58:30", float(_NOW - 40)], "time": _NOW}
    path.write_text("".join(json.dumps(_REQUEST | one) + "\n" for one in (_WRITTEN[4], mixed, _WRITTEN[0])))
    assert score_file(scorer, path, tmp_path / "s.jsonl").times == {"seconds": 8, "text": 1}
    scores = [json.loads(line)["scores"] for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert np.allclose(scores, [scorer.score(1, [1, 2], [3, 4], **mixed)] * 3, atol=1e-6)
    path.write_text(json.dumps(_REQUEST | mixed) + "\n" + json.dumps(_REQUEST | {"times": ["x", 2.0**60]}))
    with pytest.raises(
        DataError, match=r"line 2: column 'times': found \['x', 1.*\]; expected a list of integers, .*mend it"
    ):
        score_file(scorer, path, tmp_path / "s.jsonl")


def test_typed_times_and_floats_of_parquet_score_as_whole_numbers_do(timed_run, tmp_path) -> None:
    scorer, plain = Scorer(timed_run), pl.DataFrame([_REQUEST | _WRITTEN[0]])
    typed = plain.with_columns(
        pl.from_epoch("time", "s"), pl.col("times").list.eval(pl.from_epoch(pl.element(), "s"))
    )
    floats = plain.with_columns(pl.col("time").cast(pl.Float64), pl.col("times").cast(pl.List(pl.Float64)))
    for table in (typed, floats):
        table.write_parquet(tmp_path / "r.parquet")
        score_file(scorer, tmp_path / "r.parquet", tmp_path / "s.parquet")
        found = pl.read_parquet(tmp_path / "s.parquet")["scores"][0].to_list()
        assert found == scorer.score(1, [1, 2], [3, 4], **_WRITTEN[0]).tolist()
    floats.with_columns(pl.col("time") + 0.5).write_parquet(tmp_path / "r.parquet")
    with pytest.raises(DataError, match=r"column 'time': found 1701000000\.5"):
        score_file(scorer, tmp_path / "r.parquet", tmp_path / "s.parquet")


def test_without_a_time_the_hour_is_missing_and_named(timed_run, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps(_REQUEST) + "\n")
    result = score_file(Scorer(timed_run), tmp_path / "r.jsonl", tmp_path / "s.jsonl")
    assert result.missing_context == ("hour",)
    assert result.missing_behaviours == ("times", "time")


def test_a_time_that_is_none_is_refused_with_its_line(timed_run, tmp_path: Path) -> None:
    for wrong in ("26.11.2023", "tomorrow", -5, 5_000_000_000, "2023-02-30"):
        lines = [_REQUEST | {"time": _NOW}, _REQUEST | {"time": wrong}]
        (tmp_path / "r.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(DataError, match=r"line 2: column 'time': .* of the years 1970 to 2099"):
            score_file(Scorer(timed_run), tmp_path / "r.jsonl", tmp_path / "s.jsonl")
        with pytest.raises(ValueError, match=r"^time: .*expected integers, seconds since 1970"):
            Scorer(timed_run).score(1, [1], [2], time=wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"times": {"form": "%Q"}},
        {"times": {"form": "iso", "zone": "Nowhere/Else"}},
        {"from_time": {"hour": {"what": "hour", "zone": "Nowhere/Else"}}},
        {"from_time": {"time_since": {"what": "hour", "zone": "UTC"}}},
    ],
)
def test_a_run_whose_log_writes_times_as_none_does_is_refused(timed_run, tmp_path: Path, change) -> None:
    shutil.copytree(timed_run.path, tmp_path / "run")
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(info | {"dataset": info["dataset"] | change}))
    with pytest.raises(
        RunError, match=r"run\.json: .*(%Q cannot be read|expected a time zone|to be its hour)"
    ):
        Scorer.load(tmp_path / "run")
