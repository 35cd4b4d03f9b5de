"""Train one peer's DIEN on the rows of export.py, in the peer's own environment, and write what it came to.

    python peer.py recbole rows.npz --seed 0 --out recbole-0.json

Needs torch, numpy, scipy and the peer, not dien. What is not given is as the peer's project has it.
"""

import argparse
import importlib
import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rows import Rows
from settings import DEFAULTS
from trained import train


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("peer", choices=DEFAULTS)
    parser.add_argument("rows", type=Path, metavar="DATA.npz")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="F.json")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--embedding-size", type=int)
    parser.add_argument("--epochs", type=int, default=30, help="at most")
    parser.add_argument("--patience", type=int, default=3, help="epochs without a better validation AUC")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    given = {name: getattr(options, name) for name in asdict(DEFAULTS[options.peer])}
    settings = replace(DEFAULTS[options.peer], **{name: v for name, v in given.items() if v is not None})

    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    rows = Rows(options.rows, device)
    module = importlib.import_module(f"{options.peer.replace('-', '_')}_model")
    peer = module.build(rows, settings.embedding_size, options.seed, device)
    found = train(
        peer,
        rows,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        epochs=options.epochs,
        patience=options.patience,
        rng=torch.Generator(device).manual_seed(options.seed),
        tell=lambda line: print(f"{options.out.stem}: {line}", file=sys.stderr, flush=True),
    )
    record = {
        "peer": options.peer,
        "seed": options.seed,
        "settings": asdict(settings),
        "limits": {"epochs": options.epochs, "patience": options.patience},
        "rows": rows.fingerprint,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
        "parameters": sum(parameter.numel() for parameter in peer.model.parameters()),
        **found,
    }
    new = options.out.with_name(f".{options.out.name}.{os.getpid()}")
    new.write_text(json.dumps(record, indent=2) + "\n")
    new.replace(options.out)


if __name__ == "__main__":
    main()
