"""The losses by their equations, in NumPy, and what tests feed them."""

import contextlib
from collections import Counter

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from senet_landmark.config import LossConfig

SIZE = (128, 96)


CLASSES = (("profile", "up"), ("frontal",), ("frontal", "up"), ("none",))
"""Of each of 4 faces; the first is the rarest."""


NAMES = ("profile", "frontal", "up", "none")


def faces(seed=0, points=5):
    """(predicted, truth) of 4 faces: landmarks float64 [4, K, 2], angles in degrees [4, 3]."""
    generator = np.random.default_rng(seed)
    truth = {
        "landmarks": generator.uniform(0, 1, (4, points, 2)),
        "pose": generator.uniform(-60, 60, (4, 3)),
    }
    spread = {"landmarks": 0.06, "pose": 20.0}
    predicted = {k: v + generator.normal(0, spread[k], v.shape) for k, v in truth.items()}
    return predicted, truth


def class_matrix():
    return np.array([[name in classes for name in NAMES] for classes in CLASSES], np.float32)


def numpy_loss(name, predicted, truth, size=SIZE, options=LossConfig(), unknown_angle=None):
    """Each loss written anew from its paper's equation.

    `unknown_angle` replaces the mean angle that faces of unknown pose get in PFLD's loss.
    """
    p, t = predicted["landmarks"], truth["landmarks"]
    d = np.abs(p - t) * size
    if name == "l2":
        return np.mean((d / (options.l2_unit or size)) ** 2)
    if name == "smooth_l1":
        return np.mean(np.where(d < 1, d**2 / 2, d - 0.5))
    if name == "wing":
        c = 10 - 10 * np.log(1 + 10 / 2)
        return np.mean(np.where(d < 10, 10 * np.log(1 + d / 2), d - c))
    if name == "pfld":
        shares = Counter(c for classes in CLASSES for c in classes)
        angles = angle_factors(predicted, truth)
        mean = np.nanmean(angles) if unknown_angle is None else unknown_angle
        angles = np.where(np.isnan(angles), mean, angles)
        terms = [
            sum(len(CLASSES) / shares[c] for c in classes) * angle * (offsets**2).sum()
            for classes, angle, offsets in zip(CLASSES, angles, p - t, strict=True)
        ]
        return sum(terms) / len(terms)
    d = d / (0.1 * np.array(size))
    omega, theta, eps, power = 14, 0.5, 1, 2.1 - 1
    a = omega / (1 + (theta / eps) ** power) * power * (theta / eps) ** (power - 1) / eps
    c = theta * a - omega * np.log(1 + (theta / eps) ** power)
    return np.mean(np.where(d < theta, omega * np.log(1 + (d / eps) ** power), a * d - c))


def angle_factors(predicted, truth):
    """sum_k (1 - cos theta_k) of each face."""
    return (1 - np.cos(np.radians(predicted["pose"] - truth["pose"]))).sum(axis=1)


@contextlib.contextmanager
def fed(predicted, truth, **more):
    """(end points, batch, run): placeholders of the predictions, constants of the truth."""
    with tf.Graph().as_default(), tf.Session() as session:
        ends = {key: tf.placeholder(tf.float32, value.shape) for key, value in predicted.items()}
        values = {**truth, "classes": class_matrix(), **more}
        batch = {key: tf.constant(value, tf.float32) for key, value in values.items()}

        def run(tensors, values):
            return session.run(tensors, {ends[key]: value for key, value in values.items()})

        yield ends, batch, run


def check_gradient(function, values, slope, step=1e-5, count=8):
    """The slope of some values is that of small steps; `function` takes the whole array."""
    for index in np.random.default_rng(1).choice(values.size, count, replace=False):
        place = np.unravel_index(index, values.shape)
        high, low = values.copy(), values.copy()
        high[place] += step
        low[place] -= step
        numeric = (function(high) - function(low)) / (2 * step)
        assert slope[place] == pytest.approx(numeric, rel=2e-2, abs=1e-4)
