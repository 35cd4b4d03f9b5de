"""A checkpoint of RecBole's DIEN, and of ours in RecBole, on ml-100k: test AUC wherever it is read.

    .recbole-venv/bin/python benchmarks/recbole_checkpoint.py

The data, split and configuration of benchmarks/recbole_ml100k.py, an epoch of training (or --batches of it).
Each checkpoint is evaluated by RecBole, read with strict names by dien.recbole.DIEN and evaluated by RecBole
again, and converted by `dien convert-recbole` to a RUN, by which `dien score` scores the test rows' raw ids.

Prints Markdown.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from recbole_ml100k import SETTINGS  # sets what must be set before torch is loaded

# ruff: isort: split
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.sequential_recommender import dien as original
from recbole.trainer import Trainer
from recbole.utils import init_seed

from dien.recbole import DIEN
from dien.training.metrics import MetricStream


def figures(model: type, batches: int, gru: str) -> dict[str, Any]:
    """Train a model, and read its checkpoint in each way."""
    config = Config(model="DIEN", dataset="ml-100k", config_dict=SETTINGS | {"gru_type": gru})
    init_seed(config["seed"], config["reproducibility"])
    train, _, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    trainer = Trainer(config, model(config, train.dataset))
    trainer.eval_collector.data_collect(train)
    with torch.autograd.set_detect_anomaly(False):
        trainer._train_epoch(islice(train, batches), 0)
    trainer._save_checkpoint(0, verbose=False, saved_model_file="saved.pth")

    read = DIEN(config, train.dataset)
    read.load_state_dict(torch.load("saved.pth", weights_only=False)["state_dict"], strict=True)
    reader = Trainer(config, read)
    reader.eval_collector.data_collect(train)
    rows = test.dataset.inter_feat
    write_requests(test.dataset, rows, Path("requests.parquet"))
    dien("convert-recbole", "saved.pth", "--out", "run", "--trust")
    dien("score", "run", "requests.parquet", "--out", "scores.parquet")
    scores = pl.read_parquet("scores.parquet")["scores"].explode().to_numpy()
    trainer.model.eval()
    with torch.no_grad():
        predicted = torch.cat([trainer.model.predict(batch) for batch, *_ in test]).numpy()
    metrics = MetricStream(probabilities=False)
    metrics.update(scores, rows["label"].numpy(), rows["user_id"].numpy())
    return {
        "batches": min(batches, len(train)),
        "rows": len(rows),
        "recbole": trainer.evaluate(test, load_best_model=False)["auc"],
        "read": reader.evaluate(test, load_best_model=False)["auc"],
        "run": metrics.compute().auc,
        "difference": float(np.abs(scores - predicted).max()),
    }


def write_requests(dataset: Any, rows: Any, path: Path) -> None:
    """Write the rows of a RecBole dataset as requests in raw ids."""
    users, items = (dataset.field2id_token[field] for field in ("user_id", "item_id"))
    histories = zip(rows["item_id_list"].numpy(), rows["item_length"].numpy(), strict=True)
    pl.DataFrame(
        {
            "user": users[rows["user_id"].numpy()].tolist(),
            "history": [items[history[:length]].tolist() for history, length in histories],
            "candidates": [[item] for item in items[rows["item_id"].numpy()].tolist()],
        }
    ).write_parquet(path)


def dien(*arguments: str) -> None:
    """Run a command of ours."""
    subprocess.run([sys.executable, "-m", "dien", *arguments], check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=10**9, help="of RecBole's DIEN; default an epoch")
    parser.add_argument("--gru", default="AUGRU", help="gru_type (default AUGRU)")
    given = parser.parse_args()
    sys.argv = sys.argv[:1]  # RecBole reads settings from it
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print("| saved by | batches | RecBole | strict, dien.recbole | RUN, dien score | largest difference |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, model, batches in (
        ("RecBole's DIEN", original.DIEN, given.batches),
        ("dien.recbole.DIEN", DIEN, 10**9),
    ):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # RecBole writes to where it is started
            found = figures(model, batches, given.gru)
            os.chdir("/")
        aucs = " | ".join(f"{found[key]:.6f}" for key in ("recbole", "read", "run"))
        print(f"| {name} | {found['batches']} | {aucs} | {found['difference']:.1e} |", flush=True)


if __name__ == "__main__":
    main()
