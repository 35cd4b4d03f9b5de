"""What a run keeps of the behaviours that popularity is counted over: ``popularity.safetensors``.

Requests are scored by it as of their time, without the dataset folder. It holds the sorted keys of
:class:`~dien.data.popularity.Occurrences`, 8 bytes for each behaviour and name, and says nothing of users.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from dien.data.popularity import Occurrences, Popularity
from dien.folders import Folder
from dien.tensors import expect_tensor, read_tensors, with_checksum

POPULARITY = "popularity.safetensors"
_SECONDS = "seconds"
_KEYS = "keys."


def write_popularity(path: Path, popularity: Popularity) -> None:
    """Write the file of a run that is being made.

    Args:
        path: the file, which does not exist.
        popularity: what is kept.

    Raises:
        OSError: it cannot be written.
        SafetensorError: likewise.
    """
    first = popularity.occurrences["item"].first
    tensors = {_SECONDS: torch.tensor([first, popularity.last])}
    for name, occurrences in popularity.occurrences.items():
        tensors[_KEYS + name] = torch.from_numpy(occurrences.keys)
    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path, with_checksum(tensors, {}))
    path.chmod(mode)  # safetensors makes files private


def read_popularity(folder: Folder, names: Sequence[str]) -> Popularity:
    """Read the file of a run whole.

    Args:
        folder: of the run.
        names: what items are counted by, the item first (:attr:`Schema.matched`).

    Raises:
        DienError: it is missing, or not what was written; of the folder's kind.
    """
    tensors, _ = read_tensors(folder, POPULARITY)
    seconds = tensors.pop(_SECONDS, None)
    expect_tensor(folder, POPULARITY, _SECONDS, seconds, torch.int64, (2,))
    assert seconds is not None
    first, last = seconds.tolist()
    if {*tensors} != {_KEYS + name for name in names}:
        found = ", ".join(sorted(tensors)) or "none"
        raise folder.refusal(
            POPULARITY, f"has keys of {found}; expected {_KEYS} and each of {', '.join(names)}"
        )
    occurrences = {}
    for name in names:
        keys = tensors[_KEYS + name]
        expect_tensor(folder, POPULARITY, _KEYS + name, keys, torch.int64, (keys.numel(),))
        occurrences[name] = Occurrences(keys.numpy(), first, last)
        if what := occurrences[name].wrong():
            raise folder.refusal(POPULARITY, f"{_KEYS}{name}: {what}")
    return Popularity(occurrences)
