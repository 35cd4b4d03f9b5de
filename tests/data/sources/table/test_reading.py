import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from polars.testing.parametric import series

from dien.data.log import Log
from dien.data.readers import streams
from dien.data.readers.source_file import source_file
from dien.data.sources.table import TableSpec, read
from dien.errors import DataError
from tests.data.sources.table.broken import csv, parquet

SPEC = TableSpec.of(
    {
        "interactions": {"label": "label", "impression": "shown", "split": "split"},
        "features": {
            "item": {"brand": {}, "price": {"kind": "numeric"}},
            "user": {"age": {}},
            "behaviour": {"dwell": {"kind": "numeric"}, "time_since": None},
            "context": {
                "device": {},
                "tags": {"kind": "multi"},
                "hour": {"from_time": "hour", "zone": "America/New_York"},
                "weekday": {"from_time": "weekday"},
            },
        },
    },
    "test",
)
LOG_ONLY = SPEC.model_copy(update={"features": SPEC.features.model_copy(update={"user": {}, "item": {}})})
names = st.text("abcé ,\"'\t", min_size=1, max_size=3)
maybe = st.none() | names
ROW = {
    "user": names,
    "item": names,
    "time": st.integers(1_500_000_000, 1_500_000_300),
    "label": st.integers(0, 1),
    "shown": st.sampled_from(["7", "8", "x", "y"]),
    "split": st.sampled_from(["train", "valid", "test", "other", None]),
    "dwell": st.none() | st.integers(-4, 4).map(lambda quarters: quarters / 4),
    "device": maybe,
    "tags": st.none() | st.lists(names, min_size=1, max_size=3),
}
TYPES = {
    "user": pl.String, "item": pl.String, "time": pl.Int64, "label": pl.Int8, "shown": pl.String,
    "split": pl.String, "dwell": pl.Float64, "device": pl.String, "tags": pl.List(pl.String),
}  # fmt: skip
logs = st.lists(st.fixed_dictionaries(ROW), min_size=1, max_size=12).map(
    lambda rows: pl.DataFrame(rows, TYPES)
)
item_tables = st.dictionaries(names, st.tuples(maybe, st.none() | st.integers(0, 9)), max_size=5).map(
    lambda rows: pl.DataFrame(
        {"item": list(rows), "brand": [r[0] for r in rows.values()], "price": [r[1] for r in rows.values()]},
        {"item": pl.String, "brand": pl.String, "price": pl.Int64},
    )
)
FORMATS = ("x.parquet", "x.csv", "x.tsv", "x.csv.gz", "x.jsonl", "x.ndjson.gz")


