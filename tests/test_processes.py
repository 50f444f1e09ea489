"""Worker processes: in order, replaced when they are killed, gone with their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from senet_landmark.data_tools.parallel import as_completed, in_order
from senet_landmark.errors import InputError

PIECES = 40


def slow_if_even(number, size=1):
    time.sleep(0.02 if number % 2 == 0 else 0)
    return bytes([number]) * size


def fail_at_five(number):
    if number == 5:
        raise InputError("five.jpg: is wrong")
    return number


def die_once(number, folder):
    """Kills its process the first time that it is given number 3 or 7."""
    mark = Path(folder) / str(number)
    if number in (3, 7) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_at_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def lost(*arguments):
    return ("lost", *arguments)


def test_results_are_in_order_and_large_ones_do_not_block():
    # Larger than the buffer of a pipe, both ways.
    arguments = [(number, 300_000) for number in range(PIECES)]
    results = list(in_order(slow_if_even, arguments, 2, lost))
    assert results == [slow_if_even(*args) for args in arguments]
    assert dict(as_completed(slow_if_even, range(PIECES), 2)) == dict(
        enumerate(slow_if_even(number) for number in range(PIECES))
    )


def test_few_pieces_are_taken_before_the_oldest_is_done():
    taken = []

    def arguments():
        for number in range(1000):
            taken.append(number)
            yield (number % 7,)

    results = in_order(slow_if_even, arguments(), 2, lost)
    next(results)
    assert len(taken) < 100
    results.close()


def test_killed_worker_gives_its_work_to_another(tmp_path):
    arguments = [(number, str(tmp_path)) for number in range(20)]
    assert list(in_order(die_once, arguments, 2, lost)) == list(range(20))
    assert len(list(tmp_path.iterdir())) == 2  # both were killed


def test_piece_that_kills_every_worker_is_given_up():
    results = list(in_order(die_at_three, [(number,) for number in range(8)], 2, lost))
    assert results == [0, 1, 2, ("lost", 3), 4, 5, 6, 7]
    with pytest.raises(InputError, match=r"^3: the process at work on it was killed"):
        list(as_completed(die_at_three, range(8), 2))


def test_error_in_a_worker_is_the_callers():
    with pytest.raises(InputError, match=r"^five\.jpg: is wrong$"):
        list(in_order(fail_at_five, [(number,) for number in range(8)], 2, lost))


PROGRAM = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from senet_landmark.data_tools.parallel import in_order
def lost(*_): ...
print("begun", flush=True)
results = in_order(time.sleep, [(0.1,)] * 1000, 2, lost)
for _ in results:
    print("done", flush=True)
    {}
"""


@pytest.mark.parametrize(
    ("body", "done"), [("", 2), ("time.sleep(30)", 1)], ids=["in_workers", "in_the_loop"]
)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path, number, body, done):
    """Wherever the signal comes; a script still holds its results when it ends by an error."""
    psutil = pytest.importorskip("psutil")
    program = tmp_path / "program.py"
    # As people write it: without `if __name__ == "__main__":`.
    program.write_text(PROGRAM.format(body))
    with subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        lines = [process.stdout.readline() for _ in range(1 + done)]
        assert lines == ["begun\n"] + ["done\n"] * done
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        process.send_signal(number)
        process.wait(20)
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive
