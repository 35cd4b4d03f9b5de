"""Batches in the workers of a torch DataLoader."""

import multiprocessing
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as MapDataset

from dien.data.batch import Batch
from dien.data.batches import Batches
from dien.data.dataset import Dataset
from tests.data.datasets import random_prepared, stored


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(random_prepared(5), tmp_path_factory.mktemp("loaders") / "DATA")


class Epoch(MapDataset):
    """An epoch of batches as a DataLoader takes it."""

    def __init__(self, batches: Batches, epoch: int) -> None:
        self.batches, self.epoch = batches, epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        return self.batches.batch(self.epoch, index)


@pytest.mark.parametrize("start", sorted({"fork", "spawn"} & {*multiprocessing.get_all_start_methods()}))
def test_workers_build_the_batches_that_this_process_builds(data: Dataset, start: str) -> None:
    batches = Batches(data, "train", batch_size=9, max_history=5, seed=3, shuffle=True, auxiliary=True)
    loader = DataLoader(Epoch(batches, 2), batch_size=None, num_workers=1, multiprocessing_context=start)
    for found, expected in zip(loader, batches.epoch(2), strict=True):
        assert torch.equal(found.label, expected.label)
        for columns in ("history", "target", "negatives"):
            one, other = getattr(found, columns), getattr(expected, columns)
            assert one.keys() == other.keys()
            assert torch.equal(one["item"], other["item"])
        assert torch.equal(found.history["time_since"], expected.history["time_since"])


def test_a_dataset_is_pickled_as_its_path_and_a_changed_one_with_its_content(data: Dataset) -> None:
    assert len(pickle.dumps(Batches(data, "train", batch_size=9, max_history=5))) < 1000
    again = pickle.loads(pickle.dumps(data))
    assert np.array_equal(again.behaviours.item, data.behaviours.item)
    changed = replace(data, popularity=data.popularity + 1)
    assert np.array_equal(pickle.loads(pickle.dumps(changed)).popularity, data.popularity + 1)


def test_a_dataset_opened_by_a_relative_path_is_found_from_another_folder(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.path.parent)
    pickled = pickle.dumps(Dataset.open("DATA"))
    monkeypatch.chdir(tmp_path)
    assert len(pickle.loads(pickled).splits["train"]) == len(data.splits["train"])
