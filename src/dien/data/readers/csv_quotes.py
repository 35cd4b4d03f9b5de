"""Fields in quotes that run over lines of a CSV file: text with line ends, or rows that a stray quote hid.

A quote that was meant as text opens a field, which takes in everything up to the next quote: rows vanish.
What it took in gives it away. Without the quote its lines are rows of the file, with as many columns each and
numbers where the rows have numbers. Where no column holds numbers, the columns alone decide, unless other
fields of the file run over lines too and are no rows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

_ROWS_LOOKED_AT = 200  # to learn which columns hold numbers
_NUMBER = re.compile(r"[\d\s.,:TZeE+/-]*\d[\d\s.,:TZeE+/-]*")  # or a time
_TEXT = "where quotes are text, say quote: none in the schema"
_MEND = f'remove or close it; a quote inside of quotes is written as ""; {_TEXT}'


class StrayQuoteError(Exception):
    """A quote that hides rows; the message says what is wrong and how to mend it.

    Args:
        line: where it opens, from 1.
        problem: what is wrong.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def fields_over_lines(lines: Iterable[str], separator: str) -> int:
    """Count the fields that run over lines, and find a quote that hides rows.

    Args:
        lines: of the file, with their ends.
        separator: between the fields.

    Raises:
        StrayQuoteError: a quote hides rows, is never closed, or stands inside a field that runs over lines.
        csv.Error: a field is longer than the reader takes.
    """
    taken: list[str] = []
    rows = csv.reader(_kept(lines, taken), delimiter=separator)
    numbers = _NumberColumns()
    suspects: list[_Suspect] = []  # found before enough rows were looked at
    count = width = looked_at = 0
    begin = 1
    for fields in rows:
        line, own = begin, taken.copy()
        begin = rows.line_num + 1
        taken.clear()
        if not fields:
            continue
        header, width = not width, width or len(fields)
        if len(fields) != width:
            continue  # which the reader of the table refuses
        if not header and looked_at < _ROWS_LOOKED_AT:
            looked_at += 1
            numbers.add(fields)
        if len(own) == 1:
            continue
        _expect_closed(line, own, separator)
        if separator == "\t":
            raise StrayQuoteError(
                line,
                f"a quote opens a field that runs over {len(own)} lines; with tabs between the columns it "
                f"is a stray quote: {_MEND}, or convert the file to CSV, JSON lines or Parquet",
            )
        count += 1
        bare = [text.rstrip("\r\n") for text in own]
        cuts = ([_cut(text, separator) for text in bare], [_cut_plainly(text, separator) for text in bare])
        as_rows = next((cut for cut in cuts if all(len(row) == width for row in cut)), None)
        if as_rows is None:
            continue
        suspect = _Suspect(line, fields, as_rows)
        if header:
            raise suspect.hides_rows()
        if looked_at < _ROWS_LOOKED_AT:
            suspects.append(suspect)
        elif numbers.tell(suspect):
            raise suspect.hides_rows()
    for suspect in suspects:
        if numbers.tell(suspect) or (not numbers.any() and len(suspects) == count):
            raise suspect.hides_rows()
    return count


@dataclass(frozen=True)
class _Suspect:
    """A row with a field that runs over lines.

    Attributes:
        line: where it begins.
        fields: of the row.
        rows: the fields of each of its lines, where quotes that do not close on it, or all, are text.
    """

    line: int
    fields: list[str]
    rows: list[list[str]]

    def foreign(self, columns: Collection[int]) -> Iterator[str]:
        """Give what its lines hold in some columns, but for what is the row's own if it is one row."""
        over = [column for column, value in enumerate(self.fields) if "\n" in value or "\r" in value]
        first, last = min(over, default=0), max(over, default=0)
        for number, row in enumerate(self.rows):
            for column in columns:
                own = (number == 0 and column < first) or (number == len(self.rows) - 1 and column > last)
                if not own:
                    yield row[column]

    def hides_rows(self) -> StrayQuoteError:
        return StrayQuoteError(
            self.line,
            f"a quote opens a field that takes in {len(self.rows)} lines, which are rows of the file "
            f"without it; {_MEND}; if the field is meant to hold them, take the line ends out of it, or "
            "convert the file to JSON lines or Parquet",
        )


def _kept(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _expect_closed(line: int, own: list[str], separator: str) -> None:
    try:
        for _ in csv.reader(own, delimiter=separator, strict=True):
            pass
    except csv.Error as error:
        if "end of data" in str(error):
            raise StrayQuoteError(line, f"a quote opens and is never closed; {_MEND}") from error
        raise StrayQuoteError(
            line, f"a quote opens a field that runs over {len(own)} lines with another quote in it; {_MEND}"
        ) from error


def _cut(line: str, separator: str) -> list[str]:
    """Cut a line into fields; a quote that does not close on the line is text."""
    quoted = re.compile(rf'"(?:[^"]|"")*"(?={re.escape(separator)}|$)')
    found: list[str] = []
    place = 0
    while True:
        match = quoted.match(line, place)
        end = match.end() if match else line.find(separator, place)
        if end < 0 or end == len(line):
            return [*found, line[place:].strip('"')]
        found.append(line[place:end].strip('"'))
        place = end + 1


def _cut_plainly(line: str, separator: str) -> list[str]:
    """Cut a line into fields where every quote is text."""
    return [field.strip('"') for field in line.split(separator)]


class _NumberColumns:
    """Which columns of a file hold numbers or times."""

    def __init__(self) -> None:
        self._text: set[int] = set()
        self._number: set[int] = set()

    def add(self, row: list[str]) -> None:
        for column, value in enumerate(row):
            if value.strip() and "\n" not in value and "\r" not in value:
                (self._number if _NUMBER.fullmatch(value) else self._text).add(column)

    def any(self) -> bool:
        return bool(self._number - self._text)

    def tell(self, suspect: _Suspect) -> bool:
        """Whether its lines hold numbers in these columns: half of them at least."""
        values = [value for value in suspect.foreign(self._number - self._text) if value]
        return 0 < len(values) <= 2 * sum(bool(_NUMBER.fullmatch(value)) for value in values)
