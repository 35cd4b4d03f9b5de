import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dien.data.readers.csv_quotes import StrayQuoteError, fields_over_lines
from dien.data.readers.files import find
from dien.data.readers.reader import open_table
from dien.errors import DataError

_WORDS = st.text("abc xyz.é", max_size=5)
_TEXTS = st.lists(_WORDS, min_size=1, max_size=4).map("\n".join)


def rows_of(path: Path, columns: list[str]) -> int:
    return sum(frame.height for frame in open_table(find([path])[0]).chunks(columns))


@settings(max_examples=100)
@given(
    words=st.lists(_WORDS, min_size=2, max_size=12),
    quotes=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 3), st.booleans()), max_size=4),
    note=st.integers(0, 3),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_rows_never_vanish_whatever_quotes_stand_before_or_after_a_value(
    words: list[str],
    quotes: list[tuple[int, int, bool]],
    note: int,
    end: str,
    tmp_path_factory,
) -> None:
    rows = [[f"u{k % 3}", f"i{k}", str(1_700_000_000 + k)] for k in range(len(words))]
    for row, word in zip(rows, words, strict=True):
        row.insert(note, word)
    header = ["user", "item", "time"]
    header.insert(note, "note")
    for row, column, before in quotes:
        cells = rows[row % len(rows)]
        cells[column] = f'"{cells[column]}' if before else f'{cells[column]}"'
    path = tmp_path_factory.mktemp("quotes") / "log.csv"
    path.write_text(end.join(map(",".join, [header, *rows])) + end, newline="")
    try:
        assert rows_of(path, ["user"]) == len(rows)
    except DataError as error:
        assert quotes
        assert "line " in str(error)  # noqa: PT017


@settings(max_examples=50)
@given(
    rows=st.lists(st.tuples(_WORDS, _TEXTS, st.integers()), max_size=9),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_text_of_several_lines_is_read_whole_and_counted(rows, quoting, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("text") / "items.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, quoting=quoting).writerows([("item", "text", "price"), *rows])
    reader = open_table(find([path])[0])
    frames = list(reader.chunks(["item", "text", "price"]))
    found = [row for frame in frames for row in frame.rows()]
    assert found == [(a or None, b or None, str(c)) for a, b, c in rows]
    over = sum("\n" in text for _, text, _ in rows)
    assert reader.kept == ({"fields in quotes that run over lines (kept)": over} if over else {})


def test_the_line_where_the_quote_opens_is_named_however_late_it_is() -> None:
    lines = ["user,item,time,note\n"] + [f"u,i{k},{1_700_000_000 + k},n\n" for k in range(1000)]
    lines[900] = lines[900].replace("n\n", '"n\n')
    lines[907] = lines[907].replace("n\n", 'n"\n')
    with pytest.raises(StrayQuoteError) as error:
        fields_over_lines(io.StringIO("".join(lines)), ",")
    assert error.value.line == 901
