"""What a training run writes down: ``metrics.jsonl``, and the same as ``metrics.csv`` and for TensorBoard."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.summary import scalar

from dien.errors import RunError
from dien.files import make_folder
from dien.run import run_folder
from dien.training.resumable import resumable, write_text

DRAWN_SECONDS = 30.0
"""At most so old is what TensorBoard sees, where records are written."""


class TrainingLog:
    """Appends records to ``metrics.jsonl``; the other two follow from it.

    Args:
        run: the run folder.
        step: training steps done so far; records of later steps are dropped, so that none is there twice.

    Raises:
        RunError: something cannot be written; so do the methods.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._run, self._path = run, run / "metrics.jsonl"
        self._records = [record for record in read_records(run) if record["step"] <= step]
        write_text(self._path, "".join(json.dumps(record) + "\n" for record in self._records))
        with resumable(run / "tensorboard"):
            shutil.rmtree(run / "tensorboard", ignore_errors=True)
            make_folder(run / "tensorboard")
            # It writes in this thread; tensorboardX's SummaryWriter waits for one of its own.
            self._board = EventsWriter(str(run / "tensorboard" / "events"))
            for record in self._records:
                self._draw(record)
            self._show()

    def write(self, record: dict[str, Any]) -> None:
        """Write one record: ``kind`` (steps, epoch or validation), ``epoch``, ``step`` and numbers."""
        with resumable(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._records.append(record)
        if record["kind"] != "steps":
            self._write_table()
        with resumable(self._run / "tensorboard"):
            self._draw(record)
            if record["kind"] != "steps" or time.monotonic() - self._shown > DRAWN_SECONDS:
                self._show()

    def close(self) -> None:
        """End the event file."""
        with resumable(self._run / "tensorboard"):
            self._board.close()

    def _draw(self, record: dict[str, Any]) -> None:
        numbers = {name: value for name, value in record.items() if isinstance(value, float)}
        for name, value in numbers.items():
            drawn = scalar(f"{record['kind']}/{name}", value)
            self._board.write_event(Event(summary=drawn, step=record["step"], wall_time=time.time()))

    def _show(self) -> None:
        """Write out what is drawn; this syncs the file, so it is not done for every record."""
        self._board.flush()
        self._shown = time.monotonic()

    def _write_table(self) -> None:
        columns = dict.fromkeys(name for record in self._records for name in record)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._records)
        write_text(self._run / "metrics.csv", text.getvalue())


def read_records(run: Path) -> list[dict[str, Any]]:
    """Read the records of a run; a last line cut off by a crash is left out.

    Raises:
        RunError: another line is not JSON.
    """
    path = run / "metrics.jsonl"
    if not path.exists():
        return []
    records = []
    for number, line in enumerate(run_folder(run).text("metrics.jsonl").splitlines(keepends=True), 1):
        if line.endswith("\n"):
            try:
                record = json.loads(line)
                msgspec.convert(record, _Record)
                records.append(record)
            except (ValueError, RecursionError) as error:
                raise RunError(
                    f"{path}: line {number} is not as dien train writes it ({error}); train into another "
                    "folder"
                ) from error
    return records


class _Record(msgspec.Struct):
    """What every record has."""

    kind: Literal["steps", "epoch", "validation"]
    epoch: int
    step: int
