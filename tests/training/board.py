"""Reads what TensorBoard would."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def read_board(run: Path) -> list[tuple[str, int, float]]:
    """Scalars of the one event file: each event is length, checksum, bytes, checksum."""
    (file,) = (run / "tensorboard").iterdir()
    data, at, scalars = file.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = Event.FromString(data[at + 12 : at + 12 + length])
        scalars += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
        at += 12 + length + 4
    return scalars
