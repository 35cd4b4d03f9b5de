from pathlib import Path

import pytest
import torch

from dien.errors import RunError
from dien.training.checkpoint import Checkpoint


def test_the_newest_checkpoint_comes_back_to_the_bit_and_is_the_only_one_kept(tmp_path: Path) -> None:
    for step in (900, 1000, 10_000):
        kept = Checkpoint(
            {"steps": step, "loss": 0.1 + step / 3, "best": {"auc": None}, "stopped": None},
            {
                "model.weight": torch.randn(3, 2),
                "model.count": torch.tensor(step),
                "sum": torch.rand(2).double(),
            },
            {0: {"step": torch.tensor(3.0), "mean": torch.randn(2)}, 11: {"step": step}},
        )
        kept.save(tmp_path, step)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010000.safetensors"]
    read = Checkpoint.newest(tmp_path)
    assert read is not None
    assert read.progress == kept.progress
    assert read.optimiser[11] == {"step": 10_000}
    for mine, theirs in ((kept.tensors, read.tensors), (kept.optimiser[0], read.optimiser[0])):
        assert mine.keys() == theirs.keys()
        for name, tensor in mine.items():
            torch.testing.assert_close(theirs[name], tensor, rtol=0, atol=0)


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    (tmp_path / ".new.safetensors").write_bytes(b"half")
    assert Checkpoint.newest(tmp_path) is None


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    Checkpoint({}, {"weight": torch.ones(50)}, {}).save(tmp_path, 7)
    file = tmp_path / "step-000000007.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(RunError, match=r"step-000000007.safetensors: cannot be read"):
        Checkpoint.newest(tmp_path)
