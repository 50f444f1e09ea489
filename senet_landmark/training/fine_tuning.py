"""Fine-tuning: a run's first weights, taken from another run or from a frozen model.

The landmark scheme may change. Layers that both networks have are copied. The last layer, which
gives the landmarks, is converted: a new point starts as the mean of old points. Which old points is
looked up in a table of `scheme_conversion`, or in such a table read backwards. A point that is in
no table is fitted to the old model's predictions on faces of the new records. So your own scheme
needs no table.
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
from senet_landmark.training.moving_average import MovingAverage
from senet_landmark.training.run_start import Start, network_description, read_start

SAMPLE_FACES = 256
"""Number of faces of the new records to which points without a table are fitted. The batch norm of
a frozen model is estimated from as many, rounded up to whole batches."""

NEAREST = 6
"""Number of candidates for a fitted point: the old points nearest to it."""

MOST = 3
"""Largest number of old points whose mean a fitted point may be."""

Origin = Literal["same", "table", "inverse", "fitted"]
"""How a new point was found: the same scheme, a table, a table read backwards, or fitted to
faces."""

Shapes = dict[str, tuple[int, ...]]

_ORIGIN_TEXTS: dict[Origin, str] = {
    "same": "points unchanged",
    "table": "points by the conversion table",
    "inverse": "points by the table read backwards",
    "fitted": "points fitted to faces of the records",
}


@dataclass(frozen=True)
class StartReport:
    """Where a run's first weights come from.

    Attributes:
      checkpoint: path of the checkpoint or frozen model that the run starts from.
      step: step at which the checkpoint was saved; 0 for a frozen model.
      old_scheme: name of the landmark scheme of the checkpoint.
      new_scheme: name of the landmark scheme of the new run.
      copied: names of the variables that are copied.
      converted: names of the variables of the last layer, if it is converted.
      initialised: names of the variables that are initialised at random: heads that the checkpoint
        does not have.
      origins: how each new point was found.
      means: float64 [L, K], weights of the K old points in each of the L new ones; rows sum to 1.
    """

    checkpoint: str
    step: int
    old_scheme: str
    new_scheme: str
    copied: tuple[str, ...]
    converted: tuple[str, ...]
    initialised: tuple[str, ...]
    origins: tuple[Origin, ...]
    means: np.ndarray

    def __str__(self) -> str:
        """One line for a person."""
        points = ", ".join(
            f"{self.origins.count(origin)} {text}"
            for origin, text in _ORIGIN_TEXTS.items()
            if origin in self.origins
        )
        heads = sorted({name.rpartition("/")[0] for name in self.initialised})
        return (
            f"Starts from {self.checkpoint} ({self.old_scheme}): {len(self.copied)} variables "
            f"copied; {self.new_scheme}: {points}"
            + (f"; trained anew: {', '.join(heads)}." if heads else ".")
        )


def initial_weights(
    network: NetworkConfig, maker: BatchMaker, start: Path | str, threads: int = 0
) -> tuple[Weights, StartReport]:
    """The first weights of a run that starts from another run or from a frozen model.

    The last layer is linear, so the mean of points is obtained by averaging their weights. For
    `heads.coordinates` this is exact, except for the last ReLU of `senet_original`. For
    `heads.soft_argmax` it averages the logarithms of the maps, which multiplies the maps: this
    gives the mean of the points exactly if the maps are Gaussians of one width, and approximately
    otherwise.

    Args:
      network: network of the new run. Options that change no variable of the landmarks may differ
        from those of the start: dropout, weight decay, pose, depth, attributes.
      maker: makes the new run's batches. Its records have the new scheme. Points that are in no
        table are fitted to its faces, without augmentation.
      start: folder of the run to start from, or prefix of one of its checkpoints
        (`RUN/checkpoints/model.ckpt-500`), or a frozen model: the path of its `.pb`, or the name of
        one that ships.
      threads: as in `runtime.session_config`.

    Returns:
      Values of the training graph's model variables, except those in the report's `initialised`
      (moving averages where the checkpoint has them), and the report.

    Raises:
      InputError: the start is neither a run nor a model, has no checkpoint, or has another network
        or width.
    """
    origin = read_start(start, network)
    old, new = get_scheme(origin.scheme), maker.store.scheme
    # Variables that the landmarks need must match; heads of auxiliary tasks may be initialised.
    plain = replace(network, pose=False, depth=False, attributes=())
    needed = _shapes(plain, old.points)
    _check(origin, network, needed, start)
    values = origin.weights
    if origin.frozen:
        images = [
            maker.batch(step)["image"] for step in range(-(-SAMPLE_FACES // maker.batch_size))
        ]
        values = with_batch_norm(values, plain, old.points, images, threads)
    wanted = _shapes(network, new.points, is_training=True)
    layer: set[str] = set()
    means, origins = np.eye(new.points), _all(new, "same")
    if old.name != new.name:
        # The last layer consists of the variables whose shapes depend on the number of points.
        other = _shapes(plain, old.points + 1) if new.points == old.points else wanted
        layer = {name for name, shape in needed.items() if shape != other[name]}
        means, origins = _known_means(old, new)
        if "fitted" in origins:
            predicted, truth = _predicted(plain, old, maker, values, origin.checkpoint, threads)
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
        old_scheme=old.name,
        new_scheme=new.name,
        copied=tuple(sorted(set(weights) - layer)),
        converted=tuple(sorted(layer)),
        initialised=tuple(sorted(set(wanted) - set(weights))),
        origins=tuple(origins),
        means=means,
    )


def assign_start(session: tf.Session, weights: Weights, average: MovingAverage | None) -> None:
    """Assigns first weights to the model variables of the session's graph and to their averages.

    Variables that `weights` lacks keep their values, and their averages get the same values.
    Nothing is added to the graph.

    Args:
      session: session whose variables are initialised.
      weights: weights from `initial_weights`.
      average: the moving averages of the model variables, or None.

    Raises:
      InputError: a value and its variable have different shapes.
    """
    variables = slim.get_model_variables()
    current = session.run({variable.op.name: variable for variable in variables})
    feed, initialisers = {}, []
    for variable in variables:
        name = variable.op.name
        value = weights.get(name, current[name])
        if value.shape != current[name].shape:
            raise InputError(
                f"The start's variable {name} is {value.shape}, not {current[name].shape}."
            )
        for target in (variable, average.average(variable) if average else None):
            if target is not None:
                feed[target.initializer.inputs[1]] = value
                initialisers.append(target.initializer)
    session.run(initialisers, feed)


def fitted_mean(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Finds the few old points whose mean is nearest to a new point.

    Tries all groups of 1 to `MOST` points among the `NEAREST` ones, and chooses the group whose
    mean has the smallest mean distance to the new point.

    Args:
      predicted: [N, K, 2], old points of N faces.
      truth: [N, 2], the new point of each face, NaN where unknown.

    Returns:
      float64 [K], weights of the old points; they sum to 1. All are equal if no face has the new
      point.
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


def _known_means(old: Scheme, new: Scheme) -> tuple[np.ndarray, list[Origin]]:
    """The means [L, K] that the tables give; zeros and `fitted` for points without a table."""
    if can_convert(old.name, new.name):
        table = _table(old, new)
        told = np.isfinite(table).all(axis=1)
        origins: list[Origin] = ["table" if known else "fitted" for known in told]
        return np.where(told[:, None], table, 0), origins
    means = np.zeros((new.points, old.points))
    if can_convert(new.name, old.name):
        # An old point that equals a single new point gives the position of this new point.
        means[:] = (_table(new, old) == 1).T
        means /= np.maximum(means.sum(axis=1, keepdims=True), 1)
    return means, ["inverse" if row.any() else "fitted" for row in means]


def _table(old: Scheme, new: Scheme) -> np.ndarray:
    """The conversion table as a matrix [L, K]."""
    unit_points = np.repeat(np.eye(old.points)[..., None], 2, axis=-1)
    return convert(unit_points, old.name, new.name)[..., 0].T


def _converted(value: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Converts weights or biases from [..., K C] to [..., L C]; a point has C adjacent outputs."""
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
    """Predicted old points [N, K, 2] and true new points [N, L, 2] on faces of the new records."""
    plain = replace(maker, augment=NO_AUGMENTATION, shape_model=None)
    count = min(SAMPLE_FACES, len(maker.store))
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
    """Raises InputError, which names a variable, if the start has another network."""
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
