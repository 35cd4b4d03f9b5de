"""A checkpoint of RecBole's becomes a RUN: the same scores, of raw ids."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("recbole", reason="RecBole is not installed: make test-recbole runs these")

from recbole.trainer import Trainer
from typer.testing import CliRunner

from dien.cli.commands import app
from dien.errors import RunError
from dien.recbole import DIEN, DIENTrainer, conversion, convert
from dien.serving import Scorer
from dien.training import evaluate
from dien.training.warm import expect_extension
from tests.recbole.test_model import GRUS, batch, both, prepared

# As FEATURES of test_model, but for float_seq, which a RUN has not.
FEATURES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "ids alone": ([], [], []),
    "user": (["age", "hobbies", "income", "habits"], [], ["income"]),
    "item": ([], ["class", "tags", "price", "colours"], ["price"]),
    "all": (["age", "hobbies", "income"], ["class", "tags", "price"], ["income", "price"]),
}


def given(features: str, **more: Any) -> dict[str, Any]:
    """Keys of the configuration for these features."""
    users, items, numerical = FEATURES[features]
    columns = {
        "inter": ["user_id", "item_id", "rating", "timestamp"],
        "user": ["user_id", *users],
        "item": ["item_id", *items],
    }
    return {"load_col": columns, "numerical_features": numerical} | more


def saved(trainer: type[Trainer], config: Any, model: Any, file: Path) -> Path:
    """A checkpoint of a model, as a trainer of RecBole's writes it."""
    trainer(config, model)._save_checkpoint(0, verbose=False, saved_model_file=str(file))
    return file


def checkpoints(settings: dict[str, Any], features: str = "all", **more: Any) -> tuple[Any, Any, list[Path]]:
    """RecBole's Dataset, its model with random weights, and checkpoints of it and of ours with the same."""
    config, dataset = prepared(settings, **given(features, **more))
    theirs, ours = both(config, dataset)
    files = [
        saved(Trainer, config, theirs, Path("theirs.pth")),
        saved(DIENTrainer, config, ours, Path("ours.pth")),
    ]
    return dataset, theirs.eval(), files


def checkpoint_of_ours(settings: dict[str, Any], **more: Any) -> tuple[Any, DIEN, Path]:
    """RecBole's Dataset, our model with switches that RecBole's has not, and its checkpoint."""
    config, dataset = prepared(settings, **given("all", **more))
    torch.manual_seed(1)
    model = DIEN(config, dataset)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return dataset, model.eval(), saved(DIENTrainer, config, model, Path("ours.pth"))


def requests(dataset: Any, interaction: Any) -> list[dict[str, Any]]:
    """Each row of a batch in raw ids."""
    items, users = dataset.field2id_token["item_id"], dataset.field2id_token["user_id"]
    fields = "user_id", "item_id_list", "item_length", "item_id"
    rows = zip(*(interaction[field].tolist() for field in fields), strict=True)
    return [
        {
            "user": str(users[user]),
            "history": [str(items[item]) for item in history[:length]],
            "candidates": [str(items[target])],
        }
        for user, history, length, target in rows
    ]


def scores(run: Path, dataset: Any, interaction: Any) -> np.ndarray:
    scorer = Scorer.load(run)
    return np.concatenate([scorer.score(**request) for request in requests(dataset, interaction)])


