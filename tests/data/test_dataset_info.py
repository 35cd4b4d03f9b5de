import json

import pytest

from dien.data.dataset import Dataset
from dien.data.writer import write
from dien.errors import DataError
from tests.data.datasets import random_prepared


@pytest.fixture
def folder(tmp_path):
    write(random_prepared(), tmp_path / "DATA")
    return tmp_path / "DATA"


def test_plain_data_of_an_opened_dataset_is_what_its_file_holds(folder):
    assert Dataset.open(folder).info.to_json() == json.loads((folder / "dataset.json").read_text())


def test_saving_what_was_loaded_writes_the_same_bytes(folder, tmp_path):
    Dataset.open(folder).info.save(tmp_path)
    assert (tmp_path / "dataset.json").read_bytes() == (folder / "dataset.json").read_bytes()


def test_a_folder_without_the_rule_negatives_are_drawn_by_opens(folder):
    info = json.loads((folder / "dataset.json").read_text())
    del info["negatives"]["by"]
    (folder / "dataset.json").write_text(json.dumps(info))
    assert Dataset.open(folder).info.negatives.by is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda info: info.pop("recipe"), "missing required field `recipe`"),
        (lambda info: info.update(colour="red"), "unknown field `colour`"),
        (lambda info: info["sizes"].pop("users"), r"missing required field `users` - at `\$.sizes`"),
        (lambda info: info["sizes"].update(items="3"), r"Expected `int`, got `str` - at `\$.sizes.items`"),
        (lambda info: info["sizes"].update(items=-1), r">= 0 - at `\$.sizes.items`"),
        (lambda info: info["sizes"]["splits"].pop("valid"), r"expected train, valid, test - at `\$.sizes`"),
        (lambda info: info["negatives"].update(sampled=None), r"got `null` - at `\$.negatives.sampled`"),
        (lambda info: info["recipe"].update(warm_up=1), r"unknown field `warm_up` - at `\$.recipe`"),
        (lambda info: info.update(auxiliary_negatives="none"), r"at `\$.auxiliary_negatives`"),
    ],
)
def test_a_missing_unknown_or_wrong_field_is_named_with_its_file(folder, change, message):
    info = json.loads((folder / "dataset.json").read_text())
    change(info)
    (folder / "dataset.json").write_text(json.dumps(info))
    with pytest.raises(DataError, match=rf"DATA/dataset.json: not as prepare writes it: .*{message}"):
        Dataset.open(folder)
