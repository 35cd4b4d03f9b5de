"""Where a model computes."""

from __future__ import annotations

import torch

from dien.errors import ConfigError


def device_of(name: str = "auto") -> torch.device:
    """Find a device by the name that ``training.device`` has for it.

    Args:
        name: ``auto`` (the first GPU of CUDA where there is one, else the processor), ``cpu``, ``cuda``,
            ``cuda:N`` or ``mps``.

    Raises:
        ConfigError: there is no such device here.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r}: expected auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cuda" and (device.index or 0) >= gpus:
        here = f"PyTorch finds {gpus} here, numbered from 0" if gpus else "PyTorch finds no GPU of CUDA here"
        raise ConfigError(f"device {name}: {here}; choose another (training.device), or auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device mps: PyTorch finds none here; choose another (training.device), or auto")
    return device
