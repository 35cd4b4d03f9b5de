import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from dien.errors import RunError
from dien.training.checkpoint import Checkpoint, TrainState, save_tensors
from dien.training.metrics import Metrics


def test_the_newest_checkpoint_comes_back_to_the_bit_and_is_the_only_one_kept(tmp_path: Path) -> None:
    for step in (900, 1000, 10_000):
        kept = Checkpoint(
            TrainState(
                steps=step,
                epoch_losses={"loss": 0.1 + step / 3, "auxiliary_loss": math.inf},
                best=Metrics(None, None, 0.1 + 0.2, 1 / 3, 0.0, 5, 2, 1, "no AUC: every label is 1"),
            ),
            {
                "model.weight": torch.randn(3, 2),
                "model.count": torch.tensor(step),
                "sum": torch.rand(2).double(),
            },
            {0: {"step": torch.tensor(3.0), "mean": torch.randn(2)}, 11: {"step": step}},
        )
        kept.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010000.safetensors"]
    read = Checkpoint.newest(tmp_path)
    assert read is not None
    assert read.state == kept.state
    assert read.optimiser[11] == {"step": 10_000}
    for mine, theirs in ((kept.tensors, read.tensors), (kept.optimiser[0], read.optimiser[0])):
        assert mine.keys() == theirs.keys()
        for name, tensor in mine.items():
            torch.testing.assert_close(theirs[name], tensor, rtol=0, atol=0)


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    (tmp_path / ".new.safetensors").write_bytes(b"half")
    assert Checkpoint.newest(tmp_path) is None


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    Checkpoint(TrainState(steps=7), {"weight": torch.ones(50)}, {}).save(tmp_path)
    file = tmp_path / "step-000000007.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(RunError, match=r"step-000000007.safetensors: cannot be read"):
        Checkpoint.newest(tmp_path)


def test_a_loss_that_is_not_a_number_comes_back_as_it_was(tmp_path: Path) -> None:
    Checkpoint(TrainState(steps=1, epoch_losses={"loss": math.nan}), {}, {}).save(tmp_path)
    read = Checkpoint.newest(tmp_path)
    assert read is not None
    assert math.isnan(read.state.epoch_losses["loss"])


@pytest.mark.parametrize(
    ("epoch", "recent", "names"),
    [
        ([12.5, 4.5], [3.0, 1.5], ["loss", "auxiliary_loss"]),  # from before Rocket Launching
        ([12.5, 0.0, []], [3.0, 0.0], ["loss"]),
        ([12.5, 4.5, []], [3.0, 1.5], ["loss", "auxiliary_loss"]),
        (
            [12.5, 4.5, [2.5, 1.25]],
            [3.0, 1.5, 0.5, 0.25],
            ["loss", "auxiliary_loss", "booster_loss", "hint_loss"],
        ),
    ],
)
def test_a_checkpoint_whose_losses_go_by_their_place_is_gone_on_with(
    epoch: list[Any], recent: list[float], names: list[str], tmp_path: Path
) -> None:
    progress = {
        **dict(zip(("epoch_loss", "epoch_auxiliary", "epoch_rocket"), epoch, strict=False)),
        **{"steps": 150, "epochs": 1, "best_epoch": 0, "best_file": "", "best": {}, "waited": 0},
        **{"timed_rows": 900, "timed_seconds": 0.5, "stopped": None},
    }
    tensors = {
        "tensors.model.weight": torch.ones(2),
        "tensors.recent": torch.tensor(recent, dtype=torch.float64),
    }
    file = tmp_path / "step-000000150.safetensors"
    save_tensors(file, tensors, {"progress": json.dumps(progress), "numbers": "{}"})
    read = Checkpoint.newest(tmp_path)
    assert read is not None
    losses = [*epoch[:2], *(epoch[2] if len(epoch) > 2 else [])][: len(names)]
    assert read.state == TrainState(
        steps=150,
        epochs=1,
        epoch_losses=dict(zip(names, losses, strict=True)),
        timed_rows=900,
        timed_seconds=0.5,
    )
    assert read.tensors.keys() == {"model.weight", *(f"recent.{name}" for name in names)}
    assert [read.tensors[f"recent.{name}"].tolist() for name in names] == recent[: len(names)]
