"""A run that starts from the weights of another, on data that has grown since."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from dien.config import RunConfig, load_config
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from dien.data.features import Schema
from dien.data.features.encoders import Hashed
from dien.data.log import Log
from dien.data.prepare import temporal
from dien.data.prepare.prepared import Prepared
from dien.data.tables import FeatureTable
from dien.data.vocabulary import Vocabulary
from dien.data.writer import write
from dien.errors import RunError
from dien.models import Model, build
from dien.run import Run
from dien.training import fit
from dien.training.step_size import batch_size_for
from dien.training.warm import copy_weights
from tests.training.test_resume import assert_same, train_killed

SETTINGS = [
    "model.hidden_size=6",
    "model.embedding_size=4",
    "model.max_history=10",
    "training.batch_size=64",
    "training.id_dropout=0",  # a hidden id trains "unknown"
    "training.epochs=1",
    "training.checkpoint_steps=5",
]


def config_of(*overrides: str) -> RunConfig:
    return load_config(overrides=[*SETTINGS, *overrides])


def days(first: int, last: int) -> Log:
    """Every day some users stay away for good, and new users, items and hours come."""
    rng = np.random.default_rng(0)
    user, item, hour = (rng.integers(0, n, 1200) for n in (20, 30, 3))
    time = np.sort(rng.integers(0, 6 * 86_400, 1200))
    day = time // 86_400
    events = pl.DataFrame(
        {
            "user": [f"u{u}" for u in user + 8 * day],
            "item": [f"i{i}" for i in item + 6 * day],
            "time": time,
            "hour": [f"h{h}" for h in hour + day],
        }
    ).filter(pl.col("time").is_between(first * 86_400, last * 86_400, closed="left"))
    items = events.select(pl.col("item").unique(maintain_order=True))
    return Log(
        events=events,
        items=items.with_columns(category=pl.col("item").str.slice(1, 1)),
        users=events.select(pl.col("user").unique(maintain_order=True)),
        sources=(),
    )


def with_vocabularies(prepared: Prepared, vocabularies: dict[str, Vocabulary]) -> Prepared:
    """Number the values of every feature as other vocabularies do, which have all of them."""
    index = {
        name: vocabularies[name].encode(old.values).astype(np.int32)
        for name, old in prepared.vocabularies.items()
    }

    def renumbered(table: FeatureTable) -> FeatureTable:
        return {name: index[name][column] for name, column in table.items()}  # type: ignore[index]

    sized = (replace(f, size=len(vocabularies[f.name])) for f in prepared.schema.features)
    splits = {
        name: replace(split, context=renumbered(split.context)) for name, split in prepared.splits.items()
    }
    return replace(
        prepared,
        schema=Schema(tuple(sized)),
        vocabularies=vocabularies,
        items=renumbered(prepared.items),
        users=renumbered(prepared.users),
        splits=splits,
    )


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("early") / "data"
    write(temporal(days(0, 3), seed=0), path)
    return Dataset.open(path)


@pytest.fixture(scope="module")
def extended(early: Dataset) -> Prepared:
    """All days, in which what the early days know has the index it has there."""
    prepared = temporal(days(0, 6), seed=0)
    vocabularies = {
        name: early.vocabularies[name].extend(later) for name, later in prepared.vocabularies.items()
    }
    return with_vocabularies(prepared, vocabularies)


@pytest.fixture(scope="module")
def grown(extended: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("grown") / "data"
    write(extended, path)
    return Dataset.open(path)


@pytest.fixture(scope="module")
def run(early: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("early") / "run"
    fit(early, config_of(), path, show_progress=False)
    return Run.open(path)


@pytest.fixture(scope="module")
def warm(run: Run, grown: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on with nothing to disturb it."""
    path = tmp_path_factory.mktemp("warm") / "run"
    fit(grown, config_of(), path, start_from=run, show_progress=False)
    return path


def fresh(data: Dataset) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(0)  # training.seed
        return build(config_of().model, data.schema)


def later_rows(early: Dataset, grown: Dataset) -> np.ndarray:
    """Which training impressions of the grown data come after those of the early data."""
    return grown.splits["train"].time > early.splits["train"].time.max()


def test_before_any_step_known_ids_score_as_in_the_earlier_run(
    run: Run, early: Dataset, grown: Dataset
) -> None:
    model = fresh(grown)
    copy_weights(run, model)
    old, model = run.load_model(), model.eval()
    for split in ("train", "valid", "test"):
        batch = Batches(early, split, batch_size=10**9, max_history=10, match_history=1000).batch(0, 0)
        with torch.no_grad():
            assert torch.equal(old(batch).logits, model(batch).logits)


