"""Blinks and yawns in series of measures whose truth is known."""

import numpy as np
import pytest

from senet_landmark.face.expression_events import find_blinks, find_yawns


def series(seconds=10.0, rate=25.0, level=0.3, noise=0.005, seed=0):
    """Times and an eye aspect ratio of open eyes, a little noisy."""
    times = np.arange(round(seconds * rate)) / rate
    return times, level + np.random.default_rng(seed).normal(0, noise, len(times))


def closed(times, values, start, end, depth=0.5):
    """Closed by a share `depth` between two times, half as much at their edges."""
    inside = (times > start) & (times < end)
    share = np.minimum(1, 3 * np.minimum(times - start, end - times) / (end - start))
    return np.where(inside, values * (1 - depth * share), values)


def times_of(times, spans):
    return [(times[span.first], times[span.last]) for span in spans]


@pytest.mark.parametrize("level", [0.15, 0.3, 0.45])
@pytest.mark.parametrize("rate", [15.0, 25.0, 60.0])
def test_blinks_are_found_where_they_are(level, rate):
    times, values = series(rate=rate, level=level)
    made = [(2.0, 2.3), (3.0, 3.2), (7.05, 7.35)]
    for start, end in made:
        values = closed(times, values, start, end)
    found = find_blinks(times, values)
    assert len(found) == 3
    for (start, end), (first, last), span in zip(made, times_of(times, found), found, strict=True):
        assert start <= first <= last <= end and last - first > 0.3 * (end - start)
        assert span.extreme == span.first + values[span.first : span.last + 1].argmin()


def test_scale_of_the_ratio_changes_nothing():
    """People's open eyes differ, and so do models."""
    times, values = series()
    values = closed(times, values, 4.0, 4.3, depth=0.3)
    assert find_blinks(times, values) == find_blinks(times, 0.4 * values) != []


def test_what_is_no_blink():
    times, values = series(seconds=20)
    assert find_blinks(times, values) == []
    assert find_blinks(times, closed(times, values, 5, 8)) == []  # shut for three seconds
    slow = values * (1 - 0.4 * np.sin(np.pi * times / 20))  # a face that looks down
    assert find_blinks(times, slow) == []


def test_a_blink_that_is_cut_off_is_left_out():
    times, values = series()
    assert find_blinks(times, closed(times, values, -0.1, 0.2)) == []
    values = closed(times, values, 5.0, 5.3)
    assert len(find_blinks(times, values)) == 1
    values[(times > 5.1) & (times < 5.5)] = np.nan
    assert find_blinks(times, values) == []


def test_blinks_beside_frames_without_a_face():
    times, values = series()
    values = closed(times, values, 2.0, 2.3)
    kept = (times < 4) | (times > 6)
    found = find_blinks(times[kept], values[kept])
    assert len(found) == 1 and 2 <= times[kept][found[0].first] < 2.3


def test_at_few_frames_a_second_blinks_are_missed():
    found = {}
    for rate in (25.0, 4.0):
        times, values = series(seconds=60, rate=rate)
        for number in range(20):
            start = 2 + 2.83 * number
            values = closed(times, values, start, start + 0.2)
        found[rate] = len(find_blinks(times, values))
    assert found[25.0] == 20 > found[4.0]


def test_yawns_are_found_where_they_are():
    times, mouth = series(level=0.05)
    yawn = (times > 3) & (times < 6.5)
    mouth[yawn] += 0.8 * np.sin(np.pi * (times[yawn] - 3) / 3.5) ** 0.6
    mouth[110] = 0  # one frame in which the model errs
    (span,) = find_yawns(times, mouth)
    assert 3 < times[span.first] < 3.6 and 5.9 < times[span.last] < 6.5
    assert mouth[span.extreme] == mouth.max()


def test_speech_and_a_short_cry_are_no_yawns():
    times, mouth = series(level=0.05)
    speech = mouth + 0.25 * (1 - np.cos(2 * np.pi * 4 * times))  # up to 0.55, four times a second
    assert find_yawns(times, speech) == []
    mouth[(times > 3) & (times < 3.8)] = 0.9
    assert find_yawns(times, mouth) == []


def test_a_mouth_that_is_always_open_does_not_yawn():
    times, mouth = series(seconds=40, level=0.5)
    assert find_yawns(times, mouth) == []
    mouth[(times > 15) & (times < 19)] = 0.9
    assert times_of(times, find_yawns(times, mouth)) == [
        (pytest.approx(15, abs=0.3), pytest.approx(19, abs=0.3))
    ]


def test_a_yawn_at_the_end_of_the_clip_counts():
    times, mouth = series(level=0.05)
    mouth[times > 8] = 0.7
    (span,) = find_yawns(times, mouth)
    assert span.last == len(times) - 1


@pytest.mark.parametrize("find", [find_blinks, find_yawns])
def test_series_that_are_short_or_wrong(find):
    assert find([], []) == [] and find([1.0], [0.3]) == [] and find([1.0, 2], [np.nan] * 2) == []
    with pytest.raises(ValueError, match="must grow"):
        find([1.0, 1.0], [0.3, 0.3])
    with pytest.raises(ValueError, match=r"must be \[N\]"):
        find([1.0, 2.0], [0.3])
