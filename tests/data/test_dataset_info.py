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


def test_fields_of_a_later_version_with_the_same_format_are_passed_over(folder):
    info = json.loads((folder / "dataset.json").read_text())
    later = {**info, "sources": [{"name": "a", "sha256": "0", "size": 1, "rows": 3}], "colour": "red"}
    later |= {name: {**info[name], "colour": "red"} for name in ("schema", "sizes", "recipe", "negatives")}
    (folder / "dataset.json").write_text(json.dumps(later))
    known = Dataset.open(folder).info.to_json()
    assert known == {**info, "sources": [{"name": "a", "sha256": "0", "size": 1}], "schema": later["schema"]}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(folder, number):
    text = (folder / "dataset.json").read_text()
    (folder / "dataset.json").write_text(text.replace('"seed": 0', f'"seed": 0, "valid_share": {number}'))
    with pytest.raises(DataError, match=f"dataset.json: not JSON: {number} is no finite number"):
        Dataset.open(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda feature: feature.update(size="82"), r"Expected `int`, got `str` - at `\$.size`"),
        (lambda feature: feature.update(encoder=3), "encoder: Expected `object`, got `int`"),
        (lambda feature: feature.update(title="x"), "unknown field `title`"),
    ],
)
def test_a_wrong_field_of_a_feature_is_named_with_its_file(folder, change, message):
    info = json.loads((folder / "dataset.json").read_text())
    change(info["schema"]["features"][1])
    (folder / "dataset.json").write_text(json.dumps(info))
    where = r"DATA/dataset.json: schema: not as prepare writes it: features\[1\]: "
    with pytest.raises(DataError, match=where + message):
        Dataset.open(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda info: info.pop("recipe"), "missing required field `recipe`"),
        (lambda info: info["sizes"].pop("users"), r"missing required field `users` - at `\$.sizes`"),
        (lambda info: info["sizes"].update(items="3"), r"Expected `int`, got `str` - at `\$.sizes.items`"),
        (lambda info: info["sizes"].update(items=-1), r">= 0 - at `\$.sizes.items`"),
        (lambda info: info["sizes"]["splits"].pop("valid"), r"expected train, valid, test - at `\$.sizes`"),
        (lambda info: info["negatives"].update(sampled=None), r"got `null` - at `\$.negatives.sampled`"),
        (lambda info: info.update(auxiliary_negatives="none"), r"at `\$.auxiliary_negatives`"),
        (lambda info: info.update(log={"columns": {"user": []}}), r"length >= 1 - at `\$.log.columns"),
        (
            lambda info: info.update(log={"columns": {}, "text": {"encoding": "base64"}}),
            r"encoding 'base64'; expected one of Python, .*at `\$.log.text",
        ),
        (lambda info: info.update(log={"columns": {}, "separators": {"a": ""}}), r"length >= 1 - at `\$.log"),
        *(
            (
                lambda info, name=name: info.update(from_time={name: {"what": "hour", "zone": "UTC"}}),
                f"from_time: {name}: expected a categorical feature of the context, to be its hour",
            )
            for name in ("price", "action", "wanted", "nobody")
        ),
    ],
)
def test_a_missing_or_wrong_field_is_named_with_its_file(folder, change, message):
    info = json.loads((folder / "dataset.json").read_text())
    change(info)
    (folder / "dataset.json").write_text(json.dumps(info))
    with pytest.raises(DataError, match=rf"DATA/dataset.json: not as prepare writes it: .*{message}"):
        Dataset.open(folder)
