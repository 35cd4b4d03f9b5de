"""Servers to measure: those of this machine alone."""

from pathlib import Path

import pytest

from dien.bench.load import Target, running, started
from dien.errors import ConfigError, DienError
from tests.bench.load.answering import answer, answering


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("http://localhost:81/", ("127.0.0.1", 81)),
        ("http://[::1]:8000", ("::1", 8000)),
        ("http://127.3.2.1", ("127.3.2.1", 80)),
    ],
)
def test_an_address_of_this_machine_is_taken(url: str, address: tuple[str, int]) -> None:
    assert running(url).address == address


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://10.0.0.1:8000", "of this machine alone"),
        ("http://example.org", "of this machine alone"),
        ("http://0.0.0.0:8000", "of this machine alone"),
        ("https://127.0.0.1:8000", "expected an address as"),
        ("127.0.0.1:8000", "expected an address as"),
        ("http://127.0.0.1:port", "expected an address as"),
    ],
)
def test_another_address_is_refused_before_anything_is_sent(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        running(url)


def test_memory_and_processor_time_are_read_where_the_server_tells_them() -> None:
    page = b"# TYPE x gauge\nprocess_resident_memory_bytes 2.5e+08\nprocess_cpu_seconds_total 1.25\n"
    with answering(lambda request: answer(body=page)) as address:
        found = Target(*address).usage()
    assert (found.megabytes, found.cpu) == (250, 1.25)
    with answering(lambda request: answer(body=b"dien_queue_steps 0\n")) as address:
        found = Target(*address).usage()
    assert (found.megabytes, found.cpu) == (None, None)


def test_a_server_that_does_not_answer_or_does_not_start_is_an_error_with_what_to_look_at(
    tmp_path: Path,
) -> None:
    with answering(lambda request: None) as address, pytest.raises(DienError, match="is dien serve running"):
        Target(*address).usage()
    with pytest.raises(DienError, match="ended with exit code 1"), started(tmp_path / "none", 1):
        pass
