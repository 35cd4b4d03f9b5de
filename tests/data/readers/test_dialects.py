"""Text as people write it: any separator, encoding and packing gives the rows of the plain file."""

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.readers import streams
from dien.data.readers.files import find, table_file
from dien.data.readers.first_lines import looks_like_data
from dien.data.readers.reader import Reader, open_table
from dien.data.readers.streams import open_text
from dien.data.readers.text_format import Dialect, TextFormat
from dien.data.sources.table import TableSpec
from dien.data.sources.table import read as table_read
from dien.errors import DataError

ROWS = [
    ["user", "item", "time", "note"],
    *([f"u{k}", f"i{k % 3}", str(1_700_000_000 + k), "é x"] for k in range(9)),
]


def written(rows: list[list[str]], separator: str, encoding: str = "utf-8") -> bytes:
    if len(separator) > 1:
        return "".join(separator.join(row) + "\n" for row in rows).encode(encoding)
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(rows)
    return text.getvalue().encode(encoding)


def packed(content: bytes, how: str) -> bytes:
    if how == ".zip":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data/log.csv", content)
            archive.writestr("__MACOSX/log.csv", b"x")
        return file.getvalue()
    if how == ".zst":
        return bytes(pa.compress(content, codec="zstd", asbytes=True))
    return {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}[how](content)


def read(path: Path, text: TextFormat | None = None) -> tuple[pl.DataFrame, Reader]:
    reader = open_table(table_file(path, path.parent, text or TextFormat()))
    names = reader.columns()
    return pl.concat(list(reader.chunks(names))), reader


