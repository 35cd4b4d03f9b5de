"""A small data set in RecBole's atomic files, and RecBole's configuration and Dataset of it.

RecBole is imported where it is used: without it, these tests are skipped.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

USERS, ITEMS, CLASSES, EVENTS, LONGEST = 30, 40, 6, 900, 7


def atomic_files(folder: Path) -> None:
    """Write ``toy.inter``, ``toy.user`` and ``toy.item`` with a feature of every type of RecBole's."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)

    def write(suffix: str, header: str, rows: list[tuple[object, ...]]) -> None:
        lines = [header.replace(" ", "\t"), *("\t".join(map(str, row)) for row in rows)]
        (folder / f"toy.{suffix}").write_text("\n".join(lines) + "\n")

    def some(most: int) -> str:
        return " ".join(f"t{i}" for i in random.choice(most, random.integers(1, 4), replace=False))

    def numbers() -> str:
        return " ".join(f"{x:.3f}" for x in random.normal(size=3))

    write(
        "inter",
        "user_id:token item_id:token rating:float timestamp:float",
        [
            (f"u{random.integers(USERS)}", f"i{random.integers(ITEMS)}", random.integers(1, 6), time)
            for time in range(EVENTS)
        ],
    )
    write(
        "user",
        "user_id:token age:token hobbies:token_seq income:float habits:float_seq",
        [
            (f"u{u}", f"a{random.integers(4)}", some(5), f"{random.normal():.3f}", numbers())
            for u in range(USERS)
        ],
    )
    write(
        "item",
        "item_id:token class:token tags:token_seq price:float colours:float_seq",
        [
            (f"i{i}", f"c{random.integers(CLASSES)}", some(8), f"{random.gamma(2):.3f}", numbers())
            for i in range(ITEMS)
        ],
    )


@pytest.fixture(scope="session")
def atomic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("atomic")
    atomic_files(path / "toy")
    return path


@pytest.fixture
def settings(atomic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What RecBole's configuration needs for the toy data; its files go to a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv[:1])  # RecBole takes settings from the command line, too
    return {
        "data_path": str(atomic),
        "load_col": None,
        "threshold": {"rating": 4},
        "train_neg_sample_args": None,
        "eval_args": {
            "split": {"RS": [0.8, 0.1, 0.1]},
            "order": "TO",
            "group_by": "user",
            "mode": "labeled",
        },
        "metrics": ["AUC", "LogLoss"],
        "valid_metric": "AUC",
        "MAX_ITEM_LIST_LENGTH": LONGEST,
        "embedding_size": 5,
        "mlp_hidden_size": [12, 8],
        "train_batch_size": 128,
        "epochs": 1,
        "show_progress": False,
        "use_gpu": False,
        "state": "ERROR",
    }
