"""Tensors of the Open Inference Protocol v2, in JSON and as binary data, to values of Python and back.

Source: the protocol and its binary tensor data extension
(https://github.com/kserve/open-inference-protocol, https://github.com/triton-inference-server/server).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dien.serving.http.refusals import RefusedError

_NUMBERS = {
    "BOOL": "?",
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
_LENGTH = 4  # bytes before each element of a tensor of BYTES


class InputTensor(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor of a request.

    Attributes:
        name: of the input.
        shape: one dimension, or two for a list of lists of one length.
        datatype: BYTES for text, or of numbers.
        parameters: ``binary_data_size`` where its data follow the JSON.
        data: its values, where they do not.
    """

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class OutputTensor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tensor of an answer.

    Attributes:
        name: of the output.
        datatype: FP64.
        shape: the number of candidates.
        parameters: ``binary_data_size`` where its data follow the JSON.
        data: its values, where they do not.
    """

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: list[float] | None = None


def read_tensors(tensors: Sequence[InputTensor], binary: memoryview) -> dict[str, list[Any]]:
    """Read the values of tensors by name.

    Args:
        tensors: in the order in which their binary data follow.
        binary: what follows the JSON.

    Raises:
        RefusedError: 422, naming the tensor.
    """
    found: dict[str, list[Any]] = {}
    for tensor in tensors:
        name = tensor.name
        if name in found:
            raise RefusedError(422, "found twice, expected once", name)
        if len(tensor.shape) not in (1, 2) or min(tensor.shape) < 0:
            raise RefusedError(422, f"found the shape {tensor.shape}, expected one dimension, or two", name)
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            values = _flat(tensor)
        else:
            if type(size) is not int or not 0 <= size <= len(binary):
                raise RefusedError(
                    422, f"binary_data_size: {size!r}, expected at most the {len(binary)} that follow", name
                )
            values, binary = _unpacked(tensor, binary[:size]), binary[size:]
        if len(values) != prod(tensor.shape):
            raise RefusedError(422, f"found {len(values)} values, expected the shape {tensor.shape}", name)
        if len(tensor.shape) == 2:
            rows, width = tensor.shape
            if rows and not width:  # no values, however many rows: a few bytes would take all memory
                raise RefusedError(422, f"found the shape {tensor.shape}, expected no empty rows", name)
            values = [values[row * width : (row + 1) * width] for row in range(rows)]
        found[name] = values
    if len(binary):
        raise RefusedError(422, f"{len(binary)} bytes follow that are of no input", "inputs")
    return found


def write_tensor(name: str, values: NDArray[np.float64], binary: bool) -> tuple[OutputTensor, bytes]:
    """Write numbers ``[B]`` as an output, and what is to follow the JSON."""
    shape = list(values.shape)
    if not binary:
        return OutputTensor(name=name, datatype="FP64", shape=shape, data=values.tolist()), b""
    data = values.astype("<f8").tobytes()
    parameters = {"binary_data_size": len(data)}
    return OutputTensor(name=name, datatype="FP64", shape=shape, parameters=parameters), data


def _flat(tensor: InputTensor) -> list[Any]:
    """Read the data of a tensor in JSON, which may be nested or flat."""
    if tensor.data is None:
        raise RefusedError(422, "found no data, expected a list", tensor.name)
    if len(tensor.shape) == 2 and any(isinstance(entry, list) for entry in tensor.data):
        width = tensor.shape[1]
        if not all(isinstance(entry, list) and len(entry) == width for entry in tensor.data):
            raise RefusedError(422, f"found rows of other lengths, expected {width} each", tensor.name)
        return [value for entry in tensor.data for value in entry]
    return tensor.data


def _unpacked(tensor: InputTensor, data: memoryview) -> list[Any]:
    if tensor.datatype == "BYTES":
        return _texts(tensor.name, data)
    if (kind := _NUMBERS.get(tensor.datatype)) is None:
        expected = ", ".join(["BYTES", *_NUMBERS])
        raise RefusedError(422, f"found the datatype {tensor.datatype}, expected {expected}", tensor.name)
    dtype = np.dtype(kind)
    if len(data) % dtype.itemsize:
        raise RefusedError(
            422, f"found {len(data)} bytes, expected a multiple of {dtype.itemsize}", tensor.name
        )
    values: list[Any] = np.frombuffer(data, dtype).tolist()
    return values


def _texts(name: str, data: memoryview) -> list[str]:
    """Read texts, each after its length in four bytes."""
    found, place = [], 0
    while place < len(data):
        start = place + _LENGTH
        place = start + int.from_bytes(data[place:start], "little")
        if start > len(data) or place > len(data):
            raise RefusedError(422, "ends within an element, expected a length and as many bytes", name)
        found.append(data[start:place])
    try:
        return [str(text, "utf-8") for text in found]
    except UnicodeDecodeError as error:
        raise RefusedError(422, f"{error}; expected text in UTF-8", name) from None
