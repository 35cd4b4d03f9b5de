"""Reading a safetensors file that somebody else may have made: each tensor is what is expected, or named."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dien.folders import Folder

_SUM = "crc32"
_OF_OLD = "auxiliary_"
"""A network that earlier versions held without using it; loading passes over it, with a warning."""


def with_checksum(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> dict[str, str]:
    """Add a checksum of tensors and of the texts that are kept with them to these texts."""
    return {**texts, _SUM: _checksum(tensors, texts)}


def read_tensors(folder: Folder, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file of tensors.

    Args:
        folder: a run folder.
        name: of the file in it.

    Returns:
        The tensors by name, and the texts that are kept with them.

    Raises:
        DienError: it is missing, may not be read, is no whole file of tensors, or is not what was written, by
            its checksum where it has one; of the folder's kind.
    """
    with folder.open(name):  # refuses what is no plain file of the folder
        pass
    try:
        with safe_open(folder.path / name, "pt") as file:
            # Copies: what is mapped would end the process if the file was cut short later.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
            texts = dict(file.metadata() or {})
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, MemoryError) as error:
        raise folder.refusal(name, f"cannot be read: {error}") from error
    found = texts.pop(_SUM, None)
    if found is not None and found != _checksum(tensors, texts):
        raise folder.refusal(name, "is damaged: its checksum is another than when it was written")
    return tensors, texts


def expect_tensors(
    folder: Folder, name: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor], prefix: str = ""
) -> None:
    """Refuse tensors that are not those a model has.

    Args:
        folder: where they are from.
        name: of the file in it.
        found: the tensors.
        expected: tensors of the same names, shapes and types.
        prefix: of the names in the file, for the message.

    Raises:
        DienError: one is missing, unknown, or of another shape or type, or holds NaN or infinity; the message
            names it.
    """
    for key in (*expected, *found):
        if key not in found:
            raise folder.refusal(name, f"has no tensor {prefix}{key}")
        if key not in expected and not any(part.startswith(_OF_OLD) for part in key.split(".")):
            raise folder.refusal(name, f"has an unknown tensor {prefix}{key}")
    for key, tensor in expected.items():
        expect_tensor(folder, name, prefix + key, found[key], tensor.dtype, tensor.shape)


def expect_tensor(
    folder: Folder, name: str, key: str, tensor: object, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    """Refuse one that is of another type or shape, or holds NaN or infinity.

    Raises:
        DienError: the message names it.
    """
    if not isinstance(tensor, Tensor) or tensor.dtype != dtype or tensor.shape != shape:
        is_now = _said(tensor.dtype, tensor.shape) if isinstance(tensor, Tensor) else repr(tensor)
        raise folder.refusal(name, f"{key} is {is_now}, expected {_said(dtype, shape)}")
    if not finite(tensor):
        raise folder.refusal(name, f"NaN or infinity in {key}")


def finite(tensor: Tensor) -> bool:
    """Whether a tensor holds no NaN and no infinity; no copy of it is made."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    low, high = torch.aminmax(tensor)  # NaN if any is
    return bool(torch.isfinite(low) and torch.isfinite(high))


def _checksum(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> str:
    said = [(key, str(tensor.dtype), list(tensor.shape)) for key, tensor in sorted(tensors.items())]
    checksum = zlib.crc32(repr((said, sorted(texts.items()))).encode())
    for _, tensor in sorted(tensors.items()):
        if tensor.numel():
            data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            checksum = zlib.crc32(data.data, checksum)
    return f"{checksum:08x}"


def _said(dtype: torch.dtype, shape: tuple[int, ...]) -> str:
    return f"{str(dtype).removeprefix('torch.')} {list(shape)}"
