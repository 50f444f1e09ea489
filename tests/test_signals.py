"""Ctrl-C and SIGTERM within a block."""

import signal
import threading

import pytest

from senet_landmark.signals import STOPS, put_off, sigterm_as_ctrl_c, stopping


@pytest.fixture(autouse=True)
def handlers():
    """Ctrl-C and SIGTERM raise, also where a job in the background ignores them."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOPS}
    yield
    found = {number: signal.getsignal(number) for number in STOPS}
    for number, earlier in before.items():
        signal.signal(number, earlier)
    assert found == dict.fromkeys(STOPS, signal.default_int_handler), "handlers were not put back"


@pytest.mark.parametrize("number", STOPS)
def test_the_first_signal_sets_the_event_and_the_second_one_acts(number):
    with pytest.raises(KeyboardInterrupt), stopping() as stopped:
        assert not stopped.is_set()
        signal.raise_signal(number)
        assert stopped.is_set()
        signal.raise_signal(number)
        pytest.fail("the second signal did nothing")


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_that_is_put_off_acts_after_the_block(number):
    done = []
    with pytest.raises(KeyboardInterrupt), put_off():
        signal.raise_signal(number)
        done.append(True)
    assert done


def test_an_error_in_the_block_puts_the_handlers_back():
    for block in (stopping, put_off, sigterm_as_ctrl_c):
        with pytest.raises(ZeroDivisionError), block():
            raise ZeroDivisionError


def test_sigterm_raises_what_ctrl_c_raises():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        signal.raise_signal(signal.SIGTERM)
    assert signal.signal(signal.SIGTERM, signal.default_int_handler) is signal.SIG_IGN


def test_outside_the_main_thread_nothing_is_handled():
    states = []

    def run():
        with stopping() as stopped, put_off(), sigterm_as_ctrl_c():
            states.append((stopped.is_set(), *map(signal.getsignal, STOPS)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert states == [(False, signal.default_int_handler, signal.default_int_handler)]
