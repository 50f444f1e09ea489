"""Errors of pose, depth and attributes, in NumPy; those of landmarks are in `metrics.py`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import mean_known, normaliser
from senet_landmark.face.attributes import get_attribute
from senet_landmark.face.depth import centred
from senet_landmark.face.schemes import Scheme


def pose_errors(predicted: ArrayLike, truth: ArrayLike) -> np.ndarray:
    """Absolute error of each angle in degrees, modulo 360: 179 and -179 are 2 degrees apart.

    Args:
      predicted: [N, 3], yaw, pitch, roll in degrees (`senet_landmark.face.pose`).
      truth: ground truth, the same; NaN where unknown.

    Returns:
      float64 [N, 3], 0 to 180; NaN where the truth is unknown.

    Raises:
      InputError: no face, shapes are not [N, 3], an infinity, or a prediction that is NaN.
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape or truth.shape != (*truth.shape[:1], 3):
        raise InputError(
            f"Poses must both be [N, 3], yaw, pitch, roll: {predicted.shape} and {truth.shape}."
        )
    if not len(truth):
        raise InputError("There is no pose to measure.")
    if not np.isfinite(predicted).all() or np.isinf(truth).any():
        raise InputError("Predicted poses hold NaN, or poses hold infinity.")
    return np.abs((predicted - truth + 180) % 360 - 180)


def pose_mae(predicted: ArrayLike, truth: ArrayLike) -> dict[str, float]:
    """Mean absolute error of `yaw`, `pitch`, `roll` in degrees, and their `mean`.

    Ruiz et al., "Fine-Grained Head Pose Estimation Without Keypoints" (Hopenet), CVPRW 2018, tables
    of AFLW2000. That paper leaves out the 31 photos of AFLW2000 with an angle beyond 99 degrees.
    Here nothing is left out: to compare with the paper, pass only the other photos. Args and Raises
    as `pose_errors`; an angle that is never known is NaN, and then `mean` is NaN too.
    """
    yaw, pitch, roll = mean_known(pose_errors(predicted, truth), axis=0).tolist()
    return {"yaw": yaw, "pitch": pitch, "roll": roll, "mean": (yaw + pitch + roll) / 3}


def depth_errors(predicted: ArrayLike, truth: ArrayLike) -> np.ndarray:
    """Mean absolute error of each face's depths, float64 [N], in their unit.

    Only differences of depth count: both are taken from their mean over the known points.

    Args:
      predicted: [N, K].
      truth: [N, K]; NaN where unknown: left out.

    Returns:
      NaN for a face without a known depth.

    Raises:
      InputError: wrong shapes.
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.ndim != 2 or predicted.shape != truth.shape:
        raise InputError(f"Depths must both be [N, K]: {predicted.shape} and {truth.shape}.")
    known = np.isfinite(truth)
    errors = np.abs(centred(np.where(known, predicted, np.nan)) - centred(truth))
    return mean_known(errors, axis=1)


def nme_3d(predicted: np.ndarray, truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Mean distance in three dimensions of each face's points, as a share of the box's size.

    As `nme` by `bbox_size`, with the depth as third coordinate; depths are taken from their mean
    over the known points, because nothing in a photo tells a face's distance.

    Args:
      predicted, truth: [N, K, 3], x, y and depth in pixels; NaN in the truth where unknown.
      scheme: landmark scheme of both.

    Returns:
      float64 [N]; NaN for a face of which no point is known with its depth, or without a box.

    Raises:
      InputError: wrong shapes.
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape or truth.shape[1:] != (scheme.points, 3):
        raise InputError(
            f"Points with depth must both be [N, {scheme.points}, 3]: {predicted.shape} and "
            f"{truth.shape}."
        )
    size = normaliser(truth[..., :2], scheme, "bbox_size", strict=False)
    known = np.isfinite(truth).all(axis=-1, keepdims=True)
    offsets = np.where(known, predicted - truth, np.nan)
    offsets[..., 2] = centred(offsets[..., 2])
    return mean_known(np.linalg.norm(offsets, axis=-1), axis=1) / size


def attribute_accuracy(
    predicted: ArrayLike, truth: ArrayLike, names: Sequence[str]
) -> dict[str, float]:
    """Share of the faces whose class of each attribute is right.

    Zhang et al., "Facial Landmark Detection by Deep Multi-task Learning", ECCV 2014, for MTFL's
    attributes. Where classes are imbalanced, compare it with the share of the most common class.

    Args:
      predicted: [N, A], class numbers.
      truth: [N, A], class numbers; NaN where unknown: left out.
      names: names of the A attributes, keys of `senet_landmark.face.attributes.ATTRIBUTES`.

    Returns:
      Name -> share; NaN where the truth is never known.

    Raises:
      InputError: no face, wrong shapes, an unknown name, or a value that is not a class number.
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape or truth.shape != (*truth.shape[:1], len(names)):
        raise InputError(
            f"Attributes must both be [N, {len(names)}] ({', '.join(names)}): {predicted.shape} "
            f"and {truth.shape}."
        )
    if not len(truth):
        raise InputError("There is no attribute to measure.")
    for index, name in enumerate(names):
        check_classes(np.r_[predicted[:, index], truth[~np.isnan(truth[:, index]), index]], name)
    right = np.where(np.isnan(truth), np.nan, predicted == truth)
    return dict(zip(names, mean_known(right, axis=0).tolist(), strict=True))


def check_classes(values: np.ndarray, name: str) -> None:
    """Raises InputError unless all values are class numbers of the attribute `name`."""
    last = len(get_attribute(name).classes) - 1
    if not np.isin(values, np.arange(last + 1)).all():
        raise InputError(f"Classes of {name} are the numbers 0 to {last}.")