def assert_scores_as_recbole(run: Path, dataset: Any, model: Any) -> None:
    interaction = batch(dataset)
    with torch.no_grad():
        expected = model.predict(interaction).numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(scores(run, dataset, interaction), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("gru", GRUS)
def test_a_run_scores_as_recbole_predicts(
    gru: str, features: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    dataset, model, files = checkpoints(settings, features, gru_type=gru)
    for file in files:
        convert(file, tmp_path / file.stem)
        assert_scores_as_recbole(tmp_path / file.stem, dataset, model)


@pytest.mark.parametrize("pooling", ["mean", "max", "sum"])
def test_every_pooling_mode_is_recboles(pooling: str, settings: dict[str, Any], tmp_path: Path) -> None:
    dataset, model, files = checkpoints(settings, pooling_mode=pooling)
    for file in files:
        convert(file, tmp_path / file.stem)
        assert_scores_as_recbole(tmp_path / file.stem, dataset, model)


@pytest.mark.parametrize("buckets", [{"method": "ED", "bucket": 4}, {"method": "LD"}])
def test_numbers_in_buckets_are_recboles(
    buckets: dict[str, Any], settings: dict[str, Any], tmp_path: Path
) -> None:
    dataset, model, files = checkpoints(settings, discretization={"price": buckets})
    for file in files:
        run = convert(file, tmp_path / file.stem)
        assert run.config.training.auxiliary_negatives == "fixed"
        assert {f.name: f.kind for f in run.schema.features}["price"] == "categorical"
        assert_scores_as_recbole(tmp_path / file.stem, dataset, model)


@pytest.mark.parametrize("gru", GRUS)
@pytest.mark.parametrize("preset", ["paper", "authors"])
def test_a_preset_of_ours_scores_as_it_predicts(
    preset: str, gru: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    dataset, model, file = checkpoint_of_ours(settings, gru_type=gru, dien_preset=preset, dropout_prob=0.2)
    run = convert(file, tmp_path / "run")
    assert run.config.model.head_dropout == 0.2
    assert run.config.training.auxiliary_negatives == "redrawn"
    assert_scores_as_recbole(tmp_path / "run", dataset, model)


@pytest.fixture
def gappy(settings: dict[str, Any], atomic: Path, tmp_path: Path) -> dict[str, Any]:
    """Settings with data in which a third of the items lack their class, price and tags."""
    folder = tmp_path / "gappy" / "toy"
    shutil.copytree(atomic / "toy", folder)
    head, *lines = (folder / "toy.item").read_text().splitlines()
    lines = [line if k % 3 else line.split("\t")[0] + 4 * "\t" for k, line in enumerate(lines)]
    (folder / "toy.item").write_text("\n".join([head, *lines]) + "\n")
    return settings | {"data_path": str(folder.parent)}


def test_missing_values_are_what_recbole_has_trained_for_them(gappy: dict[str, Any], tmp_path: Path) -> None:
    dataset, model, files = checkpoints(gappy)
    for file in files:
        run = convert(file, tmp_path / file.stem)
        assert_scores_as_recbole(tmp_path / file.stem, dataset, model)
        assert run.vocabularies["class"].counts[0] == (dataset.item_feat["class"][1:] == 0).sum() > 0


def test_a_value_that_no_item_has_gets_zero_weights_and_unknown_ids_get_it(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    dataset, _, (_, file) = checkpoints(settings)
    run = convert(file, tmp_path / "run")
    inputs = run.load_model().inputs
    for side, features in (("item", run.schema.of("item")), ("profile", run.schema.of("user"))):
        tables = getattr(inputs, side).tables
        assert len(tables) == len(features) - 1  # without the number
        assert all((table.weight[0] == 0).all() and (table.weight[1:] != 0).any() for table in tables)
    # A number of an unknown item is the mean, as RecBole has it for a missing one.
    prices = dataset.item_feat["price"][:, 0].numpy()
    assert run.items["price"][0] == prices[0] == pytest.approx(prices[1:].mean(), rel=1e-5)
    unknown = Scorer(run).score("nobody", ["i1", "nothing"], ["nothing", "i2"])
    assert np.isfinite(unknown).all()


def test_a_converted_run_has_the_configuration_and_weights_of_its_checkpoint(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    dataset, model, files = checkpoints(settings, features="item")
    run = convert(files[0], tmp_path / "run")
    assert run.item_ids.values.to_list() == [None, *dataset.field2id_token["item_id"][1:]]
    assert run.user_ids.values.to_list() == [None, *dataset.field2id_token["user_id"][1:]]
    assert [f.name for f in run.schema.features] == ["item_id", "class", "tags", "price", "user_id"]
    used = np.bincount(dataset.item_feat["tags"].flatten())
    assert run.vocabularies["tags"].counts.tolist() == [0, *used[1:]]
    assert run.info.recbole == {"checkpoint": "theirs.pth", "dataset": "toy", "epoch": 1}
    assert sum(p.numel() for p in run.load_model().parameters()) <= sum(p.numel() for p in model.parameters())
    assert load_file(run.path / "model.safetensors").keys() == run.load_model().state_dict().keys()
    with pytest.raises(RunError, match=r"run: converted, so it has no dataset; score requests"):
        evaluate(run)
    with pytest.raises(RunError, match=r"run: converted, so no dataset extends its own; train without"):
        expect_extension(run, run.config.model, None)


def test_the_data_may_have_moved_and_must_be_the_same(
    settings: dict[str, Any], gappy: dict[str, Any], tmp_path: Path
) -> None:
    dataset, model, (theirs, ours) = checkpoints(gappy)
    folder, moved = Path(gappy["data_path"]) / "toy", tmp_path / "moved"
    folder.rename(moved)
    convert(theirs, tmp_path / "theirs")  # has its data set with it
    with pytest.raises(RunError, match=r"toy: has no toy\.inter, and ours\.pth holds no raw ids; .*--data"):
        convert(ours, tmp_path / "ours")
    convert(ours, tmp_path / "ours", moved)
    for name in ("theirs", "ours"):
        assert_scores_as_recbole(tmp_path / name, dataset, model)
    for name, line in (("toy.inter", "u0\tnew\t5\t99999"), ("toy.item", "new\tc0\tt0\t1\t")):
        with (moved / name).open("a") as file:
            file.write(line + "\n")
    with pytest.raises(RunError, match=r"^item_id, class: \d+ values in the data set, \d+ in the checkpoint"):
        convert(ours, tmp_path / "other", moved)
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_represented_is_refused_by_its_name(
    settings: dict[str, Any], gappy: dict[str, Any], tmp_path: Path
) -> None:
    _, _, files = checkpoints(settings, features="item", numerical_features=["price", "colours"])
    for file in files:
        with pytest.raises(RunError, match=r"^item field colours: a float_seq"):
            convert(file, tmp_path / "run")
    _, _, files = checkpoints(gappy, pooling_mode="max")
    for file in files:
        with pytest.raises(RunError, match=r"^item field tags: \d+ rows have no value, .* pooling_mode max"):
            convert(file, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_conversion_that_fails_leaves_no_run(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, (file, _) = checkpoints(settings, features="ids alone")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(conversion, "save_file", full)
        with pytest.raises(RunError, match="could not be written"):
            convert(file, tmp_path / "runs" / "run")
    assert not (tmp_path / "runs").exists()
    left = tmp_path / "runs" / ".run.scratch.0123abcd"  # by a process that was killed
    left.mkdir(parents=True)
    with pytest.warns(
        UserWarning, match=r"scratch\.0123abcd: removed; a process that was killed had left it"
    ):
        convert(file, tmp_path / "runs" / "run")
    assert not left.exists()
    with pytest.raises(RunError, match="exists already"):
        convert(file, tmp_path / "runs" / "run")


def test_what_is_no_checkpoint_of_dien_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    with pytest.raises(RunError, match=r"x\.pth: cannot be read: No such file"):
        convert(file, tmp_path / "run")
    file.write_text("hello")
    with pytest.raises(RunError, match=r"x\.pth: cannot be unpickled"):
        convert(file, tmp_path / "run")
    torch.save({"state_dict": {}}, file)
    with pytest.raises(RunError, match=r"x\.pth: expected a checkpoint of RecBole's"):
        convert(file, tmp_path / "run")
    torch.save({"config": {"model": "DIN"}, "state_dict": {}, "epoch": 0}, file)
    with pytest.raises(RunError, match=r"x\.pth: of the model DIN; only DIEN"):
        convert(file, tmp_path / "run")


def test_the_command_reads_a_pickle_only_when_told_to_trust_it(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    dataset, model, (file, _) = checkpoints(settings)
    run, interaction = tmp_path / "run", batch(dataset)
    refused = CliRunner().invoke(app, ["convert-recbole", str(file), "--out", str(run)])
    assert refused.exit_code == 2
    assert "pickle" in refused.output
    assert "--trust" in refused.output
    assert not run.exists()
    command = ["convert-recbole", str(file), "--out", str(run), "--trust", "--json"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["items"] == dataset.num("item_id") - 1

    lines = "".join(json.dumps(request) + "\n" for request in requests(dataset, interaction))
    (tmp_path / "requests.jsonl").write_text(lines)
    command = ["score", str(run), str(tmp_path / "requests.jsonl"), "--out", str(tmp_path / "scores.parquet")]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    found = pl.read_parquet(tmp_path / "scores.parquet")["scores"].explode().to_numpy()
    with torch.no_grad():
        np.testing.assert_allclose(found, model.predict(interaction).numpy(), rtol=0, atol=1e-5)
