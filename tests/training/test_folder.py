"""Folders of earlier versions: gone on with where only keys were added, which mean what was done before."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.training.compare import compare, compared_configs
from dien.training.jobs import Job
from dien.training.space import search_space
from dien.training.tune import tune

SETTINGS = ["model.embedding_size=4", "model.max_history=5", "training.epochs=1", "training.batch_size=256"]
NEW_KEYS = {"training": ("learning_rate_decay", "auxiliary_negatives"), "model": ("attention_softmax",)}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks")


def compared(data: Dataset, out: Path) -> dict[str, Any]:
    configs = compared_configs(["din"], settings=SETTINGS)
    return compare([data.path], configs, out, show_progress=False).to_dict()


def tuned(data: Dataset, out: Path) -> dict[str, Any]:
    settings = [*SETTINGS, "model.pooled_history=true"]
    config = compared_configs(["din"], settings=settings)["din"]
    space = search_space("din", None, settings)
    return tune(data.path, "din", config, space, out, trials=1, show_progress=False).to_dict()


def edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the settings that the command has stored."""
    content = json.loads(file.read_text())
    change(content["settings"]["din"] if "din" in content["settings"] else content["settings"])
    file.write_text(json.dumps(content))


def forget_new_keys(settings: dict[str, Any]) -> None:
    for part, keys in NEW_KEYS.items():
        for key in keys:
            del settings[part][key]


@pytest.mark.parametrize(
    ("command", "module", "name", "key"),
    [
        (compared, "compare", "comparison.json", "settings.din"),
        (tuned, "tune", "tune.json", "settings"),
    ],
    ids=["compare", "tune"],
)
def test_keys_added_since_are_filled_in_and_any_other_difference_is_refused(
    command: Callable[[Dataset, Path], dict[str, Any]],
    module: str,
    name: str,
    key: str,
    small_data: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = command(small_data, tmp_path)
    file, written = tmp_path / name, (tmp_path / name).read_text()
    (run,) = (tmp_path / "runs").iterdir()
    lines = (run / "config.yaml").read_text().splitlines(keepends=True)
    new = [f"  {new}:" for keys in NEW_KEYS.values() for new in keys]
    kept = [line for line in lines if not line.startswith(tuple(new))]
    assert len(lines) - len(kept) == 3
    (run / "config.yaml").write_text("".join(kept))

    def no_run(jobs: list[Job], *_: object) -> None:
        assert not jobs

    monkeypatch.setattr(f"dien.training.{module}.run_all", no_run)
    edit(file, forget_new_keys)
    assert file.read_text() != written
    assert command(small_data, tmp_path) == done
    assert file.read_text() == written

    for change, expected in (
        (
            lambda settings: settings["training"].update(epochs=2),
            f"was made with {key}.training.epochs = 2, not 1;",
        ),
        (
            lambda settings: settings["training"].update(momentum=0.9),
            f"another version of dien has made it, with {key}: unknown key training.momentum;",
        ),
        (
            lambda settings: settings["training"].pop("id_dropout"),
            f"was made with {key}.training.id_dropout = 0.0, not 4.0;",
        ),
        (lambda settings: settings.update(model=3), f"with {key}: model: "),
    ):
        file.write_text(written)
        edit(file, change)
        edited = file.read_text()
        with pytest.raises(RunError, match=re.escape(f"{file}: ") + ".*" + re.escape(expected)) as refusal:
            command(small_data, tmp_path)
        assert "choose another --out" in str(refusal.value)
        assert file.read_text() == edited
