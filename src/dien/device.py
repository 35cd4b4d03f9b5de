"""Where a model computes."""

from __future__ import annotations

import torch

from dien.config import device_name
from dien.errors import ConfigError

_ANOTHER = "choose another (training.device, or --device of dien evaluate and dien score), or auto"


def device_of(name: str = "auto") -> torch.device:
    """Find a device by the name that ``training.device`` has for it.

    Args:
        name: ``auto`` (the first GPU of CUDA where there is one, else the processor), ``cpu``, ``cuda``,
            ``cuda:N`` or ``mps``; a device of torch with one of these names will do.

    Raises:
        ConfigError: it is no such name, or there is no such device here.
    """
    try:
        name = device_name(str(name))
    except ValueError as error:
        raise ConfigError(f"device {str(name)!r}: {error}") from error
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= gpus:
        here = f"PyTorch finds {gpus} here, numbered from 0" if gpus else "PyTorch finds no GPU of CUDA here"
        raise ConfigError(f"device {name}: {here}; {_ANOTHER}")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(f"device mps: PyTorch finds none here; {_ANOTHER}")
    return device
