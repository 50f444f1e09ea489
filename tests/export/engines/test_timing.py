"""Runs that take turns, and what of them is timed."""

import time

from senet_landmark.export.engines.timing import alternated


def test_runs_take_turns_and_the_second_is_timed():
    calls = []

    def run(name):
        if calls.count(name) % 2 == 0:  # what comes first is slow, and is not timed
            time.sleep(0.03)
        calls.append(name)

    times = alternated({name: lambda name=name: run(name) for name in "abc"}, 2)
    assert "".join(calls) == "aabbcc" + "bbccaa"
    assert list(times) == ["a", "b", "c"]
    for figures in times.values():
        low, high = figures["quartiles"]
        assert low <= figures["median"] <= high < 30 and figures["cpu"] >= 0