def test_tables_keep_their_old_rows_and_new_rows_are_those_of_a_fresh_model(run: Run, grown: Dataset) -> None:
    model = fresh(grown)
    copy_weights(run, model)
    before, new, old = (
        fresh(grown).state_dict(),
        model.state_dict(),
        load_file(run.path / "model.safetensors"),
    )
    assert new.keys() == old.keys()
    grew = [name for name in new if new[name].shape != old[name].shape]
    assert len(grew) == 3  # item, user and hour; there is no new category
    for name, tensor in new.items():
        assert torch.equal(tensor[: len(old[name])] if name in grew else tensor, old[name])
        if name in grew:
            assert torch.equal(tensor[len(old[name]) :], before[name][len(old[name]) :])


def test_only_rows_later_than_the_earlier_training_are_trained_on(
    run: Run, warm: Path, early: Dataset, grown: Dataset
) -> None:
    later = later_rows(early, grown)
    assert 0 < later.sum() < len(later)
    assert json.loads((warm / "run.json").read_text())["from"] == {
        "run": str(run.path.resolve()),
        "rows_after": int(early.splits["train"].time.max()),
    }
    # A user's row changes where the user is in such an impression, and nowhere else.
    train = grown.splits["train"]
    seen = set(grown.users["user"][train.user[later]].tolist())
    model = fresh(grown)
    copy_weights(run, model)
    name = "inputs.profile.tables.0.weight"
    changed = (load_file(warm / "model.safetensors")[name] != model.state_dict()[name]).any(1)
    assert len(changed) == len(grown.vocabularies["user"])
    assert set(changed.nonzero()[:, 0].tolist()) == seen
    known = len(early.vocabularies["user"])
    assert any(user >= known for user in seen)
    assert any(user < known for user in seen)
    assert not set(range(1, known)) <= seen


