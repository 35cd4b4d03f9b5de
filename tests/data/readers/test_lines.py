import gzip
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dien.data.readers.lines import BadLines, LineFile
from dien.data.readers.source_file import SourceFile, source_file
from dien.errors import DataError

LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")))


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/file.txt", content)
        archive.writestr("__MACOSX/after.txt", b"x" * 99)
    return file.getvalue()


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, pack=st.sampled_from([bytes, gzip.compress, zipped]))
def test_every_line_that_is_not_blank_comes_with_its_number_whether_packed_or_plain(
    tmp_path: Path, lines: list[bytes], pack: Callable[[bytes], bytes]
):
    text = b"\n".join([b"first", *lines])
    path = tmp_path / "file.txt"  # the name says nothing of how it is packed
    path.write_bytes(pack(text))
    blocks: list[int] = []

    file = LineFile(path, blocks.append)
    read = [(number, line.rstrip(b"\n")) for number, line in file]

    expected = [(n, line) for n, line in enumerate([b"first", *lines], 1) if line and not line.isspace()]
    assert read == expected
    size = path.stat().st_size
    assert file.source() == SourceFile("file.txt", hashlib.sha256(path.read_bytes()).hexdigest(), size)
    assert file.source() == source_file(path)
    assert sum(blocks) == size


def test_a_gzip_file_cut_anywhere_is_called_truncated(tmp_path: Path):
    whole = gzip.compress(b"one\ntwo\nthree\n")
    path = tmp_path / "file.gz"
    for length in range(2, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"file\.gz: the compressed file is truncated or damaged"):
            list(LineFile(path))


@pytest.mark.parametrize("byte", [10, -6], ids=["of its content", "of its checksum"])
def test_a_gzip_file_with_a_wrong_byte_is_called_damaged(tmp_path: Path, byte: int):
    whole = bytearray(gzip.compress(b"one\ntwo\n"))
    whole[byte] ^= 0xFF
    path = tmp_path / "file.gz"
    path.write_bytes(whole)
    with pytest.raises(DataError, match="damaged after line"):
        list(LineFile(path))


def test_what_is_no_readable_file_is_refused_before_reading(tmp_path: Path):
    empty = tmp_path / "empty"
    empty.touch()
    for path, reason in ((tmp_path / "absent", "No such file"), (tmp_path, "directory"), (empty, "is empty")):
        with pytest.raises(DataError, match=reason) as error:
            LineFile(path)
        assert str(path) in str(error.value)


@given(allowed=st.integers(0, 5))
def test_one_bad_line_more_than_allowed_raises(allowed: int):
    bad = BadLines(allowed)
    for number in range(1, allowed + 1):
        bad.add(Path("f"), number, "broken", "order")
    with pytest.raises(DataError, match=f"f: line {allowed + 1}: broken.*expected order"):
        bad.add(Path("f"), allowed + 1, "broken", "order")