@settings(max_examples=60)
@given(
    cells=st.lists(st.tuples(*[st.text("abé ;,|\t\"'1", max_size=4)] * 2), min_size=1, max_size=8),
    separator=st.sampled_from([",", ";", "|", "\t", "::", "\x01"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]),
    how=st.sampled_from(["", ".gz", ".bz2", ".zst", ".zip"]),
    block=st.sampled_from([3, 64, 1 << 20]),
)
def test_a_file_gives_its_rows_however_it_is_written(
    cells: list[tuple[str, str]],
    separator: str,
    encoding: str,
    how: str,
    block: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rows = [["user", "note", "time"], *([f"u{a}", b, str(k)] for k, (a, b) in enumerate(cells))]
    if separator == "::":  # which no quotes can hold
        rows = [[cell.replace('"', "") for cell in row] for row in rows]
    path = tmp_path_factory.mktemp("dialects") / f"log.csv{how}"
    path.write_bytes(packed(written(rows, separator, encoding), how))
    said = TextFormat(separator=separator, encoding=None if encoding in ("utf-8", "utf-16") else encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_BUFFER", block)
        found, _ = read(path, said)
    assert found.columns == rows[0]
    assert [list(row) for row in found.fill_null("").rows()] == rows[1:]


@pytest.mark.parametrize("separator", [",", ";", "|", "\t", "::", "\x01"])
@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.dat", "part-00000", "u.data", "log.txt.gz"])
def test_what_is_between_the_columns_is_told_by_the_first_lines(
    name: str, separator: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(packed(written(ROWS, separator), ".gz" if name.endswith(".gz") else ""))
    found, reader = read(path)
    assert [found.columns, *map(list, found.rows())] == ROWS
    usual = {".csv": ",", ".tsv": "\t"}.get(path.suffix)
    assert bool(reader.told()) == (separator != usual)
    assert list(reader.kept.values()) == [1] * len(reader.told())


def test_a_table_of_one_column_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("item\na b\nc;d\ne|f\n")
    assert read(path)[0].rows() == [("a b",), ("c;d",), ("e|f",)]


def test_a_backslash_before_a_quote_is_told_and_a_backslash_elsewhere_stays(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('user,title\n1,"the \\"J. Peterman, Inc\\" x"\n2,"C:\\\\"\n\\N,plain\\\\n\n')
    found, reader = read(path)
    assert found["title"].to_list() == ['the "J. Peterman, Inc" x', "C:\\", "plain\\\\n"]
    assert found["user"].to_list()[2] == "\\N"
    assert any("quote" in what for what in reader.kept)
    path.write_text('user,title\n1,"C:\\"\n2,"a ""b"""\n')
    assert read(path)[0]["title"].to_list() == ["C:\\", 'a "b"']


def test_a_backslash_before_a_quote_that_comes_late_is_read_where_the_schema_says_so(tmp_path: Path) -> None:
    path = tmp_path / "books.csv"
    plain = "".join(f'"{k}";"Book {k}"\n' for k in range(200))
    path.write_text('"isbn";"title"\n' + plain + '"X";"The \\"Best\\" &amp; more"\n')
    with pytest.raises(DataError, match=r"line 202: 3 fields, expected 2 .*; if .* say quote: escaped"):
        read(path)
    found, _ = read(path, TextFormat(quoted=True, escaped=True))
    assert found.row(-1) == ("X", 'The "Best" &amp; more')


@settings(max_examples=100)
@given(
    rows=st.lists(st.tuples(st.text("ab\\N", max_size=3), *[st.text('a\\",\n', max_size=5)] * 2), min_size=1),
    block=st.sampled_from([1, 2, 7, 1 << 20]),
)
def test_backslashes_before_quotes_are_of_quoted_fields_alone_whatever_blocks_they_come_in(
    rows: list[tuple[str, str, str]], block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def quoted(cell: str) -> str:
        return '"' + cell.replace("\\", "\\\\").replace('"', '\\"') + '"'

    path = tmp_path_factory.mktemp("escaped") / "log.csv"
    lines = [f"{plain},{quoted(one)},{quoted(two)}\n" for plain, one, two in rows]
    path.write_text("".join(lines), newline="")
    with pytest.MonkeyPatch.context() as patch, open_text(path, Dialect(escaped=True)) as stream:
        patch.setattr(streams, "_BUFFER", block)
        text = stream.read().decode()
    assert [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))] == rows


HEADERLESS = (
    [["1", "10", "4000000", "pv", "1700001221"], ["1", "2", "4000002", "pv", "1700007537"]],
    [["N55528", "lifestyle", "The Brands"], ["N19639", "health", "50 Worst"]],
    [["user_000001", "2009-05-04T23:08:57Z", "a"], ["user_000001", "2009-05-04T13:54:10Z", "b"]],
    [["a", "10.5"], ["b", "7"]],
    [["1", "M", "1"]],
)
HEADERS = (
    [["user", "item", "time"], ["1", "2", "1700001221"]],
    [["item", "0", "1", "2"], ["a", "0.5", "1.5", "0"]],
    [["0", "1", "2"], ["5", "6", "7"]],
    [["", "user", "0"], ["0", "u1", "3"]],
    [["user", "item2", "x_10"], ["u10", "i2", "0.5"]],
    [["user", "item"]],
    [],
)


@pytest.mark.parametrize("rows", HEADERLESS)
def test_a_first_line_of_data_is_no_header(rows: list[list[str]]) -> None:
    assert looks_like_data(rows)


@pytest.mark.parametrize("rows", HEADERS)
def test_a_first_line_of_names_is_a_header(rows: list[list[str]]) -> None:
    assert not looks_like_data(rows)


def test_the_names_of_columns_are_given_where_there_is_no_header_and_no_row_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('1,"10",pv\n1,"2\n3",pv\n1,8,pv\n')
    with pytest.raises(DataError, match="looks like data") as refused:
        read(path)
    assert "--columns" in str(refused.value)
    with pytest.raises(DataError, match="looks like data"):
        list(open_table(find([path])[0]).chunks(["10"]))
    named = TextFormat(columns=("user", "item", "action"))
    found, reader = read(path, named)
    assert found.rows() == [("1", "10", "pv"), ("1", "2\n3", "pv"), ("1", "8", "pv")]
    assert [reader.place(row) for row in range(3)] == ["line 1", "line 2", "line 4"]
    with pytest.raises(DataError, match="3 fields with ',' between; expected 2"):
        read(path, TextFormat(columns=("user", "item")))
    with pytest.raises(DataError, match="is a header"):
        read(path, TextFormat(columns=("1", "10", "pv")))
    path.write_text("1,2,3\n1,2\n")
    with pytest.raises(DataError, match="line 2: 2 fields, expected 3 as columns names"):
        read(path, named)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("gbk", "gbk"), ("big5", "big5"), ("latin-1", "latin-1"), ("shift_jis", "shift_jis")],
)
def test_text_of_another_encoding_is_refused_with_its_line_and_the_likely_ones(
    encoding: str, said: str, tmp_path: Path
) -> None:
    word = {"latin-1": "García Márquez", "shift_jis": "カタカナ"}.get(encoding, "中文")
    path = tmp_path / "log.csv"
    path.write_bytes(f"user,note\na,b\nc,{word}\n".encode(encoding))
    with pytest.raises(DataError, match="line 3: not UTF-8") as refused:
        read(path)
    assert said in str(refused.value)
    assert "--encoding" in str(refused.value)
    assert read(path, TextFormat(encoding=encoding))[0].rows() == [("a", "b"), ("c", word)]
    path.write_bytes(b"user,note\na,b\nc,\x81\n")
    with pytest.raises(DataError, match="line 3: not BIG5"):
        read(path, TextFormat(encoding="big5"))


@pytest.mark.parametrize(
    ("encoding", "bad"),
    [("utf-16-le", b"\0\xdc"), ("utf-16-be", b"\xdc\0"), ("utf-16", b"\0\xdc"), ("gbk", b"\xff\xff")],
)
@pytest.mark.parametrize("line", [2, 40_000])
def test_bytes_of_another_encoding_are_refused_with_their_line_wherever_they_are(
    encoding: str, bad: bytes, line: int, tmp_path: Path
) -> None:
    for name, first, one in (("x.csv", "user,item\n", "u,中\n"), ("x.jsonl", "\n", '{"user": "u"}\n')):
        text = (first + one * (line - 2)).encode(encoding)
        plain = {"utf-16": "utf-16-le"}.get(encoding, encoding)
        path = tmp_path / name
        path.write_bytes(text + bad + (one * 3).encode(plain))
        with pytest.raises(DataError, match=f"line {line}: ") as refused:
            read(path, TextFormat(encoding=encoding))
        assert str(path) in str(refused.value)


@pytest.mark.parametrize("name", ["undefined", "idna", "hex", "nonsense", "a\0b"])
def test_what_no_text_is_read_with_is_no_encoding(name: str) -> None:
    with pytest.raises(ValueError, match="expected one of Python"):
        TextFormat(encoding=name)


def test_json_lines_and_parquet_are_told_by_their_content(tmp_path: Path) -> None:
    for name in ("log.json", "part-00000-a-c000.json", "train", "log.txt"):
        (tmp_path / name).write_text('{"user": 1}\n{"user": 2}\n')
        found, reader = read(tmp_path / name)
        assert found["user"].to_list() == [1, 2]
        assert bool(reader.kept) == ("json" not in name)
    pl.DataFrame({"user": [1]}).write_parquet(tmp_path / "part-00000")
    assert read(tmp_path / "part-00000")[0]["user"].to_list() == [1]


def test_any_name_is_read_as_the_format_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.2024"
    path.write_text("user\titem\na\tb\n")
    with pytest.raises(DataError, match=r"unknown kind of file.*format: csv"):
        read(path)
    for kind in ("csv", "tsv"):
        assert read(path, TextFormat(format=kind))[0].rows() == [("a", "b")]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "said", "key"),
    [
        ("log.parquet", TextFormat(columns=("user",)), "columns is not for Parquet"),
        ("log.parquet", TextFormat(encoding="gbk"), "encoding is not for Parquet"),
        ("log.jsonl", TextFormat(separator=";"), "separator is not for JSON lines"),
        ("log.inter", TextFormat(quoted=False), "quote is not for an atomic file"),
    ],
)
def test_what_a_format_does_not_have_is_refused(
    name: str, said: TextFormat, key: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=key):
        table_file(tmp_path / name, tmp_path, said)


