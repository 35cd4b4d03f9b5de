import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from dien.data.dataset import Dataset
from dien.data.prepare import temporal
from dien.data.tables import SPLITS
from dien.data.writer import write
from dien.errors import DataError
from tests.data.datasets import random_prepared
from tests.data.logs import random_log


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A dataset with features of all three sides."""
    log = random_log(users=30, items=20, events=500)
    devices = np.array(["phone", "desk"])[np.arange(500) % 2]
    log = type(log)(
        log.events.with_columns(device=devices), log.items, log.users.with_columns(age="user"), log.sources
    )
    path = tmp_path_factory.mktemp("original") / "DATA"
    write(temporal(log, warmup=1), path)
    return path


@pytest.fixture
def data(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "DATA"))


FILES = sorted(
    ["items/ids.parquet", "users/ids.parquet", "items/popularity.npy", "items/item.npy", "items/category.npy"]
    + ["users/user.npy", "users/age.npy", "dataset.json"]
    + [f"vocabularies/{name}.parquet" for name in ("item", "category", "user", "age", "device")]
    + [f"behaviours/{name}.npy" for name in ("item", "time", "offsets")]
    + [
        f"{split}/{name}.npy"
        for split in ("train", "valid", "test")
        for name in ("user", "end", "time", "context/device", "offsets", "item", "label")
    ]
)
COLUMNS = [file for file in FILES if file.endswith(".npy")]


def test_a_dataset_folder_holds_these_files_and_no_others(original):
    files = sorted(str(f.relative_to(original)) for f in original.rglob("*") if f.is_file())
    assert files == FILES


@pytest.mark.parametrize("file", FILES)
def test_opening_a_dataset_names_a_missing_file(data, file):
    (data / file).unlink()
    with pytest.raises(DataError, match=f"{file}: (missing|No such file)"):
        Dataset.open(data)


@pytest.mark.parametrize("file", COLUMNS)
def test_a_column_of_the_wrong_type_or_length_or_cut_short_is_named(data, file):
    column, size = np.load(data / file), (data / file).stat().st_size
    for wrong, message in (
        (column[:-1], "expected .* prepare the data again"),
        (column.astype(np.float32), "float32 .* expected int"),
        (column[None], "expected int"),
    ):
        np.save(data / file, wrong)
        with pytest.raises(DataError, match=f"{file}: .*{message}"):
            Dataset.open(data)
    np.save(data / file, column)
    for length in (size - 1, 20, 0):
        with (data / file).open("rb+") as open_file:
            open_file.truncate(length)
        with pytest.raises(DataError, match=f"{file}: not a whole"):
            Dataset.open(data)


def test_offsets_that_do_not_end_where_they_should_are_named(data):
    for file in COLUMNS:
        if file.endswith("offsets.npy"):
            offsets = np.load(data / file)
            for place in (0, -1):
                wrong = offsets.copy()
                wrong[place] += 1
                np.save(data / file, wrong)
                with pytest.raises(DataError, match=f"{file}: runs from"):
                    Dataset.open(data)
            np.save(data / file, offsets)
    Dataset.open(data).check()


@pytest.mark.parametrize("wrong", [-1, 100_000])
@pytest.mark.parametrize("file", [file for file in COLUMNS if not file.endswith("label.npy")])
def test_checking_finds_a_value_out_of_range_or_order(data, file, wrong):
    if file == "items/popularity.npy" and wrong > 0:
        return  # any count may be
    column, place = np.load(data / file), 1
    if file.endswith("/time.npy") and not file.startswith("behaviours"):
        user = np.load((data / file).with_name("user.npy"))
        place = int(np.flatnonzero(np.diff(user) == 0)[0])  # the same user has a later impression
    column[place] = wrong
    np.save(data / file, column)
    with pytest.raises(DataError, match=f"{file}: .* is out of range"):
        Dataset.open(data).check()


@pytest.mark.parametrize("wrong", [-1, 2])
def test_checking_finds_a_label_other_than_0_and_1(data, wrong):
    label = np.load(data / "valid/label.npy")
    label[-1] = wrong
    np.save(data / "valid/label.npy", label)
    with pytest.raises(DataError, match=r"valid/label.npy: row .* is out of range"):
        Dataset.open(data).check()


def test_checking_finds_ids_and_vocabularies_of_the_wrong_length(data):
    for file in ("items/ids.parquet", "users/ids.parquet"):
        kept = (data / file).read_bytes()
        other = {"items/ids.parquet": "users/ids.parquet", "users/ids.parquet": "items/ids.parquet"}[file]
        shutil.copy(data / other, data / file)
        with pytest.raises(DataError, match=f"{file}: .* ids, expected"):
            Dataset.open(data).check()
        (data / file).write_bytes(kept)
    shutil.copy(data / "vocabularies/item.parquet", data / "vocabularies/category.parquet")
    with pytest.raises(DataError, match=r"category.parquet: .* values, expected 4"):
        Dataset.open(data).check()


def test_a_folder_that_is_no_dataset_or_of_another_format_is_refused(data, tmp_path):
    with pytest.raises(DataError, match="name a dataset folder that dien prepare wrote"):
        Dataset.open(tmp_path / "nowhere")
    file = data / "dataset.json"
    info = json.loads(file.read_text())
    for text, message in (
        ("{", "not JSON"),
        ("[]", "format None"),
        (json.dumps({**info, "format": 1}), "format 1, this version of dien reads 2"),
        (json.dumps({**info, "sizes": {"items": 3}}), "not as prepare writes it"),
        (json.dumps({**info, "schema": {"features": [{"title": "x"}]}}), "not as prepare writes it"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=message):
            Dataset.open(data)


def _touched() -> int:
    """Bytes of the pages that this process has touched."""
    pages = resource.getrusage(resource.RUSAGE_SELF)
    return (pages.ru_minflt + pages.ru_majflt) * resource.getpagesize()


def test_20_million_behaviours_and_rows_open_without_being_read(data):
    n = 20_000_000
    info = json.loads((data / "dataset.json").read_text())
    info["sizes"] |= {"behaviours": n, "users": n}
    info["sizes"]["splits"]["train"] |= {"impressions": n, "rows": n}
    (data / "dataset.json").write_text(json.dumps(info))
    for file in COLUMNS:
        folder, name = file.split("/", 1)
        if folder in ("behaviours", "users", "train"):
            length = n + (folder == "users") + (name == "offsets.npy") * (1 + (folder == "behaviours"))
            dtype = np.load(data / file, mmap_mode="r").dtype
            column = np.lib.format.open_memmap(data / file, "w+", dtype, (length,))
            if name == "offsets.npy":
                column[-1] = n  # all else stays a hole in the file
    before = _touched()
    dataset = Dataset.open(data)
    assert _touched() - before < 1 << 26  # of 1 GB
    assert len(dataset.behaviours.item) == len(dataset.splits["train"]) == n


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("file", ["label", "weight", "conversion", "time"])
def test_checking_finds_a_split_that_holds_something_else_than_its_description_says(tmp_path, file, name):
    prepared, rng = random_prepared(2), np.random.default_rng(0)
    splits = {
        split: replace(
            of, weight=rng.random(len(of.item), np.float32) + 1, conversion=np.minimum(of.label, 1)
        )
        for split, of in prepared.splits.items()
    }
    schema = replace(prepared.schema, conversion=True)
    write(replace(prepared, splits=splits, schema=schema), tmp_path / "data")
    dataset = Dataset.open(tmp_path / "data")
    dataset.check()
    sizes, time = dataset.info.sizes, dataset.info.time
    of = sizes.splits[name]
    other = {
        "label": structs.replace(of, positives=of.positives - 1),
        "weight": structs.replace(of, weight=of.weight * 1.001),
        "conversion": structs.replace(of, conversions=of.conversions + 1),
    }.get(file, of)
    if file == "time":
        time = time | {name: (time[name][0], time[name][1] + 1)}
    info = structs.replace(
        dataset.info, sizes=structs.replace(sizes, splits=sizes.splits | {name: other}), time=time
    )
    with pytest.raises(DataError, match=rf"{name}/{file}.npy: .*, dataset.json says .*; prepare the data"):
        replace(dataset, info=info).check()
