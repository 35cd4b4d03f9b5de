"""Devices by their names; there is no GPU where these run, so that PyTorch is told of some."""

import re
import sys
from pathlib import Path

import pytest
import torch

from dien.config import TrainConfig, load_config
from dien.data.dataset import Dataset
from dien.device import device_of
from dien.errors import ConfigError
from dien.serving import scorer
from dien.training import evaluate, fit
from tests.cli.running import dien, ok


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("name", "count", "device"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda"),
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_a_name_stands_for_a_device_that_is_here(
    name: str, count: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, count)
    assert TrainConfig(device=name).device == name
    assert device_of(name) == torch.device(device)


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("cuda", 0, "device cuda: PyTorch finds no GPU of CUDA here; choose another (training.device, or"),
        ("cuda:2", 2, "device cuda:2: PyTorch finds 2 here, numbered from 0; choose another"),
        ("mps", 0, "device mps: PyTorch finds none here"),
        ("gpu", 0, "device 'gpu': expected one of auto, cpu, cuda, cuda:N, mps"),
        ("meta", 0, "device 'meta': expected one of auto, cpu, cuda, cuda:N, mps"),
        ("cpu:0", 0, "device 'cpu:0': expected one of auto, cpu, cuda, cuda:N, mps"),
    ],
)
def test_a_device_that_is_not_here_is_refused(
    name: str, count: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, count)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=re.escape(message)):
        device_of(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:N", "cuda:-1", "cuda:1000000", "CPU", ""])
def test_a_configuration_takes_the_names_of_devices_alone(name: str) -> None:
    with pytest.raises(ConfigError, match=r"training\.device: expected one of auto, cpu, cuda, cuda:N, mps"):
        load_config(overrides=[f"training.device={name!r}"])


def test_training_evaluation_and_scoring_compute_on_the_device_that_is_named(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noted(name: str) -> torch.device:
        asked.append(name)
        return device_of(name)

    for module in ("fit", "trainer", "evaluate"):
        monkeypatch.setattr(sys.modules[f"dien.training.{module}"], "device_of", noted)
    small = ["model.hidden_size=6", "model.embedding_size=4", "training.batch_size=512", "training.epochs=1"]
    config = load_config(overrides=[*small, "training.device=cpu"])
    result = fit(small_data, config, tmp_path / "run", show_progress=False)
    assert evaluate(tmp_path / "run", split="valid", device="cpu").auc == result.valid_auc
    assert asked == ["cpu"] * 3
    assert ok("evaluate", tmp_path / "run", "--split", "valid", "--device", "cpu")["auc"] == result.valid_auc
    monkeypatch.setattr(scorer, "device_of", noted)
    requests, pairs = tmp_path / "r.jsonl", tmp_path / "p.jsonl"
    requests.write_text('{"user": "u1", "history": ["1"], "candidates": ["2"]}\n')
    pairs.write_text('{"user": "u1", "item": "2"}\n')
    for of in ([requests], ["--split", "test"], ["--pairs", pairs]):
        scored = ["score", tmp_path / "run", *of, "--out", tmp_path / "s.jsonl", "--device"]
        assert ok(*scored, "cpu")["candidates"]
        assert asked.pop() == "cpu"
        done = dien(*scored, "cuda:7")
        assert (done.returncode, done.stdout) == (1, "")
        assert "error: device cuda:7: PyTorch finds" in done.message
    gpus(monkeypatch, 0)
    for name in ("cuda", "meta"):
        done = dien("evaluate", tmp_path / "run", "--device", name)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.search(rf"error: device '?{name}'?: ", done.stderr)
    with pytest.raises(ConfigError, match="device cuda: "):
        fit(small_data, load_config(overrides=["training.device=cuda"]), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(ConfigError, match="device cuda: "):
        evaluate(tmp_path / "run", device="cuda")
