import json
from typing import Any

import pytest
from typer.testing import CliRunner

from dien.bench import SHAPES, Shape, subject
from dien.cli.commands import app
from dien.errors import ConfigError
from dien.ops.cpu import backends

SMALL = {
    "mean-15": Shape("16 rows", 16, mean=15),
    "request": Shape("4 candidates", 1, 4, train=False),
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, shape in SMALL.items():
        monkeypatch.setitem(SHAPES, name, shape)
    monkeypatch.setattr(subject, "LEAST", 0.001)


def run(*arguments: str) -> str:
    shapes = [part for name in SMALL for part in ("--shape", name)]
    done = CliRunner().invoke(app, ["bench", *shapes, "--rounds", "3", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_json_holds_what_ran_and_the_rates_of_every_shape() -> None:
    result: dict[str, Any] = json.loads(run("--threads", "1", "--set", "model.hidden_size=8", "--json"))
    assert result["threads"] == 1
    assert result["rounds"] == 3
    assert result["backend"] in backends()
    assert result["model"]["hidden_size"] == 8
    assert result["model"]["attention"] == "mlp"
    assert list(result["shapes"]) == list(SMALL)
    for name, shape in result["shapes"].items():
        assert shape["rows"] == SMALL[name].rows
        modes = [mode for mode in ("train", "score") if mode in shape]
        assert modes == (["train", "score"] if SMALL[name].train else ["score"])
        assert "profile" not in shape
        for mode in modes:
            rate, milliseconds = shape[mode]["rows_per_second"], shape[mode]["milliseconds"]
            assert 0 < rate["low"] <= rate["median"] <= rate["high"]
            assert 0 < milliseconds["low"] <= milliseconds["median"] <= milliseconds["high"]
            assert rate["median"] == pytest.approx(1e3 * shape["rows"] / milliseconds["median"])


def test_the_parts_of_a_profile_add_up() -> None:
    shapes = json.loads(run("--profile", "--json"))["shapes"]
    assert "profile" not in shapes["request"]
    profile = shapes["mean-15"]["profile"]
    parts = [
        stage[f"{part}_ms"]
        for stage in profile["stages"].values()
        for part in ("forward", "backward", "update")
    ]
    assert min(parts) >= 0
    assert sum(parts) == pytest.approx(profile["sum_ms"])
    assert sum(stage["share"] for stage in profile["stages"].values()) == pytest.approx(1)
    assert profile["sum_ms"] == pytest.approx(profile["step_ms"] * (1 + profile["difference"]))
    for stage in profile["stages"].values():
        milliseconds = stage["forward_ms"] + stage["backward_ms"] + stage["update_ms"]
        assert stage["gflop_per_second"] == pytest.approx(1e3 * stage["gflop"] / milliseconds)


def test_without_json_tables_are_printed() -> None:
    printed = run("--profile").splitlines()
    rates = [line.split()[:2] for line in printed if line.startswith(("mean-15", "request"))]
    assert rates == [["mean-15", "train"], ["mean-15", "score"], ["request", "score"]]
    assert any(line.startswith("auxiliary network") for line in printed)
    assert printed[-1].startswith("unobserved: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shape", "long"), "unknown shape 'long'; expected one of: mean-15, full, paired, request"),
        (("--set", "training.epochs=3"), "training.epochs=3: nothing of it is measured"),
        (("--set", "model.name=din", "--profile"), "has the stages of dien"),
        (("--set", "model.filter_by=category"), "model.filter_by: histories of dien bench are drawn"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(*arguments)


def test_another_model_has_rates_too() -> None:
    assert json.loads(run("--set", "model.name=sum-pooling", "--json"))["model"]["name"] == "sum-pooling"
