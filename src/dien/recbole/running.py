"""Running DIEN in RecBole: its quick start with our class, and our class in place of its own."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import recbole.trainer
import torch
from torch import Tensor

from dien.recbole.model import DIEN, adopt


class DIENTrainer(recbole.trainer.Trainer):  # type: ignore[misc]
    """RecBole's Trainer, mended where today's PyTorch or RecBole itself is in its way.

    Training runs without autograd's anomaly detection, which RecBole turns on for the whole process when it
    loads its sequential models. The best model is kept in memory as well as in RecBole's checkpoint, a pickle
    that PyTorch 2.6 and later do not read without being told to trust it.
    """

    saved_model_file: Any
    _kept: tuple[str, dict[str, Tensor]] | None = None  # the weights in a checkpoint, and its file

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Train as RecBole does; arguments and result are the same."""
        with torch.autograd.set_detect_anomaly(False):
            return super().fit(*args, **kwargs)

    def _save_checkpoint(self, epoch: int, verbose: bool = True, **kwargs: Any) -> None:
        adopt(self.config)
        super()._save_checkpoint(epoch, verbose=verbose, **kwargs)
        self._keep(kwargs.get("saved_model_file", self.saved_model_file))

    def resume_checkpoint(self, resume_file: Any) -> None:
        """Load a checkpoint as RecBole does; it is the one that is evaluated, until a better one is saved."""
        before = self.saved_model_file
        try:
            with _trust_is_asked_for(resume_file):
                super().resume_checkpoint(resume_file)
        except Exception:
            self.saved_model_file = before  # RecBole sets it before it reads
            raise
        self._keep(self.saved_model_file)

    def _keep(self, file: Any) -> None:
        state = self.model.state_dict()
        self._kept = str(file), {name: value.detach().to("cpu", copy=True) for name, value in state.items()}

    def evaluate(
        self,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: str | None = None,
        show_progress: bool = False,
    ) -> Any:
        """Evaluate as RecBole does; arguments and result are the same."""
        file = str(model_file or self.saved_model_file)
        if load_best_model and self._kept is not None and self._kept[0] == file:
            self.model.load_state_dict(self._kept[1])
            load_best_model = False
        with _trust_is_asked_for(file):
            return super().evaluate(eval_data, load_best_model, model_file, show_progress)


@contextmanager
def _trust_is_asked_for(file: Any) -> Iterator[None]:
    """Say how a checkpoint is read where PyTorch will not unpickle it."""
    try:
        yield
    except Exception as error:
        if "weights_only" not in str(error):
            raise
        raise RuntimeError(
            f"{file}: a checkpoint of RecBole's is a pickle, which runs whatever code it holds; PyTorch 2.6 "
            "and later read it only where the environment has TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1; set that "
            "for files you trust"
        ) from error


_ABSENT = object()
_replaced: list[tuple[ModuleType, str, Any]] = []  # what stood in RecBole where our classes stand now


def use() -> ExitStack:
    """Have RecBole take this DIEN for its own where it looks a model up: ``run_recbole(model="DIEN")``.

    Three names are set in RecBole: ``DIEN`` in ``recbole.model.sequential_recommender`` and in its module
    ``dien``, and ``DIENTrainer`` in ``recbole.trainer``, where it looks for a trainer of the model's name.
    A second call changes nothing more.

    Returns:
        A context manager that undoes this at the end of its block, unless it had been done before already;
        without a block, :func:`restore` undoes it.
    """
    undo = ExitStack()
    if not _replaced:
        with torch.autograd.set_detect_anomaly(False):  # which importing these turns on for good
            models = importlib.import_module("recbole.model.sequential_recommender")
            module = importlib.import_module("recbole.model.sequential_recommender.dien")
        for owner, name, ours in (
            (models, "DIEN", DIEN),
            (module, "DIEN", DIEN),
            (recbole.trainer, "DIENTrainer", DIENTrainer),
        ):
            _replaced.append((owner, name, getattr(owner, name, _ABSENT)))
            setattr(owner, name, ours)
        undo.callback(restore)
    return undo


def restore() -> None:
    """Give RecBole its own DIEN back (:func:`use`); changes nothing where it has it."""
    while _replaced:
        owner, name, before = _replaced.pop()
        if before is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def run(
    dataset: str | None = None,
    config_file_list: Sequence[str] | None = None,
    config_dict: Mapping[str, Any] | None = None,
    saved: bool = True,
) -> dict[str, Any]:
    """Run RecBole's quick start with this DIEN: RecBole's data preparation, trainer and evaluator.

    Args:
        dataset: name of a data set, as RecBole takes it; None where the configuration has it.
        config_file_list: YAML files of configuration.
        config_dict: configuration, over that of the files; not changed, as RecBole would.
        saved: whether the best model is written to RecBole's ``checkpoint_dir`` and then tested, otherwise
            the last one.

    Returns:
        What RecBole's ``run_recbole`` returns: best validation score and result, test result.

    Raises:
        ValueError: a key beginning with ``dien_`` that is unknown, or its value.
    """
    from recbole.quick_start import run_recbole  # takes seconds to import

    with use():
        result: dict[str, Any] = run_recbole(
            model="DIEN",
            dataset=dataset,
            config_file_list=None if config_file_list is None else list(config_file_list),
            config_dict=None if config_dict is None else dict(config_dict),
            saved=saved,
        )
    return result
