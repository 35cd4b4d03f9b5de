"""Broken tables, each with what must be said of it: the corpus that ``read`` is held to."""

import gzip
import io
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet

GOOD = b"user,item,time,label\nu1,i1,1600000000,1\nu2,i2,1600000060,0\n"
USERS = b"user,age\nu1,30\nu2,40\n"
LABEL = {"interactions": {"label": "label"}}


@dataclass(frozen=True)
class Broken:
    """Files by name, how they are read, and the words of the error, or what is counted instead."""

    name: str
    files: dict[str, bytes | None]
    says: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=lambda: LABEL)
    interactions: tuple[str, ...] | None = None
    items: tuple[str, ...] | None = None
    users: tuple[str, ...] | None = None

    def paths(self) -> tuple[str, ...]:
        """The interactions: all files where none is named."""
        return tuple(self.files) if self.interactions is None else self.interactions


def parquet(**columns: Any) -> bytes:
    """A Parquet file of a good log, some of its columns replaced; None takes one out."""
    rows = len(next((column for column in columns.values() if column is not None), [0, 0]))
    usual: dict[str, Any] = {
        "user": ["u1"] * rows,
        "item": [f"i{row}" for row in range(rows)],
        "time": [1_600_000_000 + row for row in range(rows)],
        "label": [1] * rows,
    }
    named = {name: column for name, column in {**usual, **columns}.items() if column is not None}
    table = pa.table([pa.array(column) for column in named.values()], names=list(named))
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, row_group_size=1000)
    return file.getvalue()


def _twice_named() -> bytes:
    file = io.BytesIO()
    table = pa.table(
        [pa.array(["u"]), pa.array(["i"]), pa.array(["j"]), pa.array([1])],
        names=["user", "item", "item", "time"],
    )
    pyarrow.parquet.write_table(table, file)
    return file.getvalue()


def _not_utf8() -> bytes:
    """A Parquet file that calls bytes text."""
    file = io.BytesIO()
    text = pa.array([b"u\xff1"]).view(pa.string())
    pyarrow.parquet.write_table(
        pa.table({"user": text, "item": ["i"], "time": [1_600_000_000], "label": [1]}), file
    )
    return file.getvalue()


def csv(*lines: str, header: str = "user,item,time,label") -> bytes:
    return "\n".join([header, *lines, ""]).encode()


def deep(column: str, value: str, row: int = 300_000, rows: int = 300_010) -> bytes:
    """A long CSV file in which one value of one column differs."""
    frame = pl.select(
        user=pl.format("u{}", pl.int_range(rows) % 1000),
        item=pl.format("i{}", pl.int_range(rows)),
        time=(1_600_000_000 + pl.int_range(rows)).cast(pl.String),
        label=pl.lit("1"),
    ).with_columns(
        pl.when(pl.int_range(rows) == row).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    )
    return frame.write_csv().encode()


def _number(column: str = "dwell") -> dict[str, Any]:
    return {"features": {"behaviour": {column: {"kind": "numeric"}}}}


_MULTI = {"features": {"context": {"tags": {"kind": "multi"}}}}
_TEXT = {"features": {"context": {"tags": {}}}}
_PLAIN: dict[str, Any] = {}
_LINE = b'{"user": "u1", "item": "i1", "time": 1600000000, "label": 1}\n'

