"""Training that hides ids: "unknown" is learned, and one is told where nothing can be hidden."""

from dataclasses import replace
from pathlib import Path

import pytest

from dien.config import RunConfig, load_config
from dien.data.dataset import Dataset
from dien.data.features import Schema
from dien.data.features.encoders import Hashed
from dien.errors import DatasetWarning, RunError
from dien.models import build
from dien.run import Run
from dien.training import fit

SMALL = ["model.embedding_size=4", "model.max_history=8", "training.batch_size=512", "training.epochs=1"]


def config_of(share: float) -> RunConfig:
    return load_config(overrides=[*SMALL, f"training.id_dropout={share}"], model="din")


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_unknown_items_and_users_are_learned_where_ids_are_hidden_and_only_there(
    share: float, small_data: Dataset, tmp_path: Path
) -> None:
    fit(small_data, config_of(share), tmp_path / "run", show_progress=False)
    trained, fresh = Run.open(tmp_path / "run").load_model(), build(config_of(share).model, small_data.schema)
    for part, name in (("item", "item"), ("profile", "user")):
        tables = [dict(m.named_modules())[f"inputs.{part}"].tables for m in (trained, fresh)]  # type: ignore[union-attr]
        number = [f.name for f in small_data.schema.of(*(("item",) if name == "item" else ("user",)))].index(
            name
        )
        unknown, first = (table[number].weight[0] for table in tables)  # type: ignore[index, union-attr]
        assert bool((unknown != first).any()) == bool(share)


def test_one_is_warned_where_the_ids_of_a_side_are_never_unknown(
    small_data: Dataset, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    features = small_data.schema.features
    hashed = tuple(replace(f, encoder=Hashed(f.size - 1)) if f.name == "user" else f for f in features)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    data = replace(small_data, schema=Schema(hashed))
    with (
        pytest.warns(DatasetWarning, match=r"id_dropout has no effect on users: .*ids\.user\.buckets"),
        pytest.raises(RunError, match="taken"),  # one is told before any work
    ):
        fit(data, config_of(0.1), tmp_path / "taken", show_progress=False)
    assert not [one for one in recwarn if "on items" in str(one.message)]
