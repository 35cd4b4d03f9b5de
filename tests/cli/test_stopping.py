"""Signals that end a command: raised where it is, once, and as they were afterwards."""

import os
import signal
import time

import pytest

from dien.cli.stopping import Stopped, Stopping

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_raised_where_the_command_is_and_its_handler_is_back_afterwards(
    number: signal.Signals,
) -> None:
    before = signal.getsignal(number)
    stopping = Stopping()
    with pytest.raises(Stopped), stopping:
        signal.raise_signal(number)
    assert stopping.exit_code == 128 + number
    assert signal.getsignal(number) is before


def test_a_signal_that_comes_again_while_all_is_tidied_up_is_not_raised_again() -> None:
    tidied = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            tidied.append("all")

    with pytest.raises(Stopped), Stopping():
        work()
    assert tidied == ["all"]


def test_a_signal_that_comes_in_a_destructor_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    class Odd:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def work() -> None:
        odd = Odd()
        del odd
        for _ in range(6000):
            time.sleep(0.01)

    stopping = Stopping()
    with pytest.raises(Stopped), stopping:
        work()
    assert stopping.exit_code == 128 + signal.SIGTERM
    assert "Exception ignored" not in capfd.readouterr().err


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopping() as stopping:
            signal.raise_signal(signal.SIGHUP)
        assert stopping.number == 0
    finally:
        signal.signal(signal.SIGHUP, before)
