import numpy as np
import pytest

from dien.data.prepare.columns import ColumnWriter


@pytest.mark.parametrize("lengths", [[3, 0, 5], [0], [1000]])
def test_on_disk_and_in_memory_columns_are_alike_and_the_file_is_what_numpy_writes(lengths, tmp_path):
    rng = np.random.default_rng(0)
    disk, memory = ColumnWriter(tmp_path / "a"), ColumnWriter()
    for length in lengths:
        for name, dtype in (("user", np.int32), ("context/hour", np.float32)):
            array = rng.integers(0, 100, length).astype(dtype)
            disk.append(name, array)
            memory.append(name, array)
    ours, theirs = disk.finish(), memory.finish()
    assert ours.keys() == theirs.keys()
    for name, column in theirs.items():
        assert np.array_equal(ours[name], column)
        assert ours[name].dtype == column.dtype
        np.save(tmp_path / "plain.npy", column)
        assert (tmp_path / "a" / f"{name}.npy").read_bytes() == (tmp_path / "plain.npy").read_bytes()
