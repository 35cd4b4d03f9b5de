"""The moving average of the weights: validated and kept in place of them, and gone on with to the bit."""

from pathlib import Path
from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from dien.config import RunConfig, load_config
from dien.data.batch import Batch
from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.models import Model, build
from dien.run import Run
from dien.training import evaluate, fit
from dien.training.average import WeightAverage
from dien.training.trainer import Trainer
from tests.training.stopped import of_epoch, stopping


def config_of(*overrides: str) -> RunConfig:
    small = ["model.embedding_size=4", "model.max_history=8", "training.batch_size=512"]
    return load_config(overrides=[*small, "training.weight_average=0.8", *overrides], model="din")


def test_the_average_is_that_of_the_weights_after_each_step_and_is_what_is_kept(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    step = Trainer.step

    def noted(self: Trainer, batch: Batch) -> None:
        if not seen:
            seen.append({key: value.clone() for key, value in self.model.state_dict().items()})
        step(self, batch)
        seen.append({key: value.clone() for key, value in self.model.state_dict().items()})

    monkeypatch.setattr(Trainer, "step", noted)
    result = fit(small_data, config_of("training.epochs=1"), tmp_path / "run", show_progress=False)
    kept = load_file(tmp_path / "run/model.safetensors")
    assert any(not torch.equal(kept[key], seen[-1][key]) for key in kept)
    for key, expected in seen[0].items():
        for number, weights in enumerate(seen[1:], 1):
            decay = min(0.8, (1 + number) / (10 + number))
            if expected.is_floating_point():
                expected = decay * expected + (1 - decay) * weights[key]
            else:
                expected = weights[key]
        torch.testing.assert_close(kept[key], expected)
    assert evaluate(tmp_path / "run", split="valid").auc == result.valid_auc
    plain = config_of("training.epochs=1", "training.weight_average=null")
    fit(small_data, plain, tmp_path / "plain", show_progress=False)
    last = load_file(tmp_path / "plain/model.safetensors")
    assert all(torch.equal(last[key], seen[len(seen) // 2][key]) for key in last)


@given(
    touched=st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=12),
    read_after=st.sets(st.integers(0, 11)),
    dense_after=st.integers(0, 12),
    decay=st.floats(0.05, 0.999),
    small=st.sampled_from([0, 12]),
)
def test_the_average_is_that_of_all_weights_whatever_rows_of_a_table_the_steps_touch(
    touched: list[list[int]], read_after: set[int], dense_after: int, decay: float, small: int
) -> None:
    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(6, 2, sparse=True, dtype=torch.float64)
            self.norm = nn.BatchNorm1d(2, dtype=torch.float64)

    torch.manual_seed(0)
    model = Small()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dien.training.average.SMALL", small)
        average = WeightAverage(cast("Model", model), decay)
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for number, rows in enumerate(touched):
        model.table.sparse = number < dense_after
        model.zero_grad()
        model.norm(model.table(torch.tensor([*rows, 0, 0]))).square().sum().backward()
        average.before_step()
        with torch.no_grad():
            gradient = model.table.weight.grad
            assert gradient is not None
            model.table.weight += 1000 * torch.randn(6, 2) * (gradient.to_dense() != 0).any(1, keepdim=True)
        average.update(number + 1)
        share = min(decay, (2 + number) / (11 + number))
        for name, tensor in model.state_dict().items():
            floating = tensor.is_floating_point()
            expected[name] = share * expected[name] + (1 - share) * tensor if floating else tensor.clone()
        if number in read_after:
            torch.testing.assert_close(average.tensors, expected)
            once = {name: tensor.clone() for name, tensor in average.tensors.items()}
            assert all(torch.equal(tensor, once[name]) for name, tensor in average.tensors.items())
    torch.testing.assert_close(average.tensors, expected)


def test_a_model_has_its_own_weights_again_whatever_happens(small_data: Dataset) -> None:
    model = build(config_of().model, small_data.schema)
    average = WeightAverage(model, 0.5)
    own = {key: value.clone() for key, value in model.state_dict().items()}
    for tensor in average.tensors.values():
        tensor.fill_(1)

    def interrupted() -> None:
        with average.in_place():
            assert all((value == 1).all() for value in model.state_dict().values())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all(torch.equal(value, own[key]) for key, value in model.state_dict().items())
    average.restart()
    assert all(torch.equal(value, own[key]) for key, value in average.tensors.items())


def test_a_run_with_an_average_that_is_stopped_resumes_to_the_same_bytes(
    small_data: Dataset, tmp_path: Path
) -> None:
    config = config_of("training.epochs=2", "training.checkpoint_steps=2", "training.fresh_embeddings=true")
    fit(small_data, config, tmp_path / "whole", show_progress=False)
    with stopping(of_epoch(2, steps=3)):
        fit(small_data, config, tmp_path / "run", show_progress=False)
    file = next((tmp_path / "run/checkpoints").glob("step-*"))
    text = (tmp_path / "run/config.yaml").read_text()
    assert "weight_average: 0.8" in text
    (tmp_path / "run/config.yaml").write_text(text.replace("weight_average: 0.8", "weight_average: null"))
    other = Run.open(tmp_path / "run").config
    with pytest.raises(RunError, match=rf"{file.name}: has an unknown tensor tensors.average"):
        fit(small_data, other, tmp_path / "run", resume=True, show_progress=False)
    (tmp_path / "run/config.yaml").write_text(text)
    fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
