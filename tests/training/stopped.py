"""Training that is interrupted in this process, for the tests of resuming; ``killed.py`` kills a process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dien.data.batch import Batch
from dien.training.trainer import Trainer


@contextmanager
def stopping(when: Callable[[Trainer], bool]) -> Iterator[None]:
    """Interrupt the training in the block before the first step for which ``when`` holds; it must come."""
    step = Trainer.step

    def step_or_stop(trainer: Trainer, batch: Batch) -> None:
        if when(trainer):
            raise KeyboardInterrupt
        step(trainer, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", step_or_stop)
        with pytest.raises(KeyboardInterrupt):
            yield


def of_epoch(epoch: int, steps: int) -> Callable[[Trainer], bool]:
    """So many steps of an epoch, the first of which is 1, are done."""
    return lambda trainer: trainer.state.steps == (epoch - 1) * len(trainer.batches) + steps
