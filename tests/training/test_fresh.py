"""Tables drawn anew for each epoch, and labels that are smoothed: keys against learning rows by heart."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from dien.config import RunConfig, load_config
from dien.data.batch import Batch
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.errors import ConfigError
from dien.models import build
from dien.run import Run
from dien.training import RowAdam, fit
from dien.training.fresh import draw_tables
from dien.training.trainer import Trainer
from tests.training.stopped import of_epoch, stopping

SMALL = ["model.embedding_size=4", "model.max_history=8", "training.batch_size=512"]


def config_of(*overrides: str, model: str = "dien") -> RunConfig:
    return load_config(overrides=[*SMALL, *overrides], model=model)


@pytest.mark.parametrize("name", ["dien", "wide-deep", "rocket"])
def test_tables_are_those_of_a_new_model_and_nothing_else_changes(name: str, small_data: Dataset) -> None:
    config = config_of(model=name).model
    model = build(config, small_data.schema)
    optimiser = RowAdam(model.parameters())
    batch = Batches(
        small_data,
        "train",
        batch_size=64,
        max_history=8,
        auxiliary=config.needs_negatives,
        match_history=config.matched_history,
    ).batch(0, 0)
    model.losses(batch).total.backward()
    optimiser.step()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    moments, random = len(optimiser.state), torch.get_rng_state()
    draw_tables(model, optimiser, small_data.schema, seed=3, epoch=1)
    assert torch.equal(torch.get_rng_state(), random)
    tables = {f"{key}.weight" for key, part in model.named_modules() if isinstance(part, nn.Embedding)}
    assert tables
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]) == (key not in tables), key
    assert not any(parameter in optimiser.state for parameter in map(model.get_parameter, tables))
    assert len(optimiser.state) == moments - len(tables)
    again = {}
    for seed, epoch in ((3, 1), (3, 2), (4, 1)):
        draw_tables(model, optimiser, small_data.schema, seed=seed, epoch=epoch)
        again[seed, epoch] = {key: value.clone() for key, value in model.state_dict().items()}
        if (seed, epoch) == (3, 1):
            draw_tables(model, optimiser, small_data.schema, seed=3, epoch=1)
            assert all(torch.equal(v, model.state_dict()[k]) for k, v in again[3, 1].items())
    for other in ((3, 2), (4, 1)):  # a wide part begins at 0, whatever the seed
        assert any(not torch.equal(again[3, 1][key], again[other][key]) for key in tables)


def test_each_epoch_but_the_first_begins_with_tables_of_its_own(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: dict[int, dict[str, torch.Tensor]] = {}
    step = Trainer.step

    def noted(self: Trainer, batch: Batch) -> None:
        if self.state.steps % len(self.batches) == 0:
            begun[self.state.steps] = {k: v.clone() for k, v in self.model.state_dict().items()}
        step(self, batch)

    monkeypatch.setattr(Trainer, "step", noted)
    config = config_of("training.epochs=3", "training.fresh_embeddings=true", "training.patience=3")
    result = fit(small_data, config, tmp_path / "run", show_progress=False)
    first, second, third = begun.values()
    assert result.steps == 3 * (list(begun)[1])
    fresh = build(config.model, small_data.schema)
    draw_tables(fresh, RowAdam(fresh.parameters()), small_data.schema, 0, 1)
    tables = {f"{key}.weight" for key, part in fresh.named_modules() if isinstance(part, nn.Embedding)}
    for key in tables:
        assert torch.equal(second[key], fresh.state_dict()[key])
        assert not torch.equal(second[key], third[key])
    assert any(not torch.equal(first[key], second[key]) for key in first.keys() - tables)


@pytest.mark.parametrize("steps", [0, 3])
def test_a_run_with_fresh_tables_that_is_stopped_resumes_to_the_same_bytes(
    steps: int, small_data: Dataset, tmp_path: Path
) -> None:
    config = config_of(
        *("training.epochs=2", "training.fresh_embeddings=true", "training.checkpoint_steps=2"),
        "training.patience=2",
    )
    fit(small_data, config, tmp_path / "whole", show_progress=False)
    with stopping(of_epoch(2, steps=steps)):
        fit(small_data, config, tmp_path / "run", show_progress=False)
    fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_fresh_tables_and_vectors_or_tables_from_elsewhere_exclude_each_other(
    small_data: Dataset, small_run: Run, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="fresh_embeddings draws every table anew, and pre"):
        config_of("training.fresh_embeddings=true", "training.pretrained={item: {file: v.parquet}}")
    config = small_run.config.model_copy(
        update={"training": small_run.config.training.model_copy(update={"fresh_embeddings": True})}
    )
    with pytest.raises(ConfigError, match=r"those of the earlier run would be lost"):
        fit(small_data, config, tmp_path / "run", start_from=small_run, show_progress=False)
    assert not (tmp_path / "run").exists()
    with pytest.warns(UserWarning, match=r"training.fresh_embeddings has no effect with training.epochs=1"):
        config_of("training.fresh_embeddings=true", "training.epochs=1")


def test_smoothed_labels_are_those_of_the_loss_and_not_of_the_metrics(
    small_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    kind = type(build(config_of(model="din").model, small_data.schema))
    losses = kind.losses

    def noted(self: Any, batch: Batch) -> Any:
        assert batch.label is not None
        seen.append(batch.label)
        return losses(self, batch)

    monkeypatch.setattr(kind, "losses", noted)
    for smoothing in (0.0, 0.2):
        config = config_of("training.epochs=1", f"training.label_smoothing={smoothing}", model="din")
        fit(small_data, config, tmp_path / str(smoothing), show_progress=False)
    plain, smooth = torch.cat(seen[: len(seen) // 2]), torch.cat(seen[len(seen) // 2 :])
    assert set(plain.tolist()) == {0.0, 1.0}
    torch.testing.assert_close(smooth, torch.where(plain == 1, 0.9, 0.1))
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("0.0", "0.2")]
    assert any(not torch.equal(value, weights[1][key]) for key, value in weights[0].items())
