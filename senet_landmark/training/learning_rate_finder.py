"""The learning-rate range test: trains at rising rates, and finds where the loss falls fastest.

Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3: train while
the rate grows, and note where the loss begins to fall and where it stops. Here the rate grows
exponentially, the loss is smoothed, and the test ends when the loss blows up. It suggests the rate
at which the loss falls fastest, after Gugger, "How do you find a good learning rate" (2018), and
fastai's `Learner.lr_find`. The graph is the same as in training: records, augmentation, network,
loss, Adam, gradient clipping and weight decay.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf
from matplotlib.figure import Figure
from tqdm import tqdm

from senet_landmark.config import Config, check_config, to_json
from senet_landmark.data.input_pipeline import BatchMaker
from senet_landmark.data.records import load_records_info
from senet_landmark.errors import InputError
from senet_landmark.io.files import write_json, written_whole
from senet_landmark.runtime import session_config
from senet_landmark.training.graph import build_training_graph
from senet_landmark.training.setup import training_maker
from senet_landmark.visualisation.charts import COLOURS, INK, plain

SMOOTHING = 0.8
"""Decay of the exponential average of the losses."""

BLOWN_UP = 4.0
"""The test ends when the average of the losses exceeds its lowest value so far by this factor."""


@dataclass(frozen=True)
class RangeTest:
    """The result of a range test.

    Attributes:
      rates: the learning rates that were tried, rising.
      losses: for each rate, the loss on the next batch after the step at that rate.
      smoothed: the smoothed losses; see the function `smoothed`.
      suggested: the rate where the smoothed loss falls fastest.
      lowest_at: the rate where the smoothed loss is lowest; training is unstable a little above it.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggested: float
    lowest_at: float


def find_learning_rate(
    config: Config,
    records: Path | str,
    *,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    progress: bool = True,
) -> RangeTest:
    """Runs the test on the training faces of `records`; writes nothing.

    Args:
      config: the configuration; its schedule of the learning rate is not used.
      records: folder made by `build-records`.
      lowest: rate of the first step.
      highest: rate of the last step, unless the loss blows up earlier.
      steps: number of steps from `lowest` to `highest`, at least 20.
      progress: whether to show a progress bar.

    Raises:
      InputError: rates or steps are out of range, `train` would refuse the configuration or the
        records, or the loss falls at no rate.
    """
    check_config(config)
    if not 0 < lowest < highest:
        raise InputError(f"Rates must rise from above 0: not from {lowest} to {highest}.")
    if steps < 20:
        raise InputError(f"A range test needs 20 steps or more, not {steps}.")
    rates = np.geomspace(lowest, highest, steps).tolist()
    losses = _losses(
        config, training_maker(config, Path(records), load_records_info(records)), rates, progress
    )
    return range_test(rates[: len(losses)], losses)


