"""Which column of a file is which field: by the names of the fields or, of pairs, by those of the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from pathlib import Path

from dien.data.log_form import LogForm
from dien.data.readers.files import TableFile, table_file
from dien.data.readers.messages import no_column
from dien.data.readers.reader import open_table
from dien.data.readers.streams import is_utf8
from dien.data.readers.text_format import TextFormat
from dien.errors import DataError
from dien.serving.features import Field

Columns = dict[str, tuple[str, ...]]
"""Field -> its column, or several that are joined to a time; a field that the file lacks is not in it."""


@dataclass(frozen=True)
class Found:
    """A file of requests or pairs, and what is where in it.

    Attributes:
        file: as it is read.
        names: of its columns; of JSON lines the keys of the first lines.
        columns: of the fields.
        as_in_log: what was not said, and is as in the log, for people: a field and its column, a key of the
            text and its value.
    """

    file: TableFile
    names: tuple[str, ...]
    columns: Columns
    as_in_log: dict[str, str]


def find_columns(path: Path, fields: Sequence[Field], said: TextFormat, log: LogForm | None) -> Found:
    """Look at a file, and find the columns of the fields.

    A file with the users and the items under the names of the log is one that was cut from it: its columns
    mean what they mean there. In others the names of the fields go first. Text is read as that of the log
    where the columns are found so, else by what it tells itself; a file that is UTF-8 is read as that.

    Args:
        path: the file.
        fields: what to look for.
        said: how its text is written, as far as it is said.
        log: how the log is written; None where only the names of the fields count.

    Raises:
        DataError: the file cannot be read, or a column could be two fields.
    """
    opened: Found | None = None
    no_header = False
    for text in _texts(path, said, log):
        if text.columns is not None and said.columns is None and not no_header:
            continue
        try:
            file = table_file(path, path.parent, text)
            if file.format == "atomic" and log is None:
                expected = "requests as .parquet, .jsonl or .csv"
                raise DataError(f"{path}: an atomic file; expected {expected}; convert it")
            reader = open_table(file)
            names = tuple(reader.columns())
            no_header = no_header or bool(reader.doubt())
        except DataError:
            if text == said and opened is None:
                raise
            no_header = True
            continue
        columns = _columns_of(path, names, fields, log)
        found = Found(file, names, columns, _as_in_log(columns, text, said))
        if all(field.name in columns for field in fields if field.required):
            return found
        opened = opened or found
    assert opened is not None  # else the last way has raised
    return opened


def _as_in_log(columns: Columns, text: TextFormat, said: TextFormat) -> dict[str, str]:
    found = {name: " + ".join(of) for name, of in columns.items() if of != (name,)}
    for key in (one.name for one in fields_of(TextFormat)):
        if (value := getattr(text, key)) != getattr(said, key):
            found[key] = ", ".join(value) if isinstance(value, tuple) else str(value)
    return found


def lacks(found: Found, field: Field, log: LogForm | None) -> DataError:
    """Make the error for a required field that a file lacks."""
    mend = f"every row has it ({field.expected}): rename a column, or add it"
    if log is not None and log.columns.get(field.name, (field.name,)) != (field.name,):
        mend += f"; its name may also be that of the log, {' + '.join(log.columns[field.name])!r}"
    return no_column(found.file.path, field.name, found.names, mend)


def _texts(path: Path, said: TextFormat, log: LogForm | None) -> Iterator[TextFormat]:
    """Give the ways in which text may be written: as in the log, so without a header, as it tells itself."""
    if log is not None and log.text.said != TextFormat():
        of_log = log.text.said
        keys = [key.name for key in fields_of(TextFormat) if getattr(said, key.name) == key.default]
        both = replace(said, **{key: getattr(of_log, key) for key in keys})
        if both.encoding != said.encoding and is_utf8(path):  # text of another encoding hardly ever is
            both = replace(both, encoding=said.encoding)
        yield replace(both, columns=said.columns)
        if both.columns != said.columns:
            yield both
    yield said


def _columns_of(path: Path, names: Sequence[str], fields: Sequence[Field], log: LogForm | None) -> Columns:
    """Find the columns of the fields among those of a file.

    Raises:
        DataError: a column is another field by the log than by its name, or a part of a time is missing.
    """
    there = set(names)
    of_log: Columns = {}
    if log is not None:
        of_log = {field.name: log.columns[field.name] for field in fields if field.name in log.columns}
    cut = all(there.issuperset(of_log.get(field.name, ("",))) for field in fields if field.required)
    meant = {column: name for name, of in of_log.items() for column in of} if cut else {}
    columns: Columns = {}
    for field in fields:
        name, theirs = field.name, of_log.get(field.name, ())
        is_there = bool(theirs) and there.issuperset(theirs)
        if cut and is_there:
            columns[name] = theirs
        elif cut and theirs and there.intersection(theirs):
            missing = next(column for column in theirs if column not in there)
            mend = f"the {name} is joined of {' and '.join(theirs)}, as in the log; add it, or leave out all"
            raise no_column(path, missing, names, mend)
        elif name in there and meant.get(name, name) == name:
            columns[name] = (name,)
        elif name in there and theirs:
            raise DataError(
                f"{path}: column {name!r}: in the log it is the feature {meant[name]}, and the {name} is "
                f"{' + '.join(theirs)!r}, which is not there; rename the column to say which of both it is"
            )
        elif is_there and not {field.name for field in fields}.intersection(theirs):
            columns[name] = theirs
    return columns
