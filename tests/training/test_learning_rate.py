"""The schedule of the learning rate."""

import pytest
import tensorflow.compat.v1 as tf

from senet_landmark.config import (
    ScheduleConfig,
)
from senet_landmark.training.optimisation import learning_rate


def test_learning_rates():
    with tf.Graph().as_default(), tf.Session() as session:
        step, progress = tf.placeholder(tf.int64), tf.placeholder(tf.float32)
        original = ScheduleConfig(initial=0.001, decay_steps=1000, decay_rate=0.98, warmup_steps=0)
        rates = [learning_rate(c, step, progress) for c in (original, ScheduleConfig())]

        def at(s, p):
            return session.run(rates, {step: s, progress: p})

        assert at(2500, 0)[0] == pytest.approx(0.001 * 0.98**2.5, rel=1e-5)
        assert at(10**5, 0.0)[1] == pytest.approx(5e-3)
        assert at(10**5, 0.5)[1] == pytest.approx(5e-4, rel=1e-4)
        assert at(10**5, 1.0)[1] == pytest.approx(5e-5, rel=1e-4)
        assert at(99, 0.0)[1] == pytest.approx(2.5e-3)  # half way through the warm-up
