"""Lines for an operator: nobody waits for them, and nothing goes wrong with them."""

import threading

import pytest

from dien.serving.http import telling
from dien.serving.http.telling import FewLines, Telling


def test_all_lines_are_written_in_their_order_before_the_end() -> None:
    written = list[str]()
    found = Telling(written.append)
    for number in range(500):
        found.tell(str(number))
    found.close()
    assert written == [str(number) for number in range(500)]


def test_where_writing_hangs_nobody_waits_and_what_was_left_out_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telling, "MOST_WAITING", 3)
    monkeypatch.setattr(telling, "CLOSE_SECONDS", 0.01)
    written, begun, go_on = list[str](), threading.Event(), threading.Event()

    def write(line: str) -> None:
        begun.set()
        assert go_on.wait(30)
        written.append(line)

    found = Telling(write)
    found.tell("0")
    assert begun.wait(30)
    for number in range(1, 10):
        found.tell(str(number))
    found.close()  # it gives up
    assert written == []
    monkeypatch.setattr(telling, "CLOSE_SECONDS", 30)
    go_on.set()
    found.close()
    assert written == ["0", "1", "2", "3", "and 6 more"]


def test_the_next_line_says_how_many_found_no_room() -> None:
    written, begun, go_on = list[str](), threading.Event(), threading.Event()

    def write(line: str) -> None:
        begun.set()
        assert go_on.wait(30)
        written.append(line)
        if len(written) == telling.MOST_WAITING + 1:
            all_are.set()

    all_are = threading.Event()
    found = Telling(write)
    found.tell("0")
    assert begun.wait(30)
    for number in range(1, telling.MOST_WAITING + 8):
        found.tell(str(number))
    go_on.set()
    assert all_are.wait(30)
    found.tell("next")
    found.close()
    assert written[-2:] == [str(telling.MOST_WAITING), "next; and 7 more"]


def test_a_write_that_fails_loses_its_line_alone() -> None:
    written = list[str]()

    def write(line: str) -> None:
        if line == "1":
            raise OSError(28, "No space left on device")
        written.append(line)

    found = Telling(write)
    for number in range(3):
        found.tell(str(number))
    found.close()
    assert written == ["0", "2"]


def test_ten_lines_a_second_are_told_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now, told = [100.0], list[str]()
    monkeypatch.setattr(telling, "monotonic", lambda: now[0])
    few = FewLines(told.append)
    for number in range(25):
        few.tell(str(number))
    assert told == [str(number) for number in range(10)]
    now[0] += 1
    for number in range(25, 37):
        few.tell(str(number))
    assert told[10:] == ["25; and 15 more", *(str(number) for number in range(26, 35))]
    few.close()
    few.close()
    assert told[20:] == ["and 2 more"]
