"""Memory does not grow with a file of requests, in any format; of Parquet it is that of a row group."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
import polars as pl
from dien.serving import requests
from dien.serving.features import CANDIDATES, HISTORY, USER

path, rows, length = Path(sys.argv[1]), 6000, 400
requests.REQUESTS_AT_ONCE = 250
if not path.exists():
    ids = pl.Series([f"item-{k:07}" for k in range(1000)])
    drawn = ids.gather(np.random.default_rng(0).integers(0, 1000, rows * length))
    lists = drawn.reshape((rows, length)).arr.to_list()
    table = pl.DataFrame({"user": ["u"] * rows, "history": lists, "candidates": lists.list.head(2)})
    if path.suffix == ".parquet":
        table.write_parquet(path, row_group_size=500, use_pyarrow=True)
    elif path.suffix == ".jsonl":
        table.write_ndjson(path)
    else:
        cells = [pl.lit('["') + pl.col(name).list.join('","') + pl.lit('"]') for name in table.columns[1:]]
        named = [cell.alias(name) for name, cell in zip(table.columns[1:], cells, strict=True)]
        table.with_columns(named).write_csv(path)
    sys.exit()

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

seen = [(len(table), held()) for table in requests.read_requests(path, [USER, HISTORY, CANDIDATES])]
print(sum(count for count, _ in seen), seen[len(seen) // 4][1], max(most for _, most in seen))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_requests_are_read_with_memory_that_does_not_grow(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / f"requests.{kind}")]
    subprocess.run(command, check=True)  # made in another process, whose memory does not count
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rows, early, most = map(int, done.stdout.split())
    assert rows == 6000
    # The ids of the rest take 6000 * 400 * 3 / 4 times 12 bytes and an offset, where they are kept.
    assert most - early < 18 << 20
