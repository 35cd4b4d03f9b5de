"""The record of a user: small, and refused where it is another's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien.errors import StoreError
from dien.serving.store import Behaviour
from dien.serving.store.record import VERSION, append, decode, encode

HISTORY = [
    Behaviour(str(70_000 + 13 * n), 1_700_000_000 + 5_000 * n, {"action": "click"}, f"{n:011}")
    for n in range(9)
]


def test_decimal_ids_and_times_are_numbers_and_names_of_features_are_written_once() -> None:
    record = encode(HISTORY)
    # Each: an id of 5 bytes at most, a time of 3, an event's 11 letters and their length, and "click".
    assert len(record) <= 40 + len(HISTORY) * (5 + 3 + 12 + 6)
    assert record.count(b"action") == 1


def test_what_changes_nothing_writes_nothing() -> None:
    record, done = append(encode(HISTORY), HISTORY[3:5], "u", 9)
    assert record is None
    assert done.duplicates == 2


def test_a_lower_bound_trims_at_the_next_append() -> None:
    record, done = append(encode(HISTORY), [], "u", 4)
    assert done.trimmed == 5
    assert decode(record, "u") == HISTORY[5:]


@given(st.integers(0, len(encode(HISTORY)) - 1))
def test_a_record_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(StoreError, match=r"the record of user 'u' is damaged.*forget the user"):
        decode(encode(HISTORY)[:length], "u")


@given(st.binary())
def test_bytes_that_are_no_record_are_refused_with_a_sentence(data: bytes) -> None:
    if data[:1] == bytes([VERSION]):
        data = b"\xff" + data
    with pytest.raises(StoreError, match="version"):
        decode(data, "u")


@given(st.binary(max_size=40))
def test_what_msgpack_makes_of_other_bytes_is_behaviours_or_an_error_of_the_store(data: bytes) -> None:
    try:
        found = decode(bytes([VERSION]) + data, "u")
    except StoreError:
        return
    assert all(isinstance(one, Behaviour) for one in found)
