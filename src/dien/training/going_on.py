"""Whether a checkpoint fits the run that is to go on from it: every tensor and number of it is checked.

A run folder may come from anywhere, and an update writes where the optimiser's state says.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dien.config import TrainConfig
from dien.errors import RunError
from dien.folders import Folder
from dien.models import Model
from dien.tensors import expect_tensor, expect_tensors, read_tensors
from dien.training.checkpoint import AGAIN, AVERAGE, FROZEN, MODEL, RECENT, Checkpoint, TrainState, is_best

_MOMENTS = ("exp_avg", "exp_avg_sq")


def checkpoints_of(run: Folder) -> Folder:
    """Give the folder of a run's checkpoints.

    Raises:
        RunError: it is missing or no folder, or something that training writes to leads out of the run.
    """
    for name in ("checkpoints", "tensorboard", "metrics.jsonl", "metrics.csv", "result.json"):
        run.expect_inside(name)
    folder = run.path / "checkpoints"
    if not folder.is_dir():
        raise RunError(f"{folder}: is no folder; {AGAIN}")
    checkpoints = Folder(folder, RunError, AGAIN)
    for path in folder.iterdir():
        checkpoints.expect_inside(path.name)
    return checkpoints


def fitting_state(
    checkpoint: Checkpoint, folder: Folder, model: Model, settings: TrainConfig, steps_an_epoch: int
) -> dict[int, dict[str, Tensor | int]]:
    """Refuse a checkpoint that training cannot go on from; give the optimiser's state in it.

    Args:
        checkpoint: the one that was read.
        folder: it is in.
        model: to train.
        settings: it is trained by.
        steps_an_epoch: batches of an epoch.

    Returns:
        The state of each parameter of the model, by its number.

    Raises:
        RunError: a tensor is missing, unknown, of another shape or type, or not finite, or a number is out of
            its range; the message names it.
    """
    expected, kept = model.state_dict(), checkpoint.tensors
    found = {name.removeprefix(MODEL): kept[name] for name in kept if name.startswith(MODEL)}
    expect_tensors(folder, checkpoint.name, found, expected, prefix="tensors.model.")
    averages = {name.removeprefix(AVERAGE): kept[name] for name in kept if name.startswith(AVERAGE)}
    if averages or settings.weight_average is not None:
        expect_tensors(folder, checkpoint.name, averages, expected, prefix="tensors.average.")
    for name, total in kept.items():
        if name.startswith(AVERAGE) and settings.weight_average is not None:
            continue
        if name.startswith((MODEL, FROZEN)):  # dien.training.pretrained checks the frozen rows
            continue
        if not name.startswith(RECENT) or not total.is_floating_point() or total.shape != ():
            raise folder.refusal(checkpoint.name, f"has an unknown tensor tensors.{name}")
    _expect_progress(checkpoint, folder, settings, steps_an_epoch)
    if checkpoint.state.best_file:
        best, _ = read_tensors(folder, checkpoint.state.best_file)
        expect_tensors(folder, checkpoint.state.best_file, best, expected)
    state = checkpoint.optimiser
    if found.keys() - expected.keys():
        # An earlier version's model held more, which was never trained: it has a number and no state.
        state = dict(enumerate(state[number] for number in sorted(state)))
        if len(state) != len(list(model.parameters())):
            raise RunError(
                f"{folder.path / checkpoint.name}: begun by an earlier version of dien, and stopped before "
                "every weight had been trained; train again"
            )
    _expect_optimiser(checkpoint, state, folder, model)
    return state


def _expect_progress(checkpoint: Checkpoint, folder: Folder, settings: TrainConfig, steps: int) -> None:
    state = checkpoint.state
    ended = "epochs" if state.epochs == settings.epochs else None
    stopped = "patience" if state.waited >= settings.patience else ended
    fits = {
        "epochs": state.epochs == state.steps // steps and state.epochs <= settings.epochs,
        "best_epoch": state.best_epoch <= state.epochs + 1,
        "best": (state.best is None) == (not state.best_file) and _is_share(state),
        "best_file": not state.best_file or is_best(state.best_file) is not None,
        "waited": state.waited <= state.steps,
        "timed_seconds": math.isfinite(state.timed_seconds),
        "stopped": state.stopped == stopped,
    }
    for name, good in fits.items():
        if not good:
            raise folder.refusal(checkpoint.name, f"{name} is {getattr(state, name)!r}, which cannot be")


def _is_share(state: TrainState) -> bool:
    best = None if state.best is None else state.best.auc
    return best is None or 0 <= best <= 1


def _expect_optimiser(
    checkpoint: Checkpoint, states: dict[int, dict[str, Tensor | int]], folder: Folder, model: Model
) -> None:
    """Check the state of every parameter; one that has had no gradient has none."""
    parameters = list(model.parameters())
    tables = {id(m.weight): m.sparse for m in model.modules() if isinstance(m, nn.Embedding)}
    for index, state in states.items():
        key = f"optimiser.{index}"
        if not 0 <= index < len(parameters):
            raise folder.refusal(checkpoint.name, f"{key}: the model has {len(parameters)} parameters")
        parameter = parameters[index]
        by_row = "touched" in state
        names = {"step", *_MOMENTS, "touched"} if by_row else {"step", *_MOMENTS}
        if state.keys() != names or tables.get(id(parameter), by_row) != by_row:
            raise folder.refusal(checkpoint.name, f"{key} has {', '.join(state)}, which is no state of it")
        for name in _MOMENTS:
            moment = state[name]
            expect_tensor(
                folder, checkpoint.name, f"{key}.{name}", moment, parameter.dtype, tuple(parameter.shape)
            )
        second = state["exp_avg_sq"]
        if isinstance(second, Tensor) and second.numel() and second.min() < 0:
            raise folder.refusal(checkpoint.name, f"{key}.exp_avg_sq has a number below 0")
        _expect_step(checkpoint, folder, key, state, len(parameter) if by_row else None)


def _expect_step(
    checkpoint: Checkpoint, folder: Folder, key: str, state: dict[str, Tensor | int], rows: int | None
) -> None:
    """Check the number of the steps of a parameter, and of a table when each of its ``rows`` had its last."""
    if rows is None:
        expect_tensor(folder, checkpoint.name, f"{key}.step", state["step"], torch.float32, ())
    elif isinstance(state["step"], Tensor):
        raise folder.refusal(checkpoint.name, f"{key}.step is a tensor, expected a number")
    step = float(state["step"])
    if not 1 <= step <= checkpoint.state.steps or step != int(step):
        raise folder.refusal(checkpoint.name, f"{key}.step is {step}, expected 1 to {checkpoint.state.steps}")
    if rows is not None:
        touched = state["touched"]
        expect_tensor(folder, checkpoint.name, f"{key}.touched", touched, torch.int32, (rows,))
        assert isinstance(touched, Tensor)
        low, high = torch.aminmax(touched)
        if low < 0 or high > step:
            raise folder.refusal(checkpoint.name, f"{key}.touched has a step that is not from 0 to {step}")
