"""Task-wise early stopping, by the equations of TCDCN."""

import numpy as np
import pytest

from senet_landmark.training.task_stopping import (
    STRIP,
    TaskHistory,
    after_validation,
    stopping_measure,
)


def test_stopping_measure_is_the_papers():
    """Equation 6, by hand: k = 5, the median of 6 errors 3.5, their sum 21."""
    train = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    assert stopping_measure(train, [9] * 5 + [2]) == pytest.approx(17.5 / 3.5 * (2 - 1) / 1)
    assert stopping_measure(train, [9] * 5 + [4]) == pytest.approx(15)
    # Of the last 6 the trend, of all the least.
    longer = [0.5, *train]
    assert stopping_measure(longer, [9] * 6 + [2]) == pytest.approx(5 * (2 - 0.5) / 0.5)
    assert stopping_measure(train, [9] * 5 + [0.5]) < 0  # validation is the better: no harm
    assert stopping_measure([4.0, 3.0, 1.0], [1, 1, 2], strip=2) == pytest.approx(6 / 2 * 1)


def test_nothing_is_measured_before_there_is_enough_history():
    for count in range(STRIP + 1):
        assert stopping_measure([1.0] * count, [9.0] * count) == 0
    assert stopping_measure([1.0] * (STRIP + 1), [9.0] * (STRIP + 1)) > 0


def test_measure_rises_while_a_task_over_fits():
    train = 1 / np.arange(1, 31)
    validation = np.where(np.arange(30) < 10, train, 0.1 + 0.01 * np.arange(30))
    measures = [stopping_measure(train[:n], validation[:n]) for n in range(6, 31)]
    assert max(measures[:5]) == pytest.approx(0, abs=1e-9)
    assert (np.diff(measures[5:]) > 0).all()


def test_measure_is_small_while_the_training_error_falls_quickly():
    quick, slow, flat = 0.5 ** np.arange(6), 0.9 ** np.arange(6), np.ones(6)
    gap = [stopping_measure(train / train.min(), np.full(6, 2.0)) for train in (quick, slow, flat)]
    assert gap == sorted(gap) and gap[2] == pytest.approx(STRIP)


def test_tasks_are_stopped_once_and_the_landmarks_never():
    histories, seen = {}, []
    for number in range(10):
        before = dict(histories)
        train = {"landmarks": 1.0, "pose": 1.0, "smile": 1.0}
        # The pose over-fits from the start, but is well again at the end; smile does not.
        errors = {"pose": 2.0 if number < 8 else 0.5, "smile": 0.9}
        found = after_validation(histories, train, errors, threshold=3.0, step=100 * (number + 1))
        assert histories == before  # the argument is left as it was
        histories = found
        seen.append(histories["pose"].stopped_at)
    assert set(histories) == {"pose", "smile"}
    assert seen == [0] * STRIP + [100 * (STRIP + 1)] * (10 - STRIP)
    assert histories["smile"].stopped_at == 0
    assert histories["pose"].train == (1.0,) * 10
    assert histories["pose"].validation == (2.0,) * 8 + (0.5,) * 2


def test_threshold_decides():
    pose = TaskHistory(train=(1.0,) * STRIP, validation=(2.0,) * STRIP)
    for threshold, stopped_at in ((4.9, 7), (5.1, 0)):
        found = after_validation({"pose": pose}, {"pose": 1.0}, {"pose": 2.0}, threshold, step=7)
        assert found["pose"].stopped_at == stopped_at
