"""Moving averages of weights: their values by NumPy and by TensorFlow's own, and their start."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.training.moving_average import MovingAverage, current_weights

DECAY = 0.5
"""So low that it limits the early decay after eight updates."""


def variable(name):
    """A model variable with a random first value."""
    return slim.model_variable(name, [3], initializer=tf.random_normal_initializer())


def test_averages_begin_as_their_variables_and_follow_as_numpys_and_tensorflows():
    with tf.Graph().as_default() as graph, tf.Session() as session:
        weights, step = [variable("first"), variable("second")], tf.Variable(0)
        mine = MovingAverage(weights, DECAY, step)
        # TensorFlow's, under other names.
        own = tf.train.ExponentialMovingAverage(DECAY, num_updates=step, name="Own")
        updates = tf.group(mine.update, own.apply(weights))
        moved = [tf.assign_add(weight, tf.random_normal([3])) for weight in weights]
        later = tf.assign_add(step, 1)
        session.run(tf.global_variables_initializer())
        graph.finalize()
        expected = session.run(weights)
        np.testing.assert_array_equal(session.run([mine.average(w) for w in weights]), expected)
        for number in range(12):
            values = session.run(moved)
            session.run(updates)
            session.run(later)
            decay = min(DECAY, (1 + number) / (10 + number))
            expected = [decay * a + (1 - decay) * v for a, v in zip(expected, values, strict=True)]
            found = session.run([mine.average(w) for w in weights])
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(
                found, session.run([own.average(w) for w in weights]), rtol=1e-6
            )


def test_the_averages_are_what_a_run_keeps_and_have_the_names_of_tensorflows():
    with tf.Graph().as_default(), tf.Session() as session:
        weight = variable("layer/weights")
        average = MovingAverage([weight], DECAY, tf.constant(0))
        assert average.average(weight).op.name == "layer/weights/ExponentialMovingAverage"
        assert average.average(weight) not in tf.trainable_variables()
        session.run(tf.global_variables_initializer())
        session.run(average.average(weight).assign([1, 2, 3]))
        kept = current_weights(session, average)
        np.testing.assert_array_equal(kept["layer/weights"], [1, 2, 3])
        assert not np.array_equal(current_weights(session, None)["layer/weights"], [1, 2, 3])
        with pytest.raises(KeyError):
            average.average(variable("other"))


def test_the_first_value_waits_for_no_update():
    """As in a training step, whose averages wait for the update of the weights."""
    with tf.Graph().as_default(), tf.Session() as session:
        weight = variable("weights")
        with tf.control_dependencies([tf.Assert(False, ["updated before the start"])]):
            average = MovingAverage([weight], DECAY, tf.constant(0))
        session.run(tf.global_variables_initializer())
        assert np.array_equal(session.run(weight), session.run(average.average(weight)))
