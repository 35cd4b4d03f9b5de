"""Ready schemas: each reads a sample of its data set, whole, by the command that its file begins with."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from dien.data.dataset import Dataset
from dien.data.sources.table import TableSpec, check, prepare, read
from dien.data.sources.table.ready import READY, about
from dien.errors import DataError
from dien.yaml_text import parse_yaml
from tests.cli.running import dien, ok
from tests.data.sources.table import samples

REPEATED = "repeated interactions (same user, item, time and impression)"
PAGE = Path(__file__).parents[4] / "docs/data.md"
WARM_UP = "events in a user's warm-up"


def _block(name: str) -> list[str]:
    """Give the lines of the commands in the comments that a ready schema begins with."""
    lines = [line[1:].strip() for line in READY[name].read_text().splitlines() if line.startswith("#")]
    begin = lines.index("") + 1
    return lines[begin : lines.index("", begin)]


def command(name: str) -> list[str]:
    """Find the command that a ready schema names, without its first word."""
    lines = _block(name)
    first = next(number for number, line in enumerate(lines) if line.startswith("dien prepare table"))
    return shlex.split(" ".join(lines[first:]))[1:]


def make_ready(name: str, folder: Path) -> None:
    """Run what a ready schema does to the published files first: the lines before its command."""
    for line in _block(name):
        if line.startswith("dien prepare table"):
            return
        subprocess.run(line, shell=True, cwd=folder, check=True)


def tables(arguments: list[str], folder: Path) -> dict[str, list[Path]]:
    """Give the files that a command names, by table."""
    found: dict[str, list[Path]] = {}
    for option, value in zip(arguments[2::2], arguments[3::2], strict=True):
        if option in ("--interactions", "--behaviours", "--items", "--users"):
            found.setdefault(option[2:], []).append(folder / value)
    return found


def accounted(data: Dataset) -> int:
    """Count the candidates of the log that are rows of a dataset folder, or counted as left out."""
    info = data.info
    splits = info.sizes.splits.values()
    rows = sum(split.positives if info.negatives.sampled else split.rows for split in splits)
    return rows + info.excluded.get(WARM_UP, 0) + info.excluded.get(REPEATED, 0)


def row_of(name: str, arguments: list[str], data: Dataset) -> str:
    """Write the row of the table in docs/data.md."""
    options: dict[str, list[str]] = {}
    for option, value in zip(arguments[2::2], arguments[3::2], strict=True):
        if option in ("--interactions", "--behaviours", "--items", "--users"):
            options.setdefault(f"`{option}`", []).append(f"`{value}`")
    files = "; ".join(f"{option} {', '.join(values)}" for option, values in options.items())
    sizes = data.info.sizes
    rows = " / ".join(f"{split.rows:,}" for split in sizes.splits.values())
    labels = "sampled negatives" if data.info.negatives.sampled else "real labels"
    what = about(name).partition(":")[0]
    return f"| `{name}` | {what} | {files} | {sizes.behaviours} behaviours; {rows} rows, {labels} |"


def test_each_ready_schema_has_a_sample() -> None:
    assert set(samples.SAMPLES) == set(READY)


@pytest.mark.parametrize("name", READY)
def test_a_ready_schema_reads_its_data_set_by_the_command_in_its_file(
    name: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    candidates = samples.write(name, tmp_path)
    make_ready(name, tmp_path)
    arguments = command(name)
    assert arguments[arguments.index("--schema") + 1] == name

    checked = check(TableSpec.load(Path(name)), **tables(arguments, tmp_path))
    assert not [
        str(one.message) for one in recwarn.list if one.category is UserWarning
    ]  # no feature tells the label, and all ids meet
    assert checked.rows + checked.excluded.get(REPEATED, 0) == candidates
    assert {join.met - join.ids for join in checked.joins} <= {0}
    assert max([feature.auc or 0.5 for feature in checked.features]) < 0.7  # clicks are random

    done = dien(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "times are written as" in done.stdout
    data = Dataset.open(tmp_path / arguments[arguments.index("--out") + 1])
    info = data.info
    assert not info.dropped_features
    assert all(split.rows for split in info.sizes.splits.values())
    assert accounted(data) == candidates
    assert row_of(name, arguments, data) in PAGE.read_text(encoding="utf-8").splitlines()


def test_a_file_of_a_ready_schemas_name_goes_before_it_and_a_folder_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mind").mkdir()
    assert TableSpec.load(Path("mind")).interactions.quote == "none"
    Path("yelp").write_text("interactions: {user: u}")
    assert TableSpec.load(Path("yelp")).interactions.user == "u"


def test_a_name_of_neither_a_file_nor_a_ready_schema_is_answered_with_those_like_it_first() -> None:
    with pytest.raises(DataError, match=r"^kuairrand: cannot be read: .*; .* ready schema: kuairand, "):
        TableSpec.load(Path("kuairrand"))
    with pytest.raises(DataError, match=r"^missing.yaml: [^:]*: [^:]*; give the path of a YAML file$"):
        TableSpec.load(Path("missing.yaml"))


def test_prepare_of_python_takes_the_name_of_a_ready_schema(tmp_path: Path) -> None:
    samples.write("rees46", tmp_path)
    data = prepare(tmp_path / "2019-Oct.csv", tmp_path / "data", schema="rees46")
    assert data.info.sizes.behaviours == samples.ROWS


def test_the_list_has_every_ready_schema_in_a_line() -> None:
    lines = dien("schema", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(READY)
    assert ok("schema", "list")["schemas"]["mind"]["about"].startswith("MIND, Microsoft News")


def test_an_export_of_ga4_as_json_is_the_same_log_as_one_of_parquet(tmp_path: Path) -> None:
    samples.write("ga4", tmp_path, 60)
    (tmp_path / "json").mkdir()
    for path in sorted((tmp_path / "events").iterdir()):
        rows = pa.parquet.read_table(path).to_pylist()
        text = "".join(json.dumps(as_bigquery_writes(row)) + "\n" for row in rows)
        (tmp_path / "json" / f"{path.stem}.json").write_text(text)
    schema: dict[str, Any] = parse_yaml(READY["ga4"].read_text())
    schema["features"]["context"] |= {
        "session": {"column": "event_params.ga_session_id"},
        "value": {"column": "event_params.value", "kind": "numeric"},
    }
    one, other = (
        read([tmp_path / name], None, None, TableSpec.of(schema, "test")) for name in ("events", "json")
    )
    plain = pl.col(pl.Categorical).cast(pl.String)
    assert one.events.select(pl.col("*")).with_columns(plain).equals(other.events.with_columns(plain))
    assert one.items.equals(other.items)
    assert one.excluded == other.excluded
    assert one.events["value"].drop_nulls().unique().to_list() == [9.5]


def as_bigquery_writes(value: Any) -> Any:
    """Leave out nulls, and write whole numbers as text, as BigQuery does in JSON."""
    if isinstance(value, dict):
        return {key: as_bigquery_writes(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [as_bigquery_writes(one) for one in value]
    return str(value) if isinstance(value, int) else value