@pytest.mark.parametrize("how", [".gz", ".bz2", ".zst", ".zip"])
def test_a_packed_file_that_is_cut_off_anywhere_is_refused(how: str, tmp_path: Path) -> None:
    whole = packed(written([["user", "item"], *([str(k * k * k), str(k)] for k in range(9000))], ","), how)
    path = tmp_path / f"log.csv{how}"
    for share in (0.1, 0.5, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DataError, match=r"log\.csv"):
            read(path)


def test_an_archive_of_several_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "user\n1\n")
        archive.writestr("b.csv", "user\n1\n")
    with pytest.raises(DataError, match=r"2 files \(a.csv, b.csv"):
        read(path)


def test_quotes_are_text_where_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    rows = [str(k) + ('\t"song' if k in (3, 6) else "\tsong") for k in range(9)]
    path.write_text("user\ttitle\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match="line 5: a quote opens"):
        read(path)
    found, _ = read(path, TextFormat(quoted=False))
    assert found.height == 9
    assert found["title"][3] == '"song'


def test_text_of_utf_16_without_a_mark_is_read_where_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes("user;item\n1;2\n".encode("utf-16-le"))
    assert read(path, TextFormat(encoding="utf-16-le"))[0].rows() == [("1", "2")]
    with pytest.raises(DataError, match="unknown kind of file"):
        read(path)


def test_a_separator_that_stands_in_most_names_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user;price,eur;time\n1;2,5;1700000000\n")
    with pytest.raises(DataError, match=r"if ';' is between the columns.*--separator"):
        table_read([path], None, None, TableSpec())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("log.xlsx", b"PK\3\4", r"an Excel workbook.*read_excel\('log.xlsx'\).to_csv\('log.csv'"),
        ("log.csv.xz", lzma.compress(b"user\n1\n"), "packed by xz.*: xz -dk log.csv.xz$"),
        ("log.csv", lzma.compress(b"user\n1\n"), "packed by xz.*: xz -dk log.csv$"),
        ("my log.tar.gz", gzip.compress(b"x", mtime=0), "an archive of files.*: tar -xf 'my log.tar.gz'$"),
        ("log.feather", b"ARROW1", r"read_ipc\('log.feather'\).write_parquet\('log.parquet'\)"),
    ],
)
def test_a_kind_of_file_that_is_not_read_is_refused_with_the_line_that_converts_it(
    name: str, content: bytes, says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: .*{says}"):
        read(tmp_path / name)


def test_a_workbook_by_another_name_is_refused_as_what_it_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.csv", "w") as archive:
        archive.writestr("[Content_Types].xml", "x")
        archive.writestr("xl/workbook.xml", "x")
    with pytest.raises(DataError, match="an Excel workbook, which is not read"):
        read(tmp_path / "log.csv")


def test_a_line_for_excel_is_no_header(tmp_path: Path) -> None:
    for separator in ",", ";", "\t":
        (tmp_path / "log.csv").write_text(f"sep={separator}\nuser{separator}item\n1{separator}2\n")
        with pytest.raises(DataError, match=r"line 1: 'sep=.*' is for Excel, and no header; take it out"):
            read(tmp_path / "log.csv")


def test_json_lines_of_utf_16_are_told_by_their_mark(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes('{"user": "é"}\n{"user": "中"}\n'.encode("utf-16"))
    found, reader = read(path)
    assert found["user"].to_list() == ["é", "中"]
    assert reader.kept == {"files with UTF-16 text (told by their first lines)": 1}
