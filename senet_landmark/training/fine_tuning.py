"""Fine-tuning: a run's first weights, taken from another run or from a frozen model.

The landmark scheme may change. What the two networks share is copied. The layer that gives the
landmarks is converted: a new point begins as the mean of old ones, by a table of
`scheme_conversion`, by one of them read backwards, or, where no table has the point, by what the
old model predicts on faces of the new records. So a scheme of one's own needs no table.
"""

import functools
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import NO_AUGMENTATION, NetworkConfig
from senet_landmark.data.input_pipeline import BatchMaker
from senet_landmark.errors import InputError
from senet_landmark.face.scheme_conversion import can_convert, convert
from senet_landmark.face.schemes import Scheme, get_scheme
from senet_landmark.frozen.thaw import with_batch_norm
from senet_landmark.networks.model import build_model
from senet_landmark.networks.weights import Weights, assign_weights
from senet_landmark.runtime import session_config
from senet_landmark.training.run_start import Start, network_description, read_start

SEEN_FACES = 256
"""Faces of the new records to which the points that no table has are fitted; and, in whole batches,
from which the batch norm of a frozen model is estimated."""

NEAREST = 6
"""Old points that a fitted point may be the mean of: those nearest to it."""

MOST = 3
"""Old points in that mean, at most."""

Origin = Literal["same", "table", "inverse", "fitted"]
"""Where a new point comes from: the same scheme, a table, a table read backwards, or faces."""

Shapes = dict[str, tuple[int, ...]]

_ORIGIN_TEXTS: dict[Origin, str] = {
    "same": "points as they are",
    "table": "points by the conversion table",
    "inverse": "points by the table read backwards",
    "fitted": "points fitted to faces of the records",
}


@dataclass(frozen=True)
class StartReport:
    """Where a run's first weights come from.

    Attributes:
      checkpoint: path of the checkpoint, or the frozen model, that the run starts from.
      step: at which it was saved; 0 for a frozen model.
      source: landmark scheme of the start.
      target: landmark scheme of the new run.
      taken: names of the variables that are copied.
      converted: names of the variables of the landmarks' layer, where it is converted.
      anew: names of the variables that are initialised at random: heads that the start lacks.
      origins: where each new point comes from.
      means: float64 [L, K], each new point's shares of the old points; rows add up to 1.
    """

    checkpoint: str
    step: int
    source: str
    target: str
    taken: tuple[str, ...]
    converted: tuple[str, ...]
    anew: tuple[str, ...]
    origins: tuple[Origin, ...]
    means: np.ndarray

    def __str__(self) -> str:
        """One line for a person."""
        points = ", ".join(
            f"{self.origins.count(origin)} {text}"
            for origin, text in _ORIGIN_TEXTS.items()
            if origin in self.origins
        )
        heads = sorted({name.rpartition("/")[0] for name in self.anew})
        return (
            f"Starts from {self.checkpoint} ({self.source}): {len(self.taken)} variables as they "
            f"are; {self.target}: {points}" + (f"; anew: {', '.join(heads)}." if heads else ".")
        )