def test_where_no_row_is_later_all_are_trained_on_and_it_is_said(
    run: Run, early: Dataset, grown: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit(early, config_of(), tmp_path / "same", start_from=run.path)
    assert json.loads((tmp_path / "same/run.json").read_text())["from"]["rows_after"] is None
    rows = len(early.splits["train"].item)
    said = capfd.readouterr().err
    assert f"from {run.path}: none of the {rows:,} rows is later than what it was trained on" in said
    fit(grown, config_of(), tmp_path / "grown", start_from=str(run.path))
    rows = int(np.diff(grown.splits["train"].offsets)[later_rows(early, grown)].sum())
    assert f"training on the {rows:,} rows later than what it was trained on" in capfd.readouterr().err


def test_the_training_part_of_the_configuration_may_differ(
    run: Run, warm: Path, grown: Dataset, tmp_path: Path
) -> None:
    result = fit(
        grown,
        config_of("training.batch_size=50", "training.epochs=2", "training.learning_rate=0.01"),
        tmp_path / "run",
        start_from=run,
        show_progress=False,
    )
    assert result.epochs == 2
    assert (tmp_path / "run/model.safetensors").read_bytes() != (warm / "model.safetensors").read_bytes()


def test_the_size_of_a_batch_follows_from_the_rows_that_are_trained_on(
    run: Run, early: Dataset, grown: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dien.training.step_size.STEPS_AN_EPOCH", 8)
    offsets = grown.splits["train"].offsets
    later = batch_size_for(int(np.diff(offsets)[later_rows(early, grown)].sum()))
    assert later != batch_size_for(int(offsets[-1]))
    config, out = config_of("training.batch_size=null"), tmp_path / "run"
    result = fit(grown, config, out, start_from=run, show_progress=False)
    assert Run.open(out).config.training.batch_size == later
    assert fit(grown, config, out, resume=True, show_progress=False) == result


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("moment", "count", "named"),
    [
        ("the run folder is being made", 1, True),
        ("a training batch", 3, False),  # before the first checkpoint
        ("a training batch", 8, False),
        ("the rename of the best weights", 1, True),
    ],
)
def test_a_warm_run_killed_at_any_moment_resumes_to_the_same_bytes(
    moment: str, count: int, named: bool, run: Run, warm: Path, grown: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train_killed(grown.path, config_of(), out, moment, count, run.path)
    fit(grown, config_of(), out, start_from=run if named else None, resume=True, show_progress=False)
    assert_same(out, warm)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_only_before_its_first_checkpoint_does_a_warm_run_need_the_earlier_one(
    run: Run, warm: Path, grown: Dataset, tmp_path: Path
) -> None:
    earlier = shutil.copytree(run.path, tmp_path / "earlier")
    train_killed(grown.path, config_of(), tmp_path / "none", "the rename of a checkpoint", 1, earlier)
    train_killed(grown.path, config_of(), tmp_path / "one", "the rename of a checkpoint", 2, earlier)
    shutil.rmtree(earlier)
    with pytest.raises(RunError, match=rf"none: has no checkpoint yet.*{earlier}.*put it back"):
        fit(grown, config_of(), tmp_path / "none", resume=True, show_progress=False)
    fit(grown, config_of(), tmp_path / "one", start_from=earlier, resume=True, show_progress=False)
    assert_same(tmp_path / "one", warm)


def test_a_run_resumes_from_no_other_run_than_it_was_started_from(
    run: Run, warm: Path, early: Dataset, grown: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"was started from fresh weights, not from .*without --from"):
        fit(early, config_of(), run.path, start_from=warm, resume=True, show_progress=False)
    with pytest.raises(RunError, match=rf"was started from {run.path}, not from {tmp_path / 'other'}"):
        fit(grown, config_of(), warm, start_from=tmp_path / "other", resume=True, show_progress=False)


def refused(run: Run, data: Dataset, out: Path, *overrides: str) -> str:
    """The message of a refusal, which leaves nothing behind."""
    with pytest.raises(RunError) as error:
        fit(data, config_of(*overrides), out, start_from=run, show_progress=False)
    assert not out.exists()
    assert not list(out.parent.glob(".*"))
    return str(error.value)


def test_a_vocabulary_that_shrank_or_was_reordered_is_refused_by_name(
    run: Run, early: Dataset, extended: Prepared, tmp_path: Path
) -> None:
    old = early.vocabularies["hour"]
    order = [0, 2, 1, *range(3, len(old))]
    moved = Vocabulary(old.values.gather(order), old.counts[order])
    everything = moved.extend(extended.vocabularies["hour"])
    write(with_vocabularies(extended, {**extended.vocabularies, "hour": everything}), tmp_path / "moved")
    message = refused(run, Dataset.open(tmp_path / "moved"), tmp_path / "run")
    assert (
        f"index 1 in the vocabulary of hour is {old.values[2]!r}, in that of {run.path} {old.values[1]!r}"
    ) in message
    assert "--append" in message

    fewer = Vocabulary(old.values[:-1], old.counts[:-1])
    write(with_vocabularies(extended, {**extended.vocabularies, "hour": fewer}), tmp_path / "fewer")
    message = refused(run, Dataset.open(tmp_path / "fewer"), tmp_path / "run")
    assert f"the vocabulary of hour has {len(fewer)} values, that of {run.path} has {len(old)}" in message
    assert "--append" in message


def test_another_model_is_refused_by_its_key(run: Run, grown: Dataset, tmp_path: Path) -> None:
    message = refused(run, grown, tmp_path / "run", "model.hidden_size=8")
    assert "model.hidden_size = 6, not 8" in message
    assert "config.yaml" in message
    shared = [setting for setting in SETTINGS if setting != "model.hidden_size=6"]
    other = load_config(model="sum-pooling", overrides=shared)
    with pytest.raises(RunError, match=r"model.name = 'dien', not 'sum-pooling'"):
        fit(grown, other, tmp_path / "run", start_from=run, show_progress=False)


def test_other_features_are_refused_by_name(run: Run, grown: Dataset, tmp_path: Path) -> None:
    features = grown.schema.features

    def message(*changed) -> str:  # type: ignore[no-untyped-def]
        return refused(run, replace(grown, schema=Schema(changed)), tmp_path / "run")

    hour = next(f for f in features if f.name == "hour")
    without = [f for f in features if f != hour]
    assert f"{grown.path}: has no feature hour, as {run.path} has" in message(*without)
    added = replace(hour, name="minute")
    assert f"has a feature minute, {run.path} has none" in message(*features, added)
    assert "width of the feature hour is 7, in" in message(*without, replace(hour, width=7))
    assert "side of the feature hour is 'user', in" in message(*without, replace(hour, side="user"))
    hashed = replace(hour, encoder=Hashed(hour.size - 1))
    assert "encoder of the feature hour is Hashed" in message(*without, hashed)
    assert "has its features in the order hour, " in message(hour, *without)


def test_a_run_that_has_not_finished_is_refused(run: Run, grown: Dataset, tmp_path: Path) -> None:
    half = Run.open(shutil.copytree(run.path, tmp_path / "half"))
    (half.path / "result.json").unlink()
    assert "training has not ended" in refused(half, grown, tmp_path / "run")
