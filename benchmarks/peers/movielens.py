"""An epoch of MovieLens-1M: ours, and RecBole's for the same rows, histories and batches.

    dien prepare movielens-1m --out data/movielens-1m
    python benchmarks/peers/install.py recbole
    python benchmarks/peers/movielens.py data/movielens-1m --threads 2

RecBole's epoch is its training step on every so many batches of ours (``--every``), times that: batches are
padded beforehand and its training loop is left out, which only flatters it. The networks have the same
sizes: embeddings of 18, hidden size that of an item, MLP attention. Ours is the whole epoch, loop and loader
included, before and after RecBole's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as `dien` does; OpenMP reads it when torch is loaded
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from install import python_of

from dien.config import load_config
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from epoch import EPOCH, epoch

WIDTH, LONGEST = 18, 100


def write(dataset: Dataset, batch_size: int, every: int, folder: Path) -> int:
    """Write the features, and every so many batches of an epoch; returns how many there are in all."""
    for side, tables in (("item", dataset.items), ("user", dataset.users)):
        np.savez(folder / f"{side}.npz", **{name: np.asarray(column) for name, column in tables.items()})
    batches = Batches(
        dataset, "train", batch_size=batch_size, max_history=LONGEST, shuffle=True, auxiliary=True
    )
    for index in range(0, len(batches), every):
        batch = batches.batch(0, index)
        assert batch.negatives is not None
        np.savez(
            folder / f"batch-{index}.npz",
            offsets=batch.offsets,
            history_of=batch.history_of,
            history=batch.history["item"],
            negatives=batch.negatives["item"],
            item=batch.target["item"],
            user=batch.user["user"],
            label=batch.label,
        )
    return len(batches)


def recbole(folder: Path, threads: int) -> list[float]:
    """Seconds of RecBole's step on each batch of a folder."""
    done = subprocess.run(
        [python_of("recbole"), "recbole_movielens.py", folder, str(threads), str(WIDTH), str(LONGEST)],
        cwd=Path(__file__).parent,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="DATA folder of movielens-1m")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dataset = Dataset.open(options.data)
    width = WIDTH * len(dataset.schema.of("item"))
    config = load_config(
        None,
        [
            "model.attention=mlp",
            # RecBole has none of these.
            "model.matches=false",
            "model.behaviour_attention=false",
            "model.auxiliary_steps=all",
            "model.auxiliary_score=false",
            "model.embedding_dropout=0",
            "training.id_dropout=0",
            "training.weight_average=null",
            f"model.embedding_size={WIDTH}",
            f"model.hidden_size={width}",
            f"training.batch_size={options.batch_size}",
            "training.epochs=1",
        ],
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        batches = write(dataset, options.batch_size, options.every, folder)
        before = epoch(dataset, config, None)
        theirs = recbole(folder, options.threads)
        after = epoch(dataset, config, None)
    ours = [ledger.sum(EPOCH) for ledger in (before, after)]
    whole = sum(theirs) / len(theirs) * batches
    print(f"{before.rows:,} rows in {batches} batches of {options.batch_size}, hidden {width}")
    print(f"dien: {ours[0]:.1f} s and {ours[1]:.1f} s, the whole epoch")
    print(
        f"RecBole, anomaly detection off: {whole:.0f} s by the steps of {len(theirs)} batches, "
        f"{whole / ours[0]:.1f} and {whole / ours[1]:.1f} times as long"
    )


if __name__ == "__main__":
    main()