def save(frame: pl.DataFrame, path: Path) -> Path:
    """Write a table in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
        return path
    if "json" in path.name:
        content = frame.write_ndjson().encode()
    else:
        lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
        flat = frame.with_columns(pl.col(name).list.join("|") for name in lists)
        content = flat.write_csv(separator="\t" if ".tsv" in path.name else ",").encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def same(one: Log, other: Log) -> None:
    def plain(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))

    assert_frame_equal(plain(one.events), plain(other.events))
    assert_frame_equal(one.items, other.items)
    assert_frame_equal(one.users, other.users)
    assert (one.excluded, one.features) == (other.excluded, other.features)


@settings(max_examples=10)
@given(logs, item_tables, st.integers(1, 5))
def test_the_same_rows_in_any_format_and_any_chunks_give_the_same_log(
    tmp_path_factory: pytest.TempPathFactory, log: pl.DataFrame, items: pl.DataFrame, rows: int
) -> None:
    folder = tmp_path_factory.mktemp("same")
    log = log.with_columns(
        label=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(1, pl.Int8)).otherwise("label")
    )
    users = pl.DataFrame({"user": log["user"].unique(maintain_order=True).reverse()}).with_row_index("age")
    made = []
    for name in FORMATS:
        paths = [
            [save(table, folder / what / name)]
            for what, table in (("log", log), ("items", items), ("users", users))
        ]
        made.append(read(*paths, SPEC))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_ROWS", rows)
        made += [
            read(*([folder / what / name] for what in ("log", "items", "users")), SPEC) for name in FORMATS
        ]
    for other in made[1:]:
        same(made[0], other)
    cut = len(log) // 2
    parts = [save(log[:cut], folder / "parts/k=1/a.parquet"), save(log[cut:], folder / "parts/k=2/b.jsonl")]
    if cut > 0:
        same(made[0], read([folder / "parts"], [folder / "items/x.csv"], [folder / "users/x.csv"], SPEC))
        same(made[0], read(parts, [folder / "items/x.csv"], [folder / "users/x.csv"], SPEC))


@settings(max_examples=25)
@given(logs, item_tables)
def test_every_row_of_the_log_is_a_row_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, log: pl.DataFrame, items: pl.DataFrame
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    log = log.with_columns(label=pl.lit(1)).unique(["user", "item", "time", "shown"], maintain_order=True)
    spec = SPEC.model_copy(update={"features": SPEC.features.model_copy(update={"user": {}})})
    made = read([save(log, folder / "log.parquet")], [save(items, folder / "items.parquet")], None, spec)
    users, known = made.users["user"], made.items
    assert users[made.events["user"] - 1].to_list() == log["user"].to_list()
    assert known["item"][made.events["item"] - 1].to_list() == log["item"].to_list()
    assert users.to_list() == log["user"].unique(maintain_order=True).to_list()
    first = log["item"].unique(maintain_order=True).to_list()
    assert known["item"].to_list() == first + [item for item in items["item"] if item not in first]
    brands = dict(items.select("item", "brand").iter_rows())
    assert known["brand"].to_list() == [brands.get(item) for item in known["item"]]
    for name in ("time", "dwell", "tags"):
        assert made.events[name].to_list() == log[name].to_list()
    assert made.events["device"].cast(pl.String).to_list() == log["device"].to_list()
    local = pl.from_epoch(log["time"], "s").dt.replace_time_zone("UTC")
    assert made.events["weekday"].cast(pl.String).to_list() == local.dt.strftime("%a").to_list()
    hours = local.dt.convert_time_zone("America/New_York").dt.hour().cast(pl.String)
    assert made.events["hour"].cast(pl.String).to_list() == hours.to_list()
    absent = sum(item not in brands for item in first)
    assert made.excluded.get("items without a row in the items table (kept)", 0) == absent


kinds = st.sampled_from(["cut", "flip", "insert", "drop"])
damage = st.lists(
    st.tuples(kinds, st.floats(0, 1, exclude_max=True), st.binary(max_size=3)), min_size=1, max_size=3
)


@settings(max_examples=150)
@given(logs, st.sampled_from(FORMATS), damage, st.booleans())
def test_a_damaged_file_is_read_or_refused_but_never_a_traceback(
    tmp_path_factory: pytest.TempPathFactory,
    log: pl.DataFrame,
    name: str,
    harm: list[tuple[str, float, bytes]],
    inside: bool,
) -> None:
    path = save(log, tmp_path_factory.mktemp("damaged") / name)
    packed = path.suffix == ".gz" and inside
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    for kind, where, extra in harm:
        at = int(where * len(content))
        content = {
            "cut": content[:at],
            "flip": content[:at] + bytes(byte ^ 0x55 for byte in content[at : at + 1]) + content[at + 1 :],
            "insert": content[:at] + extra + content[at:],
            "drop": content[:at] + content[at + 3 :],
        }[kind]
    path.write_bytes(gzip.compress(content) if packed else content)
    try:
        made = read([path], None, None, LOG_ONLY)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert made.events["user"].is_between(1, len(made.users)).all()
        assert made.events["item"].is_between(1, len(made.items)).all()


anything = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | names
    | st.lists(names, max_size=2)
)


@settings(max_examples=100)
@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(ROW, anything)), max_size=4), st.data())
def test_values_of_any_type_are_read_or_refused_but_never_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("anything") / "log.jsonl"
    good = [data.draw(st.fixed_dictionaries(ROW)) for _ in rows]
    lines = [json.dumps({**usual, **odd}) for usual, odd in zip(good, rows, strict=True)]
    path.write_text("\n".join([*lines, ""]))
    try:
        read([path], None, None, LOG_ONLY)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017


ODD_TYPES = [
    pl.UInt64, pl.Int128, pl.Int8, pl.Float32, pl.Boolean, pl.String, pl.Date, pl.Datetime("ns"), pl.Binary,
    pl.Time, pl.Duration("ms"), pl.Decimal(20, 2), pl.Categorical, pl.List(pl.Int64), pl.List(pl.Float64),
    pl.List(pl.List(pl.String)), pl.Array(pl.String, 2), pl.Struct({"a": pl.Int64}), pl.Null,
    pl.Datetime("us", "Asia/Tokyo"),
]  # fmt: skip


@settings(max_examples=60)
@given(st.sampled_from(sorted(ROW)), st.sampled_from(ODD_TYPES), st.data())
def test_columns_of_any_parquet_type_are_read_or_refused_but_never_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, column: str, dtype: pl.DataType, data: st.DataObject
) -> None:
    log = pl.DataFrame([data.draw(st.fixed_dictionaries(ROW)) for _ in range(3)], TYPES)
    odd = data.draw(series(dtype=dtype, min_size=3, max_size=3, allow_time_zones=False))
    path = tmp_path_factory.mktemp("types") / "log.parquet"
    log.with_columns(odd.alias(column)).write_parquet(path)
    try:
        read([path], None, None, LOG_ONLY)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017


def test_folders_globs_and_files_name_their_sources_below_the_folder_given(tmp_path: Path) -> None:
    for day in (2, 1):
        save(
            pl.DataFrame({"user": [f"u{day}"], "item": ["i"], "time": [1_600_000_000]}),
            tmp_path / f"log/day={day}/a.csv",
        )
    (tmp_path / "log/_SUCCESS").touch()
    spec = TableSpec.of({"features": {"context": {"day": {}}}}, "test")
    for path in (tmp_path / "log", tmp_path / "log/*/*.csv", tmp_path / "log/day=*"):
        log = read([path], None, None, spec)
        assert log.users["user"].to_list() == ["u1", "u2"]
        assert log.events["day"].cast(pl.String).to_list() == ["1", "2"]
        assert [source.name for source in log.sources] == ["day=1/a.csv", "day=2/a.csv"]
    assert log.sources[0].sha256 == source_file(tmp_path / "log/day=1/a.csv").sha256


def test_a_column_of_a_file_goes_before_the_partition_of_its_folder(tmp_path: Path) -> None:
    path = save(
        pl.DataFrame({"user": ["u"], "item": ["i"], "time": ["2024-01-02"]}),
        tmp_path / "time=2024-01-01/a.csv",
    )
    assert read([path], None, None, TableSpec()).events["time"].to_list() == [1704153600]
    path = save(pl.DataFrame({"user": ["u"], "item": ["i"]}), tmp_path / "time=2024-01-01/b.csv")
    assert read([path], None, None, TableSpec()).events["time"].to_list() == [1704067200]


@pytest.mark.parametrize("name", FORMATS)
def test_progress_adds_up_to_the_bytes_of_all_files(name: str, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"user": [f"u{i}" for i in range(999)], "item": ["i"] * 999, "time": [1_600_000_000] * 999}
    )
    paths = [save(frame, tmp_path / f"{i}{name}") for i in range(2)]
    seen: list[int] = []
    read(paths, None, [save(frame, tmp_path / f"users{name}")], TableSpec(), progress=seen.append)
    assert sum(seen) == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_a_column_may_serve_two_features_and_a_role(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(csv("u,i,1600000000,1"))
    spec = TableSpec.of(
        {"features": {"context": {"who": {"column": "user"}}, "behaviour": {"again": {"column": "user"}}}},
        "test",
    )
    events = read([path], None, None, spec).events
    assert events.select(pl.col("who", "again").cast(pl.String)).rows() == [("u", "u")]


def test_the_row_of_an_error_is_counted_over_row_groups_and_chunks(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    users: list[str | None] = ["u"] * 600_000
    users[599_998] = None
    path.write_bytes(parquet(user=users))
    with pytest.raises(DataError, match="row 599999: column 'user'"):
        read([path], None, None, TableSpec())
    lines = ['{"user": "u", "item": "i", "time": 1600000000}'] * 400_000
    lines[399_990] = lines[399_990].replace('"u"', "null")
    path = tmp_path / "log.jsonl"
    path.write_text("\n\n" + "\n".join(lines))
    with pytest.raises(DataError, match="line 399993: column 'user'"):
        read([path], None, None, TableSpec())


def test_the_line_of_an_error_is_counted_over_blank_lines_and_quoted_ones(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(csv('"u\n1",i,1600000000,1', "", "u,i,soon,1"))
    with pytest.raises(DataError, match="line 5: column 'time': found 'soon'"):
        read([path], None, None, TableSpec())


def test_the_line_of_an_error_is_counted_over_bytes_and_fields_that_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    far = "u,i,1600000000,1,x\n" * 2000
    odd = b"u,i,1600000000,1,\xff\nu,i,1600000000,1," + b"long" * 100_000
    path.write_bytes(b"user,item,time,label,note\n" + far.encode() + odd + b"\nu,i,soon,1,x\n")
    with pytest.raises(DataError, match="line 2004: column 'time': found 'soon'"):
        read([path], None, None, TableSpec())
