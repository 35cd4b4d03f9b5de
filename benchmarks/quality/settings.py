"""What may be set of every peer: its defaults, as each project ships them, and what a search draws."""

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How a peer is trained, and the width of its embeddings, from which its GRUs have theirs."""

    learning_rate: float
    batch_size: int
    embedding_size: int

    def __str__(self) -> str:
        return f"lr{self.learning_rate:g}-b{self.batch_size}-e{self.embedding_size}"


DEFAULTS = {
    "recbole": Settings(1e-3, 2048, 10),  # properties/overall.yaml and properties/model/DIEN.yaml
    "torch-rechub": Settings(1e-3, 4096, 8),  # examples/ranking/run_dien.py
    "deepctr-torch": Settings(1e-3, 256, 8),  # compile("adam"), fit(batch_size=None), examples/run_dien.py
}
LEARNING_RATES = 5e-4, 1e-2  # log-uniform
BATCH_SIZES = 128, 256, 512, 1024, 2048
EMBEDDING_SIZES = 8, 16, 32, 64
DIGITS = 3  # of a learning rate


def trials(peer: str, count: int) -> list[Settings]:
    """Draw what a search tries: the peer's defaults first, then the same for every peer."""
    draw = random.Random(0)
    low, high = map(math.log, LEARNING_RATES)
    drawn = [
        Settings(
            learning_rate=float(f"{math.exp(draw.uniform(low, high)):.{DIGITS}g}"),
            batch_size=draw.choice(BATCH_SIZES),
            embedding_size=draw.choice(EMBEDDING_SIZES),
        )
        for _ in range(count - 1)
    ]
    return [DEFAULTS[peer], *drawn][:count]