def initial_weights(
    network: NetworkConfig, maker: BatchMaker, start: Path | str, threads: int = 0
) -> tuple[Weights, StartReport]:
    """The first weights of a run that starts from another one.

    The layer of the landmarks is linear, so that the mean of points is that of their weights. For
    `heads.coordinates` this is exact, but for the last ReLU of `senet_original`. For the maps of
    `heads.soft_argmax` it is the mean of their logarithms, a product of maps: the mean of the
    points where the maps are Gaussians of one width, and about it otherwise.

    Args:
      network: of the new run. What changes no variable of the landmarks may differ from the
        start's: dropout, weight decay, pose, attributes.
      maker: makes the new run's batches. Its records have the new scheme; to its faces, without
        augmentation, the points that no table has are fitted.
      start: folder of the run to start from, or prefix of one of its checkpoints
        (`RUN/checkpoints/model.ckpt-500`), or a frozen model: the path of its `.pb`, or the name of
        one that ships.
      threads: as in `runtime.session_config`.

    Returns:
      Values of the training graph's model variables, except those in the report's `anew`; averaged
      weights where the start has such. And the report.

    Raises:
      InputError: the start is no run and no model, has no checkpoint, or has another network or
        width.
    """
    origin = read_start(start, network)
    source, target = get_scheme(origin.scheme), maker.store.scheme
    # What the landmarks need at inference must fit; heads of further tasks may begin anew.
    plain = replace(network, pose=False, attributes=())
    needed = _shapes(plain, source.points)
    _check(origin, network, needed, start)
    values = origin.weights
    if origin.frozen:
        images = [maker.batch(step)["image"] for step in range(-(-SEEN_FACES // maker.batch_size))]
        values = with_batch_norm(values, plain, source.points, images, threads)
    wanted = _shapes(network, target.points, is_training=True)
    layer: set[str] = set()
    means, origins = np.eye(target.points), _all(target, "same")
    if source.name != target.name:
        # The landmarks' layer is what has another shape for another number of points.
        more = _shapes(plain, source.points + 1) if target.points == source.points else wanted
        layer = {name for name, shape in needed.items() if shape != more[name]}
        means, origins = _known_means(source, target)
        if "fitted" in origins:
            predicted, truth = _predicted(plain, source, maker, values, origin.checkpoint, threads)
            for point in np.flatnonzero(np.array(origins) == "fitted"):
                means[point] = fitted_mean(predicted, truth[:, point])
    weights = {}
    for name, shape in wanted.items():
        if name in layer:
            weights[name] = _converted(values[name], means)
        elif name in values and values[name].shape == shape:
            weights[name] = values[name]
    return weights, StartReport(
        checkpoint=origin.checkpoint,
        step=origin.step,
        source=source.name,
        target=target.name,
        taken=tuple(sorted(set(weights) - layer)),
        converted=tuple(sorted(layer)),
        anew=tuple(sorted(set(wanted) - set(weights))),
        origins=tuple(origins),
        means=means,
    )


def assign_start(
    session: tf.Session, weights: Weights, average: tf.train.ExponentialMovingAverage | None
) -> None:
    """Gives the model variables of the session's graph, and their averages, their first values.

    Variables that `weights` lacks keep their values; their averages get the same. Nothing is added
    to the graph.

    Args:
      session: with initialised variables.
      weights: of `initial_weights`.
      average: has been applied to the model variables; or None.

    Raises:
      InputError: a value has another shape than its variable.
    """
    variables = slim.get_model_variables()
    current = session.run({variable.op.name: variable for variable in variables})
    feed, initialisers = {}, []
    for variable in variables:
        name = variable.op.name
        value = weights.get(name, current[name])
        if value.shape != current[name].shape:
            raise InputError(f"The start's {name} is {value.shape}, not {current[name].shape}.")
        for target in (variable, average.average(variable) if average else None):
            if target is not None:
                feed[target.initializer.inputs[1]] = value
                initialisers.append(target.initializer)
    session.run(initialisers, feed)


def fitted_mean(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The few old points whose mean is nearest to a new point, as shares of all old ones.

    Args:
      predicted: [N, K, 2], old points of N faces.
      truth: [N, 2], the new point of each, NaN where unknown.

    Returns:
      float64 [K], which adds up to 1: of 1 to `MOST` points among the `NEAREST`, those with the
      smallest mean distance. Of a point that no face has: all points alike.
    """
    known = np.isfinite(truth).all(axis=1)
    shares = np.zeros(predicted.shape[1])
    if not known.any():
        return shares + 1 / len(shares)
    predicted, truth = predicted[known], truth[known, None]
    nearest = np.argsort(np.linalg.norm(predicted - truth, axis=-1).mean(axis=0))[:NEAREST]
    groups = [list(g) for size in range(MOST) for g in combinations(nearest, size + 1)]

    def distance(group: list[int]) -> float:
        return float(np.linalg.norm(predicted[:, group].mean(axis=1) - truth[:, 0], axis=-1).mean())

    best = min(groups, key=distance)
    shares[best] = 1 / len(best)
    return shares


def _all(scheme: Scheme, origin: Origin) -> list[Origin]:
    return [origin] * scheme.points


def _known_means(source: Scheme, target: Scheme) -> tuple[np.ndarray, list[Origin]]:
    """The means that the tables give for the new points; zeros, and `fitted`, where none does."""
    if can_convert(source.name, target.name):
        return _table(source, target), _all(target, "table")
    means = np.zeros((target.points, source.points))
    if can_convert(target.name, source.name):
        # An old point that is one new point alone says where that is.
        means[:] = (_table(target, source) == 1).T
        means /= np.maximum(means.sum(axis=1, keepdims=True), 1)
    return means, ["inverse" if row.any() else "fitted" for row in means]


def _table(source: Scheme, target: Scheme) -> np.ndarray:
    """The conversion as a matrix [L, K]: what it makes of each old point alone."""
    alone = np.repeat(np.eye(source.points)[..., None], 2, axis=-1)
    return convert(alone, source.name, target.name)[..., 0].T


def _converted(value: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Weights or biases [..., K C] as [..., L C]; the C outputs of a point follow one another."""
    points = means.shape[1]
    by_point = value.reshape(*value.shape[:-1], points, -1)
    mixed = np.einsum("lk,...kc->...lc", means, by_point)
    return mixed.reshape(*value.shape[:-1], -1).astype(value.dtype)


def _predicted(
    network: NetworkConfig,
    scheme: Scheme,
    maker: BatchMaker,
    values: Weights,
    checkpoint: str,
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The old model's points on faces of the new records [N, K, 2], and the truth [N, L, 2]."""
    plain = replace(maker, augment=NO_AUGMENTATION, shape_model=None)
    count = min(SEEN_FACES, len(maker.store))
    chosen = np.linspace(0, len(maker.store) - 1, count).round().astype(int)
    batches = [
        plain.faces(part, np.random.default_rng(0))
        for part in np.array_split(chosen, -(-count // 64))
    ]
    with tf.Graph().as_default(), tf.Session(config=session_config(threads)) as session:
        model = build_model(network, scheme.points, is_training=False)
        assign_weights(session, values, checkpoint)
        predicted = [session.run(model.landmarks, {model.image: b["image"]}) for b in batches]
    return np.concatenate(predicted), np.concatenate([batch["landmarks"] for batch in batches])


@functools.lru_cache(maxsize=8)
def _shapes(network: NetworkConfig, points: int, is_training: bool = False) -> Shapes:
    """Shapes of a network's model variables, by their names."""
    with tf.Graph().as_default():
        build_model(network, points, is_training=is_training)
        return {v.op.name: tuple(v.shape.as_list()) for v in slim.get_model_variables()}


def _check(origin: Start, network: NetworkConfig, needed: Shapes, start: Path | str) -> None:
    """Refuses a start whose network is another. Raises InputError that names a variable."""
    for name, shape in needed.items():
        value = origin.weights.get(name)
        if value is not None and value.shape == shape:
            continue
        there = f"is {list(value.shape)} there" if value is not None else "is not there"
        raise InputError(
            f"{start}: is {origin.description}; this run, of {network_description(network)}, "
            f"cannot start from it: variable {name} {there}, {list(shape)} here. Give the same "
            "network options (a run has them in its config.json), or train from the beginning."
        )