def range_test(rates: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """Suggests a rate from the losses of a test.

    The suggested rate is the one where the smoothed loss falls most per factor of the rate. Rates
    above the one with the lowest loss are not considered.

    Args:
      rates: learning rates, each higher than the one before by the same factor.
      losses: the loss of each rate; those from the first infinite or NaN loss on are left out.

    Raises:
      InputError: the fall of the loss is not larger than its difference from batch to batch.
    """
    finite = np.isfinite(losses)
    whole = len(losses) if finite.all() else int(np.argmin(finite))
    means = smoothed(losses[:whole])
    lowest = int(np.argmin(means)) if means else 0
    # Noise from batch to batch. The median ignores the end, where the loss blows up.
    noise = float(np.median(np.abs(np.subtract(losses[:whole], means)))) if means else 0.0
    if lowest < 2 or means[0] - means[lowest] <= 3 * noise + 1e-6 * abs(means[0]):
        raise InputError(
            f"The loss falls nowhere between the rates {rates[0]:.1e} and {rates[-1]:.1e}: try "
            "other rates, or more steps."
        )
    slopes = np.gradient(means)[:lowest]
    return RangeTest(
        rates=tuple(rates[:whole]),
        losses=tuple(losses[:whole]),
        smoothed=tuple(means),
        suggested=rates[int(np.argmin(slopes))],
        lowest_at=rates[lowest],
    )


def smoothed(losses: Sequence[float]) -> list[float]:
    """The bias-corrected exponential average of losses, taken forwards and then backwards.

    A forward average alone would lag by SMOOTHING / (1 - SMOOTHING) steps, and so would the
    suggestion. Losses are capped at the highest of the first five; otherwise the end, where the
    loss blows up, would raise the values before it.
    """
    capped = np.minimum(losses, max(losses[:5], default=0.0)).tolist()
    return averaged(averaged(capped)[::-1])[::-1]


def averaged(losses: Sequence[float]) -> list[float]:
    """Exponential average with the bias correction of Adam's moments.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, section 3.
    """
    average, means = 0.0, []
    for number, loss in enumerate(losses):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        means.append(average / (1 - SMOOTHING ** (number + 1)))
    return means


def save_range_test(folder: Path | str, test: RangeTest, config: Config) -> Path:
    """Writes learning_rate.json and learning_rate.png, each whole; returns the chart's path."""
    folder = Path(folder)
    about = {
        "preset": config.preset,
        "network": config.network.name,
        "loss": config.loss.name,
        "batch_size": config.train.batch_size,
        "preset_rate": config.schedule.initial,
    }
    write_json(folder / "learning_rate.json", about | to_json(test))
    path = folder / "learning_rate.png"
    with written_whole(path) as temporary:
        _chart(test, config).savefig(temporary, dpi=150, facecolor="white")
    return path


def _chart(test: RangeTest, config: Config) -> Figure:
    figure = Figure(figsize=(7, 4))
    figure.subplots_adjust(0.1, 0.13, 0.97, 0.9)
    axes = figure.add_subplot()
    plain(axes)
    # Over all marks, and the test's marks over the preset's: equal rates would hide them.
    axes.plot(test.rates, test.losses, color=COLOURS[0], alpha=0.35, linewidth=1, zorder=5)
    axes.plot(test.rates, test.smoothed, color=COLOURS[0], linewidth=1.8, zorder=6)
    axes.set_xscale("log")
    # Without this limit the losses that blew up would flatten the rest of the curve.
    low, high = min(test.losses), 1.15 * max(test.smoothed[: test.rates.index(test.lowest_at) + 1])
    axes.set_ylim(low - 0.05 * (high - low), high)
    marks = (
        (test.suggested, COLOURS[1], f"falls fastest at {test.suggested:.1e}", 4, 1.4, "--"),
        (test.lowest_at, COLOURS[3], f"lowest at {test.lowest_at:.1e}", 3, 1.4, ":"),
        (config.schedule.initial, "#bbbbbb", f"preset {config.schedule.initial:.1e}", 2, 4, "-"),
    )
    for rate, colour, text, order, width, dash in marks:
        axes.axvline(rate, color=colour, linewidth=width, linestyle=dash, label=text, zorder=order)
    axes.legend(
        fontsize=9, frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=3
    )
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    axes.set_xlabel("learning rate", fontsize=10, color=INK)
    axes.set_ylabel(f"training loss ({config.loss.name})", fontsize=10, color=INK)
    return figure


def _losses(
    config: Config, maker: BatchMaker, rates: Sequence[float], progress: bool
) -> list[float]:
    """The loss after the step at each rate, until it blows up."""
    losses: list[float] = []
    # The averages of the weights serve the validation, and this test has none.
    config = replace(config, train=replace(config.train, ema_decay=0.0))
    with tf.Graph().as_default():
        graph = build_training_graph(config, maker, config.train.threads or os.cpu_count() or 2)
        bar = tqdm(total=len(rates), unit="step", dynamic_ncols=True, disable=not progress)
        settings = session_config(config.train.threads, config.train.replicas)
        with tf.Session(config=settings) as session, bar:
            session.run(tf.global_variables_initializer())
            session.run(graph.data)
            session.run(graph.update, {graph.rate: rates[0]})
            # A step returns the loss before its update, so after the step at the previous rate.
            for next_rate in (*rates[1:], 0.0):
                loss, _ = session.run([graph.loss, graph.update], {graph.rate: next_rate})
                losses.append(float(loss))
                bar.update()
                means = averaged(losses)
                if not math.isfinite(losses[-1]) or means[-1] > BLOWN_UP * min(means):
                    break
    return losses
