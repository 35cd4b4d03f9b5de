"""Write the rows and histories of a DATA folder as arrays that need no dien to be read.

    python benchmarks/quality/export.py DATA rows.npz --max-history 50

One file of numpy arrays, without pickle, in which ``rows.py`` says what is what. A history is a window of the
behaviours of all users, which are stored once: MovieLens-1M takes 6 MB.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np

from dien.data.dataset import Dataset
from dien.data.ragged import row_of
from dien.errors import DataError


def arrays(dataset: Dataset, max_history: int) -> dict[str, np.ndarray]:
    """Collect the arrays of a dataset.

    Args:
        dataset: with categorical features of items and users alone: what every peer can take.
        max_history: newest behaviours of each history.

    Raises:
        DataError: there are other features, or no two items to draw negatives from.
    """
    for feature in dataset.schema.features:
        if feature.side not in ("item", "user") or feature.kind != "categorical":
            raise DataError(
                f"{dataset.path}: {feature.name} is a {feature.kind} feature of the {feature.side}; the "
                "peers take categorical ones of items and users alone: prepare the data without it"
            )
    if np.count_nonzero(dataset.popularity) < 2:
        raise DataError(f"{dataset.path}: fewer than two items with a popularity to draw negatives from")
    behaviours = dataset.behaviours
    found: dict[str, np.ndarray] = {
        "max_history": np.array(max_history),
        "behaviours": behaviours.item,
        "popularity": dataset.popularity,
    }
    for side, table in (("item", dataset.items), ("user", dataset.users)):
        features = dataset.schema.of("item" if side == "item" else "user")
        found[f"{side}_features"] = np.array([feature.name for feature in features])
        found[f"{side}_sizes"] = np.array([feature.size for feature in features])
        for feature in features:
            found[f"{side}/{feature.name}"] = np.asarray(table[feature.name])
    if (unclicked := behaviours.unclicked) is not None:
        found |= {
            "unclicked": unclicked.item,
            "unclicked_start": unclicked.start,
            "unclicked_end": unclicked.end,
        }
    for name, split in dataset.splits.items():
        of = row_of(np.diff(split.offsets))  # [C] the impression of each candidate
        start = np.maximum(behaviours.offsets[split.user], split.end - max_history)
        found |= {
            f"{name}/user": split.user[of],
            f"{name}/start": start[of],
            f"{name}/end": split.end[of],
            f"{name}/item": split.item,
            f"{name}/label": split.label,
        }
    return {name: _small(array) for name, array in found.items()}


def export(dataset: Dataset, file: Path, max_history: int) -> str:
    """Write the arrays of a dataset, whole or not at all; returns what they are recognised by."""
    found = arrays(dataset, max_history)
    digest = hashlib.sha256()
    for name, array in sorted(found.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    fingerprint = digest.hexdigest()
    new = file.with_name(f".{file.name}.new.npz")
    np.savez_compressed(new, fingerprint=np.array(fingerprint), **found)
    new.replace(file)
    return fingerprint


def _small(array: np.ndarray) -> np.ndarray:
    """Take the narrowest of int8, int16 and int32 that holds an array of integers."""
    if array.dtype.kind != "i":
        return array
    least, most = (int(array.min()), int(array.max())) if array.size else (0, 0)
    fits = (t for t in (np.int8, np.int16, np.int32) if np.iinfo(t).min <= least and most <= np.iinfo(t).max)
    return np.asarray(array).astype(next(fits, np.int64))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="FILE.npz")
    parser.add_argument("--max-history", type=int, default=50)
    options = parser.parse_args()
    export(Dataset.open(options.data), options.out, options.max_history)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
