"""metrics.jsonl: what a crash has cut off is left out, what is damaged is named."""

import os
from pathlib import Path

import pytest

from dien.errors import RunError
from dien.training.log import TrainingLog, read_records


def test_a_line_cut_off_by_a_crash_and_records_of_later_steps_are_dropped(tmp_path: Path) -> None:
    records = [{"kind": "steps", "epoch": 1, "step": step, "loss": 1 / step} for step in (3, 6, 9)]
    log = TrainingLog(tmp_path, 0)
    for record in records:
        log.write(record)
    log.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "st')
    assert read_records(tmp_path) == records
    TrainingLog(tmp_path, 6).close()
    assert read_records(tmp_path) == records[:2]


def test_a_damaged_line_is_named_by_its_number(tmp_path: Path) -> None:
    line = '{"kind": "steps", "epoch": 1, "step": 3, "loss": 0.5}'
    (tmp_path / "metrics.jsonl").write_text(f"{line}\n{line[:9]}\n{line}\n")
    with pytest.raises(RunError, match=r"metrics\.jsonl: line 2 is not as dien train writes it"):
        read_records(tmp_path)


def test_what_was_written_is_not_read_again(tmp_path: Path) -> None:
    TrainingLog(tmp_path, 0).close()
    log = TrainingLog(tmp_path, 0)
    (tmp_path / "metrics.jsonl").unlink()
    for step in (3, 6):
        log.write({"kind": "validation", "epoch": 1, "step": step, "valid_auc": 0.5})
        (tmp_path / "metrics.jsonl").unlink()
    log.close()
    table = (tmp_path / "metrics.csv").read_text().splitlines()
    assert table == ["kind,epoch,step,valid_auc", "validation,1,3,0.5", "validation,1,6,0.5"]


def test_a_run_without_records_has_none(tmp_path: Path) -> None:
    assert read_records(tmp_path) == []


def test_what_tensorboard_reads_is_synced_once_for_all_records_of_a_resumed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = TrainingLog(tmp_path, 0)
    for step in range(1, 51):
        log.write({"kind": "steps", "epoch": 1, "step": step, "loss": 0.5})
    log.close()
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    again = TrainingLog(tmp_path, 50)
    assert len(synced) < 10
    again.close()


def test_every_record_reaches_the_disk_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = TrainingLog(tmp_path, 0)
    file, sizes = tmp_path / "metrics.jsonl", list[int]()

    def watched(handle: int) -> None:
        if os.fstat(handle).st_ino == file.stat().st_ino:
            sizes.append(os.fstat(handle).st_size)

    monkeypatch.setattr(os, "fsync", watched)
    written = []
    for step in (1, 10, 100):
        log.write({"kind": "steps", "epoch": 1, "step": step})
        written.append(file.stat().st_size)
    log.close()
    assert sizes == written
