"""What a forked process can do, and what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch

from dien import forks
from dien.config import load_config
from dien.data.log import Log
from dien.data.prepare import temporal
from dien.data.sources import amazon, table
from dien.training import fit
from tests.data.datasets import random_prepared, stored
from tests.forking import in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")


@pytest.fixture(autouse=True)
def both_pools_have_run() -> None:
    """Have the threads of Polars and of torch do something before the fork."""
    pl.DataFrame({"a": [1, 1, 2]}).group_by("a").len()
    torch.ones(1 << 20).add_(1).sum()


def test_torch_computes_with_one_thread_in_a_forked_process_and_as_before_outside() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.ones(1 << 20).add_(1).sum()
        assert in_child(lambda: (torch.get_num_threads(), float(torch.ones(1 << 20).sum()))) == (1, 1 << 20)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_what_needs_polars_is_refused_only_where_its_threads_were_lost() -> None:
    forks.expect_polars("preparing")
    with pytest.raises(RuntimeError, match="preparing: this process was forked from one"):
        in_child(lambda: forks.expect_polars("preparing"))
    with pytest.raises(RuntimeError, match="spawn"):  # a child of the child, too
        in_child(lambda: in_child(lambda: forks.expect_polars("preparing")))
    program = (
        "import os, polars, dien\n"
        "from dien import forks\n"
        "if os.fork() == 0:\n"
        "    forks.expect_polars('x'); polars.DataFrame({'a': [1]}).group_by('a').len(); os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]))"
    )
    if Path("/proc/self/task").is_dir():  # elsewhere nothing tells whether Polars has run
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
        assert done.stdout == "7\n", done.stderr


def test_a_forked_process_trains_on_data_that_was_read_before(tmp_path: Path) -> None:
    data = stored(random_prepared(5), tmp_path / "data")
    config = load_config(overrides=["training.epochs=1", "model.hidden_size=4"])
    assert in_child(lambda: fit(data, config, tmp_path / "run", show_progress=False).epochs) == 1


def test_a_forked_process_reads_ids_and_vocabularies_that_nothing_read_before(tmp_path: Path) -> None:
    data = stored(random_prepared(5), tmp_path / "data")

    def read() -> tuple[list[str | None], int]:
        return data.item_ids.values.to_list(), data.vocabularies["category"].index("1")

    assert in_child(read) == read()


def test_preparing_a_log_in_a_forked_process_is_refused_in_place_of_hanging(
    small_log: Log, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match=r"DienError: the log cannot be prepared: .*spawn"):
        in_child(lambda: temporal(small_log))
    with pytest.raises(RuntimeError, match=r"DienError: the data cannot be read: .*spawn"):
        in_child(lambda: amazon.read(tmp_path / "reviews.json", tmp_path / "meta.json"))
    (tmp_path / "log.csv").write_text("user,item,time\nu,i,1700000000\n")
    with pytest.raises(RuntimeError, match=r"DienError: .*log.csv: cannot be read: .*spawn"):
        in_child(lambda: table.read([tmp_path / "log.csv"], None, None, table.TableSpec()))
