"""Values out of range are refused before any work begins, whatever the command, with what is expected."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.cli import checks
from dien.cli.prepare.synthetic import CATEGORIES
from dien.data.prepare import impressions, temporal
from dien.data.prepare.splits import ByTime
from dien.data.sources import recbole, synthetic
from tests.cli.commands import VALUES, Value
from tests.cli.running import dien

FROM_0 = {"--warmup", "--seed", "--skip-bad", "--port", "--history"}


def of(*metavars: str) -> list[Value]:
    """The values with these metavars, of all commands."""
    found = [value for value in VALUES if value.metavar in metavars]
    assert {value.metavar for value in found} == set(metavars)
    return found


def expect_refusal(value: Value, text: str, expected: str) -> None:
    """Give a command a value: wrong usage that names the option, the value and what is expected."""
    given = ["--", text] if value.argument else [f"{value.name}={text}"]
    done = dien(*value.command, *given)
    assert (done.returncode, done.stdout) == (2, ""), done
    name = value.metavar if value.argument else value.name
    assert f"Invalid value for '{name}'" in done.message
    assert "".join(repr(text).split()) in "".join(done.message.split())  # long texts are wrapped
    assert f"expected {expected}" in done.message


@settings(max_examples=30)
@given(value=st.sampled_from(of("N", "SECONDS")), number=st.integers(max_value=-1))
def test_a_count_below_its_least_value_is_refused(value: Value, number: int) -> None:
    expect_refusal(value, str(number), "a whole number")


@pytest.mark.parametrize("value", [v for v in of("N") if v.name not in FROM_0], ids=str)
def test_zero_is_refused_where_one_is_the_least(value: Value) -> None:
    expect_refusal(value, "0", "a whole number")


NO_NUMBERS = ["", " ", "many", "1.5", "1e3", "0x10", "nan", "inf", "4,5", "½"]


@settings(max_examples=30)
@given(value=st.sampled_from(of("N", "SECONDS")), text=st.sampled_from(NO_NUMBERS))
def test_what_is_no_whole_number_is_refused(value: Value, text: str) -> None:
    expect_refusal(value, text, "a whole number")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "", "many", "86401"])
def test_impressions_a_day_are_a_number_above_0(text: str) -> None:
    (value,) = of("NUMBER")
    expect_refusal(value, text, "a number above 0, at most 86,400")


NO_MOMENTS = ["0", "0.0", "1", "1.0", "-0.1", "1.5", "nan", "inf", "", "yesterday", "20171001", "2017-13-01"]


@settings(max_examples=30)
@given(value=st.sampled_from(of("WHEN")), text=st.sampled_from(NO_MOMENTS))
def test_what_is_neither_a_share_nor_a_date_is_refused(value: Value, text: str) -> None:
    expect_refusal(value, text, "a share above 0 and below 1, as 0.8, or a date, as 2017-10-01")


@given(share=st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_share_between_0_and_1_is_taken_as_it_is(share: float) -> None:
    assert checks.moment(repr(share)).value == share


@given(date=st.datetimes(timezones=st.none() | st.timezones()))
def test_a_date_is_taken_as_it_is(date: object) -> None:
    text = date.isoformat()  # type: ignore[attr-defined]
    assert checks.moment(text).value.isoformat() == text  # type: ignore[union-attr]


@settings(max_examples=10)
@given(value=st.sampled_from(of("SHARE")), text=st.sampled_from(["0", "1", "1.5", "-0.1", "nan", "", "2 %"]))
def test_what_is_no_share_is_refused(value: Value, text: str) -> None:
    expect_refusal(value, text, "a number above 0 and below 1")


@settings(max_examples=10)
@given(value=st.sampled_from(of("FRACTION")), text=st.sampled_from(["1.01", "-0.1", "nan", "inf", "", "2 %"]))
def test_what_is_no_fraction_is_refused(value: Value, text: str) -> None:
    expect_refusal(value, text, "a number from 0 to 1")


@given(fraction=st.floats(0, 1) | st.sampled_from([0, 1]))
def test_a_fraction_from_0_to_1_is_taken_as_it_is(fraction: float) -> None:
    assert checks.fraction(repr(fraction)) == fraction


@pytest.mark.parametrize("value", of("COLUMN", "FILE", "FILES", "DATA", "RUN", "DIR", "NAME"), ids=str)
def test_an_empty_text_is_refused(value: Value) -> None:
    path = value.metavar in ("FILE", "FILES", "DATA", "RUN", "DIR")
    expect_refusal(value, "", "a path" if path else "an encoding" if value.name == "--encoding" else "a name")


@pytest.mark.parametrize("value", of("NAMES"), ids=str)
def test_names_without_one_between_the_commas_are_refused(value: Value) -> None:
    for text in ("", ",", "din,", ",din", "din,,dien"):
        expect_refusal(value, text, "names with commas between")


@pytest.mark.parametrize("text", ["", "rating", "=4", "rating=", "rating=high", "rating=nan", "rating=inf"])
def test_a_threshold_is_a_column_and_a_number(text: str) -> None:
    (value,) = of("COLUMN=NUMBER")
    expect_refusal(value, text, "a column and a number, as rating=4")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--valid-from", "0.95"), "--valid-from 0.95 is not before --test-from 0.9 (the default)"),
        (("--test-from", "0.5"), "--valid-from 0.8 (the default) is not before --test-from 0.5"),
        (("--valid-from", "0.7", "--test-from", "0.7"), "--valid-from 0.7 is not before --test-from 0.7"),
        (("--valid-from", "2017-10-02", "--test-from", "2017-10-01T23:00"), "is not before"),
        (("--valid-from", "2017-10-01T00:30+02:00", "--test-from", "2017-09-30T22:30"), "is not before"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("prepare", "table", "--interactions", "none.csv"),
        ("prepare", "recbole", "none"),
        ("prepare", "complete-journey"),
        ("prepare", "movielens-100k"),
        ("prepare", "amazon", "--reviews", "none", "--meta", "none", "--recipe", "temporal"),
    ],
)
def test_a_validation_that_does_not_begin_before_the_test_is_refused_before_a_file_is_read(
    command: tuple[str, ...], options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = dien(*command, *options, "--out", "data", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.message
    assert not list(tmp_path.iterdir())


def test_a_gap_longer_than_the_validation_is_refused(tmp_path: Path) -> None:
    dates = ("--valid-from", "2017-10-01", "--test-from", "2017-10-02")
    table = ("prepare", "table", "--interactions", "none.csv", "--out", tmp_path / "data", *dates)
    assert "by the 86401 seconds of --gap" in dien(*table, "--gap", "86401").message
    assert dien(*table, "--gap", "86400").returncode == 1  # the file is missing: the options are not at fault


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("table --interactions x --label y --negatives 2", "for logs without a label"),
        ("table --interactions x --label y --negatives-by z", "for logs without a label"),
        ("recbole x --label y --negatives 2", "for logs without a label"),
        ("recbole x --threshold y=3 --negatives-by z", "for logs without a label"),
        ("table --interactions x --split user --gap 0", "--gap is no option of --split user"),
        ("recbole x --split last --valid-from 0.5", "--valid-from is no option of --split last"),
        ("complete-journey --targets last", "--targets is no option of --recipe temporal"),
        ("movielens-1m --recipe paper --rare-share 0.1", "--rare-share is no option of --recipe paper"),
        (
            "synthetic --users 9 --items 20 --days 3 --log x --rare-share 0.1",
            "--rare-share is of a dataset folder (--out), and no option of --log",
        ),
        ("movielens-1m --recipe paper --warmup 0", "--warmup is no option of --recipe paper"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_a_file_is_read(
    arguments: str, message: str, tmp_path: Path
) -> None:
    out = () if "--log" in arguments else ("--out", "data")
    done = dien("prepare", *arguments.split(), *out, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.message
    assert not list(tmp_path.iterdir())


def test_less_than_one_impression_a_user_is_refused(tmp_path: Path) -> None:
    sizes = ("--users", 5, "--items", 12, "--days", 3, "--out", tmp_path / "data")
    done = dien("prepare", "synthetic", *sizes, "--per-day", "0.2")
    assert done.returncode == 2
    assert "--per-day 0.2 in --days 3 is less than one impression a user" in done.message


def test_the_defaults_that_are_shown_are_those_of_the_library() -> None:
    assert (checks.VALID_FROM.value, checks.TEST_FROM.value) == (ByTime.valid_from, ByTime.test_from)
    defaults = {"valid_from": 0.8, "test_from": 0.9, "warmup": 5, "negatives": 4, "max_train_rows": None}
    defaults["rare_share"] = 0
    assert {name: temporal.__kwdefaults__[name] for name in defaults} == defaults
    assert recbole.Fields().rare_share == 0.1
    defaults = {"warmup": 1, "negatives": 4, "negatives_by": "popularity", "max_train_rows": None}
    assert {name: impressions.__kwdefaults__[name] for name in defaults} == defaults


def test_as_few_items_as_the_library_takes_are_taken() -> None:
    assert CATEGORIES == synthetic.CATEGORIES