BROKEN = [
    # no file, or no such file
    Broken("missing file", {}, ("log.csv", "cannot be read", "give the path"), interactions=("log.csv",)),
    Broken("no path", {}, ("no file is given",), interactions=()),
    Broken("folder without files", {"log": None}, ("log", "without data files", ".parquet")),
    Broken("folder of hidden files", {"log/_SUCCESS": b"x"}, ("without data files",), interactions=("log",)),
    Broken("glob that matches nothing", {"a.csv": GOOD}, ("no file matches",), interactions=("b*.csv",)),
    Broken("unknown suffix", {"log.docx": b"PK"}, ("log.docx", "unknown kind", ".csv", ".gz", "format: csv")),
    Broken(
        "columns in one object, as of pandas",
        {"log.json": b'{"user":{"0":1,"1":2},"item":{"0":3,"1":4},"time":{"0":1600000000,"1":1600000001}}'},
        ("log.json: one object that holds whole columns", "lines=True"),
    ),
    Broken("Parquet named as CSV", {"log.csv": parquet()}, ("log.csv: a Parquet file", "format: parquet")),
    Broken("no suffix and no text", {"log": b"MZ\0"}, ("log", "unknown kind")),
    Broken(
        "folder with a stranger",
        {"log/a.csv": GOOD, "log/read.me": b"x"},
        ("read.me", "unknown kind"),
        interactions=("log",),
    ),
    Broken(
        "folder named as a file",
        {"log.csv/notes.txt": b"x"},
        ("notes.txt", "no column 'user'", "found x"),
        interactions=("log.csv",),
    ),
    Broken("empty CSV", {"log.csv": b""}, ("log.csv", "0 bytes")),
    Broken("empty Parquet", {"log.parquet": b""}, ("log.parquet", "0 bytes")),
    Broken("empty JSON lines", {"log.jsonl": b""}, ("log.jsonl", "no interaction")),
    # damaged files
    Broken("truncated Parquet", {"log.parquet": parquet(label=[1, 0])[:-9]}, ("log.parquet", "truncated")),
    Broken(
        "Parquet damaged inside",
        {"log.parquet": b"PAR1" + b"\x15\x04" * 200 + b"PAR1"},
        ("log.parquet", "not a readable Parquet file"),
    ),
    Broken("CSV named Parquet", {"log.parquet": GOOD}, ("log.parquet", "not a readable Parquet file")),
    Broken("Parquet named CSV", {"log.csv": parquet(label=[1])}, ("log.csv",)),
    Broken("Parquet named JSON lines", {"log.jsonl": parquet(label=[1])}, ("log.jsonl", "line 1", "JSON")),
    Broken("truncated gzip CSV", {"log.csv.gz": gzip.compress(GOOD)[:-12]}, ("log.csv.gz", "truncated")),
    Broken("gzip CSV cut in its header", {"log.csv.gz": gzip.compress(GOOD)[:12]}, ("log.csv.gz",)),
    Broken(
        "gzip CSV with a wrong checksum",
        {"log.csv.gz": gzip.compress(GOOD)[:-8] + b"12345678"},
        ("log.csv.gz", "CRC"),
    ),
    Broken(
        "truncated gzip JSON lines",
        {"log.jsonl.gz": gzip.compress(_LINE * 9)[:-12]},
        ("log.jsonl.gz", "truncated"),
    ),
    Broken("Parquet text that is no UTF-8", {"log.parquet": _not_utf8()}, ("log.parquet", "UTF8")),
    Broken("CSV that is no UTF-8", {"log.csv": GOOD + b"\xff\xfe,i,1600000000,1\n"}, ("line 4", "UTF-8")),
    Broken("JSON lines that are no UTF-8", {"log.jsonl": _LINE + b'{"user": "\xff"}\n'}, ("line 2", "UTF-8")),
    # CSV
    Broken(
        "CSV row too short", {"log.csv": csv("u,i,1600000000,1", "u,i")}, ("line 3", "2 fields", "expected 4")
    ),
    Broken("CSV row too long", {"log.csv": csv("u,i,1600000000,1,9")}, ("line 2", "5 fields", "expected 4")),
    Broken(
        "CSV quote never closed",
        {"log.csv": csv('i,1600000000,1,"u', "i,1600000001,1,v", header="item,time,label,user")},
        ("line 2", "never closed", "quote: none"),
    ),
    Broken(
        "CSV quote never closed, a field short",
        {"log.csv": csv('u,"i,1600000000,1', "v,i,1600000001,1")},
        ("log.csv", "line 2"),
    ),
    Broken(
        "rows between a quote at the begin of a field and one at the end of another",
        {"log.csv": csv('"u,i,1600000000,1', "u,j,1600000001,0", 'v",i,1600000002,1', "w,k,1600000003,1")},
        ("log.csv", "line 2", "a quote opens a field that takes in 3 lines", "quote: none"),
    ),
    Broken(
        "rows between two quotes at the begin of fields",
        {
            "log.csv": csv(
                "w,k,1600000000,1,x",
                'u,i,1600000000,1,"a',
                'v,i,1600000002,1,"b',
                header="user,item,time,label,note",
            )
        },
        ("log.csv", "line 3", "with another quote in it", "quote: none"),
    ),
    Broken(
        "a row that the header takes in",
        {"log.csv": b'user,item,time,"note\nu,i,1600000000,n"\nv,i,1600000001,n\n'},
        ("log.csv", "line 1", "a quote opens"),
        spec={},
    ),
    Broken(
        "a quoted field over lines with tabs between the columns",
        {"log.tsv": b'user\titem\ttime\tnote\nu\ti\t1600000000\t"two\nlines"\n'},
        ("log.tsv", "line 2", "runs over 2 lines", "quote: none"),
        spec={},
    ),
    Broken(
        "CSV with NUL bytes",
        {"log.csv": csv("u,i,1600000000,1", "v,i,1600000000,\0")},
        ("line 3", "NUL byte"),
    ),
    Broken(
        "CSV in UTF-16 without a mark", {"log.csv": GOOD.decode().encode("utf-16-le")}, ("line 1", "NUL byte")
    ),
    Broken(
        "two CSV files joined",
        {"log.csv": GOOD + b"\xef\xbb\xbf" + GOOD},
        ("line 4", "'time'"),
    ),
    Broken(
        "CSV columns named alike",
        {"log.csv": b"user,item,item,time\nu,i,j,1600000000\n"},
        ("log.csv", "'item'", "two columns"),
    ),
    Broken("Parquet columns named alike", {"log.parquet": _twice_named()}, ("'item'", "two columns")),
    Broken(
        "CSV with other separators and a row that is short",
        {"log.csv": GOOD.replace(b",", b";") + b"u;i\n"},
        ("no column 'user'", "user;item;time;label", "if ';' is between the columns", "--separator"),
    ),
    Broken("CSV of blank lines", {"log.csv": b"\n\n"}, ("log.csv", "no column 'user'", "found none")),
    Broken(
        "CSV without header",
        {"log.csv": b"u1,i1,1600000000,1\n"},
        ("no column 'user'", "looks like data (u1, i1", "--columns"),
    ),
    # JSON lines
    Broken("JSON line that is a list", {"log.jsonl": _LINE + b"[1, 2]\n"}, ("line 2", "object")),
    Broken("JSON line that is a number", {"log.jsonl": b"5\n" + _LINE}, ("line 1", "object")),
    Broken("JSON line cut off", {"log.jsonl": _LINE + b"\n" + _LINE[:20]}, ("line 3", "JSON")),
    Broken("two JSON objects in a line", {"log.jsonl": _LINE + _LINE.strip() + _LINE}, ("line 2", "JSON")),
    Broken("JSON object over lines", {"log.jsonl": _LINE.replace(b", ", b",\n")}, ("line 1", "JSON")),
    Broken("JSON array of numbers", {"log.jsonl": b"[1, 2]"}, ("element 1", "expected one JSON object")),
    Broken(
        "JSON key that no line has",
        {"log.jsonl": _LINE},
        ("log.jsonl", "no column 'device'", "user, item"),
        spec={"features": {"context": {"device": {}}}},
    ),
    Broken(
        "JSON line without a user",
        {"log.jsonl": _LINE + b'{"item": "i", "time": 1600000000, "label": 1}\n'},
        ("line 2", "'user'", "nothing"),
    ),
    Broken(
        "JSON object for a user",
        {"log.jsonl": _LINE + _LINE.replace(b'"u1"', b'{"id": 1}')},
        ("line 2", "'user'", "{'id': 1}"),
    ),
    Broken(
        "JSON list for a user",
        {"log.jsonl": _LINE + _LINE.replace(b'"u1"', b"[1]")},
        ("line 2", "'user'", "[1]"),
    ),
    Broken("JSON NaN", {"log.jsonl": _LINE.replace(b"1600000000", b"NaN")}, ("line 1", "JSON")),
    Broken("JSON nested 100,000 deep", {"log.jsonl": b'{"user": ' + b"[" * 100_000 + b"\n"}, ("line 1",)),
    # columns
    Broken(
        "missing column", {"log.csv": b"user,item,label\nu,i,1\n"}, ("no column 'time'", "user, item, label")
    ),
    Broken("missing label", {"log.parquet": parquet(label=None, user=["u"])}, ("no column 'label'",)),
    Broken(
        "files whose columns differ",
        {"a.csv": GOOD, "b.csv": b"user,item,time\nu,i,1600000000\n"},
        ("b.csv", "no column 'label'", "a.csv has it"),
    ),
    Broken(
        "files of two formats whose columns differ",
        {"a.csv": GOOD, "b.parquet": parquet(user=None, usr=["u"])},
        ("b.parquet", "no column 'user'", "a.csv"),
    ),
    Broken(
        "feature without a table",
        {"log.csv": GOOD},
        ("features.item", "'brand'", "--items"),
        spec={"features": {"item": {"brand": {}}}},
    ),
    # ids
    Broken("null user", {"log.parquet": parquet(user=["u1", None])}, ("row 2", "'user'", "nothing")),
    Broken(
        "empty item in CSV",
        {"log.csv": csv("u,i,1600000000,1", "u,,1600000000,1")},
        ("line 3", "'item'", "nothing"),
    ),
    Broken("empty item in Parquet", {"log.parquet": parquet(item=["i", ""])}, ("row 2", "'item'", "nothing")),
    Broken(
        "float users",
        {"log.parquet": parquet(user=[1.0, 1.5])},
        ("row 2", "'user'", "1.5", "text or whole numbers"),
    ),
    Broken("float users in JSON", {"log.jsonl": _LINE.replace(b'"u1"', b"1.5")}, ("line 1", "'user'", "1.5")),
    Broken(
        "a fraction deep among JSON users",
        {"log.jsonl": _LINE.replace(b'"u1"', b"1") * 3 + _LINE.replace(b'"u1"', b"1.5")},
        ("line 4", "'user'", "1.5"),
    ),
    Broken(
        "a JSON integer beyond all floats",
        {"log.jsonl": _LINE.replace(b"1600000000", b"1" * 400) + _LINE.replace(b"1600000000", b"1.5")},
        ("log.jsonl",),
    ),
    Broken("a JSON integer of 9,000 digits", {"log.jsonl": _LINE.replace(b'"u1"', b"1" * 9000)}, ("line 1",)),
    Broken("boolean users", {"log.parquet": parquet(user=[True, False])}, ("'user'", "booleans")),
    Broken("lists of users", {"log.parquet": parquet(user=[["u"], ["v"]])}, ("'user'", "lists")),
    Broken("structs of users", {"log.parquet": parquet(user=[{"id": 1}])}, ("'user'", "user.id")),
    Broken("bytes of users", {"log.parquet": parquet(user=[b"u"])}, ("'user'", "binary")),
    Broken(
        "a users column of nulls", {"log.parquet": parquet(user=[None, None])}, ("row 1", "'user'", "nothing")
    ),
    # times
    Broken(
        "text for a time, deep in a file",
        {"log.csv": deep("time", "yesterday")},
        ("line 300002", "'time'", "'yesterday'"),
    ),
    Broken(
        "time missing", {"log.parquet": parquet(time=[1_600_000_000, None])}, ("row 2", "'time'", "nothing")
    ),
    Broken("time before 1970", {"log.parquet": parquet(time=[1_600_000_000, -5])}, ("row 2", "'time'", "-5")),
    Broken(
        "time after 2100",
        {"log.parquet": parquet(time=[1_600_000_000, 4_200_000_000])},
        ("row 2", "4200000000", "1970 to 2099"),
    ),
    Broken(
        "milliseconds among seconds",
        {"log.csv": csv("u,i,1600000000,1", "u,i,1600000000000,1")},
        ("line 3", "1600000000000", "milliseconds"),
    ),
    Broken(
        "seconds among milliseconds",
        {"log.parquet": parquet(time=[1_600_000_000_000, 1_600_000_000])},
        ("row 2", "1600000000", "seconds"),
    ),
    Broken(
        "milliseconds in one file, seconds in another",
        {"a.csv": GOOD, "b.parquet": parquet(time=[1_600_000_000_000])},
        ("a.csv", "b.parquet", "milliseconds", "seconds", "time_unit"),
    ),
    Broken(
        "typed times in one file, seconds in another",
        {"a.csv": GOOD, "b.csv": csv("u,i,2020-01-01,1")},
        ("a.csv", "b.csv", "seconds", "text or typed times"),
    ),
    Broken(
        "no day of the calendar",
        {"log.csv": csv("u,i,2020-02-30,1")},
        ("line 2", "2020-02-30", "expected a time as 2024-01-31"),
    ),
    Broken("hour 25", {"log.csv": csv("u,i,2020-02-03T25:00,1")}, ("line 2", "'2020-02-03T25:00'")),
    Broken("day before month", {"log.csv": csv("u,i,31.12.2020,1")}, ("line 2", "31.12.2020")),
    Broken("time of 30 digits", {"log.csv": csv(f"u,i,{10**29},1")}, ("line 2", "'time'")),
    Broken(
        "time of 30 digits in JSON",
        {"log.jsonl": _LINE.replace(b"1600000000", b"1" * 30)},
        ("line 1", "'time'"),
    ),
    Broken("time infinite", {"log.parquet": parquet(time=[1e9, float("inf")])}, ("row 2", "'time'", "inf")),
    Broken("time NaN", {"log.parquet": parquet(time=[float("nan"), 1e9])}, ("row 1", "'time'", "nan")),
    Broken("time of booleans", {"log.parquet": parquet(time=[True])}, ("'time'", "booleans")),
    Broken(
        "time_unit that is not so",
        {"log.csv": GOOD},
        ("line 2", "expected a time as 2024-01-31"),
        spec={"interactions": {"time_unit": "iso"}},
    ),
    Broken(
        "time_unit too large",
        {"log.csv": csv("u,i,1600000000000,1")},
        ("line 2", "seconds", "time_unit"),
        spec={"interactions": {"time_unit": "s"}},
    ),
    # labels
    Broken(
        "label 2",
        {"log.csv": csv("u,i,1600000000,1", "u,i,1600000000,2")},
        ("line 3", "'label'", "'2'", "0 or 1"),
    ),
    Broken("label 0.5", {"log.parquet": parquet(label=[1.0, 0.5])}, ("row 2", "'label'", "0.5")),
    Broken("label missing", {"log.parquet": parquet(label=[1, None])}, ("row 2", "'label'", "nothing")),
    Broken("label of text", {"log.csv": csv("u,i,1600000000,click")}, ("line 2", "'label'", "'click'")),
    Broken("label of lists", {"log.parquet": parquet(label=[[1]])}, ("'label'", "lists")),
    Broken("no positive", {"log.csv": csv("u,i,1600000000,0")}, ("log.csv", "no label is 1")),
    Broken("no interaction", {"log.csv": csv()}, ("log.csv", "no interaction")),
    Broken("no interaction in JSON lines", {"log.jsonl": b"\n\n"}, ("log.jsonl", "no interaction")),
    Broken(
        "no interaction in Parquet",
        {"log.parquet": parquet(user=pa.array([], pa.string()))},
        ("log.parquet", "no interaction"),
    ),
    # features
    Broken(
        "text for a number",
        {"log.parquet": parquet(dwell=["1", "two"])},
        ("row 2", "'dwell'", "'two'"),
        spec=_number(),
    ),
    Broken(
        "infinite number",
        {"log.parquet": parquet(dwell=[1.0, float("inf")])},
        ("row 2", "'dwell'", "finite"),
        spec=_number(),
    ),
    Broken(
        "number beyond float32",
        {"log.parquet": parquet(dwell=[1.0, 1e200])},
        ("row 2", "'dwell'", "1e+200"),
        spec=_number(),
    ),
    Broken(
        "lists for numbers", {"log.parquet": parquet(dwell=[[1.0]])}, ("'dwell'", "lists"), spec=_number()
    ),
    Broken(
        "lists for a category",
        {"log.parquet": parquet(tags=[["a"], ["b"]])},
        ("'tags'", "lists", "multi"),
        spec=_TEXT,
    ),
    Broken(
        "fractions for lists",
        {"log.parquet": parquet(tags=[1.0, 2.5])},
        ("row 2", "'tags'", "list of text"),
        spec=_MULTI,
    ),
    Broken(
        "lists of floats", {"log.parquet": parquet(tags=[[1.5]])}, ("'tags'", "list of text"), spec=_MULTI
    ),
    Broken(
        "fractions for a category",
        {"log.parquet": parquet(tags=[1.0, 1.5])},
        ("row 2", "'tags'", "1.5", "numeric"),
        spec=_TEXT,
    ),
    Broken(
        "a JSON list deep among text",
        {"log.jsonl": _LINE.replace(b"}", b', "tags": "a"}') * 3 + _LINE.replace(b"}", b', "tags": ["a"]}')},
        ("line 4", "'tags'", "['a']"),
        spec=_MULTI,
    ),
    Broken(
        "JSON lists of lists",
        {"log.jsonl": _LINE.replace(b"}", b', "tags": [["a"]]}')},
        ("line 1", "'tags'", "list of text"),
        spec=_MULTI,
    ),
    # items and users
    Broken(
        "users with duplicate keys",
        {"log.csv": GOOD, "users.csv": USERS + b"u1,50\n"},
        ("users.csv", "line 4", "'u1'", "line 2"),
        interactions=("log.csv",),
        users=("users.csv",),
    ),
    Broken(
        "users with duplicate keys in two files",
        {"log.csv": GOOD, "a.csv": USERS, "b.csv": USERS},
        ("b.csv", "line 2", "'u1'", "a.csv"),
        interactions=("log.csv",),
        users=("a.csv", "b.csv"),
    ),
    Broken(
        "users with a null key",
        {"log.csv": GOOD, "users.csv": USERS + b",50\n"},
        ("users.csv", "line 4", "'user'"),
        interactions=("log.csv",),
        users=("users.csv",),
    ),
    Broken(
        "users without their key",
        {"log.csv": GOOD, "users.csv": b"id,age\nu1,3\n"},
        ("users.csv", "no column 'user'", "id, age"),
        interactions=("log.csv",),
        users=("users.csv",),
    ),
    Broken(
        "users' number that is text",
        {"log.csv": GOOD, "users.csv": b"user,age\nu1,3\nu2,old\n"},
        ("users.csv", "line 3", "'age'", "'old'"),
        interactions=("log.csv",),
        users=("users.csv",),
        spec={"features": {"user": {"age": {"kind": "numeric"}}}},
    ),
    *(
        Broken(
            f"users' number that is {number}",
            {"log.csv": GOOD, "users.csv": b"user,age\nu1,3\nu2," + number.encode() + b"\n"},
            ("users.csv", "line 3", "'age'", number, "from -1e+30 to 1e+30, or null"),
            interactions=("log.csv",),
            users=("users.csv",),
            spec={"features": {"user": {"age": {"kind": "numeric"}}}},
        )
        for number in ("1.7976931348623157e308", "-1e300", "1e400", "inf", "-Infinity")
    ),
    Broken(
        "a number of Parquet that is infinite",
        {"log.parquet": parquet(dwell=[1.0, float("-inf")])},
        ("log.parquet", "row 2", "'dwell'", "-inf", "from -1e+30 to 1e+30"),
        spec=_number(),
    ),
    Broken(
        "a number of JSON beyond all floats",
        {"log.jsonl": _LINE.replace(b"}", b', "dwell": 1e400}')},
        ("log.jsonl", "line 1"),
        spec=_number(),
    ),
    # what is counted instead
    Broken(
        "repeated interactions",
        {"a.csv": GOOD, "b.csv": GOOD},
        counts={"repeated interactions (same user, item, time and impression)": 2},
    ),
    Broken(
        "a partition without rows",
        {
            "log/day=1/a.parquet": parquet(label=[1]),
            "log/day=2/a.parquet": parquet(label=pa.array([], pa.int8())),
        },
        counts={"files without rows": 1},
        interactions=("log",),
    ),
    Broken(
        "users and items that their tables lack",
        {"log.csv": GOOD, "users.csv": b"user,age\nu2,3\n", "items.csv": b"item\nother\n"},
        interactions=("log.csv",),
        users=("users.csv",),
        items=("items.csv",),
        counts={
            "users without a row in the users table (kept)": 1,
            "items without a row in the items table (kept)": 2,
        },
    ),
    Broken(
        "tables without rows",
        {"log.csv": GOOD, "users.csv": b"user\n"},
        interactions=("log.csv",),
        users=("users.csv",),
        counts={"users without a row in the users table (kept)": 2, "files without rows": 1},
    ),
    Broken(
        "splits of other names",
        {"log.csv": csv("u,i,1600000000,train", "u,j,1600000000,dev", header="user,item,time,split")},
        spec={"interactions": {"split": "split"}},
        counts={"interactions in no split (kept)": 1},
    ),
    # what is odd and fine
    Broken(
        "other separators, and UTF-16",
        {
            "a.csv": GOOD.replace(b",", b";"),
            "b.csv": "user|item|time|label\nu|i|1600000000|1\n".encode("utf-16"),
        },
        counts={
            "files with ';' between the columns (told by their first lines)": 1,
            "files with '|' between the columns (told by their first lines)": 1,
            "files with UTF-16 text (told by their first lines)": 1,
        },
    ),
    Broken(
        "text of two lines in quotes",
        {
            "log.csv": csv(
                'u,i,1600000000,1,"a\nb"',
                'v,i,1600000002,1,"""a"",\n\nb"',
                header="user,item,time,label,note",
            )
        },
        counts={"fields in quotes that run over lines (kept)": 2},
    ),
    Broken(
        "quotes within a line, and blank lines",
        {"log.csv": csv("", 'u,"i",1600000000,1', "", 'v"x",i,1600000002,1')},
    ),
    Broken(
        "byte order mark",
        {"log.csv": b"\xef\xbb\xbf" + GOOD, "log.jsonl": b"\xef\xbb\xbf" + _LINE},
        counts={"repeated interactions (same user, item, time and impression)": 1},
    ),
    Broken(
        "carriage returns",
        {"log.csv": GOOD.replace(b"\n", b"\r\n"), "log.jsonl": _LINE.replace(b"\n", b"\r\n")},
        counts={"repeated interactions (same user, item, time and impression)": 1},
    ),
]
