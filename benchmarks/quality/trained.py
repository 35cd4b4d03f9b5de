"""Train a peer's model: best epoch by validation AUC, and the test split read once, at the end."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from rows import Batch, Rows
from scipy.stats import rankdata
from torch import Tensor, nn

EVALUATION_ROWS = 4096
LEAST = 1e-7  # of a probability and its complement, in LogLoss


@dataclass(frozen=True)
class Peer:
    """A peer's model and how its project uses it.

    Attributes:
        model: on its device.
        loss: of a batch, a scalar.
        probability: of a click ``[B]``.
        weight_decay: of Adam.
    """

    model: nn.Module
    loss: Callable[[Batch], Tensor]
    probability: Callable[[Batch], Tensor]
    weight_decay: float = 0.0


def train(
    peer: Peer,
    rows: Rows,
    *,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    patience: int,
    rng: torch.Generator,
    tell: Callable[[str], None],
) -> dict[str, object]:
    """Train with Adam until so many epochs have brought no better validation AUC.

    Returns:
        Of each epoch its seconds (training alone), loss, validation AUC and LogLoss; the best epoch with its
        validation and test figures. ``error`` in their place where training has diverged before an epoch was
        over; one that diverges later ends there.
    """
    model = peer.model
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, weight_decay=peer.weight_decay)
    history: list[dict[str, float]] = []
    best, weights = -1, {}
    while len(history) < epochs and len(history) - 1 - best < patience:
        model.train()
        start, total, batches = time.perf_counter(), torch.zeros((), device=rng.device), 0
        for batch in rows.shuffled(batch_size, rng):
            optimiser.zero_grad()
            loss = peer.loss(batch)
            loss.backward()
            optimiser.step()
            total += loss.detach()
            batches += 1
        mean = float(total) / batches  # waits for the device
        seconds = time.perf_counter() - start
        found = evaluate(peer, rows, "valid")
        if found is None:
            tell(f"epoch {len(history) + 1}: diverged")
            break
        valid_auc, valid_log_loss = found
        history.append(
            {"seconds": seconds, "loss": mean, "valid_auc": valid_auc, "valid_log_loss": valid_log_loss}
        )
        tell(f"epoch {len(history)}: {seconds:.1f} s, loss {mean:.4f}, valid AUC {valid_auc:.4f}")
        if best < 0 or valid_auc > history[best]["valid_auc"]:
            best = len(history) - 1
            weights = {name: value.clone() for name, value in model.state_dict().items()}
    if best < 0:
        return {"epochs": history, "error": "diverged in the first epoch"}
    model.load_state_dict(weights)
    found = evaluate(peer, rows, "test")
    assert found is not None
    return {
        "epochs": history,
        "best_epoch": best + 1,
        "valid_auc": history[best]["valid_auc"],
        "test_auc": found[0],
        "test_log_loss": found[1],
    }


def evaluate(peer: Peer, rows: Rows, split: str) -> tuple[float, float] | None:
    """AUC and LogLoss on a split; None where a probability is not a number."""
    peer.model.eval()
    with torch.inference_mode():
        parts = [peer.probability(batch) for batch in rows.in_order(split, EVALUATION_ROWS)]
    probability = torch.cat(parts).double().cpu().numpy()
    if not math.isfinite(probability.sum()):
        return None
    label = rows.label(split)
    clipped = np.clip(probability, LEAST, 1 - LEAST)
    log_loss = -np.log(np.where(label == 1, clipped, 1 - clipped)).mean()
    return auc(probability, label), float(log_loss)


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """Share of the pairs of a click and another row ``[B]`` that a score ranks right; half of those level."""
    clicks = int(label.sum())
    above = rankdata(score)[label == 1].sum() - clicks * (clicks + 1) / 2
    return float(above / (clicks * (len(label) - clicks)))
