"""A run that is killed and resumed ends in the same bytes as one that was left alone."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.config import RunConfig, load_config
from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.run import Run
from dien.training import fit
from tests.cli.running import command
from tests.training import killed
from tests.training.board import read_board
from tests.training.stopped import stopping

SETTINGS = [
    "model.hidden_size=6",
    "model.embedding_size=4",
    "model.max_history=10",
    "training.batch_size=256",
    "training.epochs=3",
    "training.patience=3",
    "training.checkpoint_steps=5",
]
STEPS = 18  # of an epoch

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return load_config(overrides=SETTINGS)


@pytest.fixture(scope="module")
def straight(small_data: Dataset, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("straight") / "run"
    result = fit(small_data, config, out, show_progress=False)
    assert (result.epochs, result.steps) == (3, 3 * STEPS)
    return out


def train_killed(
    data: Path, config: RunConfig, out: Path, moment: str, count: int, start_from: Path | None = None
) -> None:
    """Train in a process of its own and make sure that it was killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.killed", "torch._dynamo"])
    process = context.Process(target=killed.train, args=(data, config, out, moment, count, start_from))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "the moment never came"


def assert_same(run: Path, other: Path) -> None:
    for name in ("model.safetensors", "metrics.jsonl", "metrics.csv"):
        assert (run / name).read_bytes() == (other / name).read_bytes(), name
    assert read_board(run) == read_board(other)
    assert not [path.name for path in run.rglob("*.new*")]
    assert len(list((run / "checkpoints").iterdir())) == 2  # the newest and the best


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        ("the run folder is being made", 1),
        ("a training batch", 3),  # before the first checkpoint
        ("a training batch", STEPS + 10),  # inside the second epoch
        ("a validation batch", 1),
        ("the rename of a checkpoint", 2),
        ("the rename of a checkpoint", 6),  # at the second epoch's end
        ("the rename of the best weights", 1),
        ("the removal of an old checkpoint", 4),
        ("half a line of the log", 3),
        ("the rename of the trained weights", 1),
        ("the rename of the result", 1),
    ],
)
def test_a_run_killed_at_any_moment_resumes_to_the_same_bytes(
    moment: str, count: int, small_data: Dataset, config: RunConfig, straight: Path, tmp_path: Path
) -> None:
    train_killed(small_data.path, config, tmp_path / "run", moment, count)
    fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)
    assert_same(tmp_path / "run", straight)


def test_a_run_killed_again_and_again_resumes_to_the_same_bytes(
    small_data: Dataset, config: RunConfig, straight: Path, tmp_path: Path
) -> None:
    for count in (8, 7, 12, 2):
        train_killed(small_data.path, config, tmp_path / "run", "a training batch", count)
    fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)
    assert_same(tmp_path / "run", straight)


def test_a_run_whose_learning_rate_falls_resumes_in_any_epoch_to_the_same_bytes(
    small_data: Dataset, straight: Path, tmp_path: Path
) -> None:
    keys = ["training.learning_rate_decay=0.3", "training.auxiliary_negatives=fixed"]
    config = load_config(overrides=[*SETTINGS, *keys])
    fit(small_data, config, tmp_path / "whole", show_progress=False)
    weights = "model.safetensors"
    assert (tmp_path / "whole" / weights).read_bytes() != (straight / weights).read_bytes()
    for count in (STEPS + 10, STEPS):  # in the second epoch, and from a checkpoint there in the third
        train_killed(small_data.path, config, tmp_path / "run", "a training batch", count)
    fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_ctrl_c_ends_the_command_without_a_traceback_and_it_resumes_to_the_same_bytes(
    small_data: Dataset, config: RunConfig, straight: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    settings = (word for setting in SETTINGS for word in ("--set", setting))
    line = command("train", small_data.path, "--out", out, *settings)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not list(out.glob("checkpoints/step-*")):
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output == ""
    assert "Traceback" not in errors
    with pytest.raises(RunError, match=r"training has not ended.*--resume"):
        Run.open(out).load_model()
    fit(small_data, config, out, resume=True, show_progress=False)
    assert_same(out, straight)


KEYS = st.fixed_dictionaries(
    {},
    optional={
        "training.weight_decay": st.sampled_from([0.1, 3.0]),
        "training.gradient_clip": st.sampled_from([0.05, 1.0]),
        "training.warmup_steps": st.integers(1, 12),
        "training.schedule": st.sampled_from(["linear", "cosine"]),
        "training.metric": st.sampled_from(["gauc", "log_loss", "calibration_error"]),
        "training.validation_steps": st.integers(2, 15),
        "training.learning_rate_decay": st.just(0.5),
        "training.negatives": st.just("stored"),
        "training.device": st.just("cpu"),
        "model.sparse_gradients": st.just(False),
        "model.head_dropout": st.just(0.3),
        "model.embedding_dropout": st.just(0.2),
        "training.calibration": st.just("none"),
        "training.fresh_embeddings": st.just(True),
        "training.label_smoothing": st.just(0.2),
        "training.id_dropout": st.sampled_from([0.0, 20.0]),
        "model.match_dropout": st.just(0.0),
        "model.auxiliary_steps": st.just("all"),
        "training.weight_average": st.just(0.9),
    },
)


@settings(max_examples=8)
@given(keys=KEYS, stops=st.lists(st.integers(1, 8), min_size=1, max_size=2))
def test_whatever_its_keys_a_stopped_run_resumes_to_the_same_bytes(
    keys: dict[str, Any], stops: list[int], small_data: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    settings = [*SETTINGS, "training.epochs=2", "training.batch_size=512", "training.checkpoint_steps=3"]
    settings.append("training.patience=1000")  # so that no run ends before it is stopped
    config = load_config(overrides=[*settings, *(f"{key}={value}" for key, value in keys.items())])
    fit(small_data, config, folder / "whole", show_progress=False)
    for stop in stops:
        done = itertools.count()
        with stopping(lambda _, done=done, stop=stop: next(done) == stop):
            fit(small_data, config, folder / "run", resume=True, show_progress=False)
    fit(small_data, config, folder / "run", resume=True, show_progress=False)
    assert_same(folder / "run", folder / "whole")


def test_a_run_that_goes_on_with_other_threads_is_warned_of(
    small_data: Dataset, config: RunConfig, tmp_path: Path
) -> None:
    train_killed(small_data.path, config, tmp_path / "run", "a training batch", 8)
    assert Run.open(tmp_path / "run").info.threads == 1
    file = tmp_path / "run/run.json"
    file.write_text(file.read_text().replace('"threads": 1', '"threads": 3'))
    with pytest.warns(
        UserWarning, match=r"begun with 3 threads of torch and goes on with 1: .*OMP_NUM_THREADS"
    ):
        fit(small_data, config, tmp_path / "run", resume=True, show_progress=False)
