"""Errors of landmarks, their depth, pose and attributes, in NumPy.

Errors are shares: 0.04 is 4 percent. `statistics.py` summarises them.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from senet_landmark.errors import InputError
from senet_landmark.face.attributes import get_attribute
from senet_landmark.face.depth import centred
from senet_landmark.face.schemes import Scheme

Kind = Literal["inter_ocular", "inter_pupil", "bbox_diagonal", "bbox_size"]

Points = Sequence[int] | np.ndarray | None
"""The landmarks that count: their indices, or a bool mask [K] or [N, K]; None: all."""


class Normaliser(NamedTuple):
    """A length that errors are divided by.

    Attributes:
      length: (ground truth [N, K, 2], scheme) -> the length in each face, [N].
      problem: the message for a face whose length is 0 or NaN.
    """

    length: Callable[[np.ndarray, Scheme], np.ndarray]
    problem: str


def _corner_distance(truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    left, right = scheme.outer_eye_corners
    return np.linalg.norm(truth[:, left] - truth[:, right], axis=-1)


def _pupil_distance(truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    left, right = (truth[:, list(eye)].mean(axis=1) for eye in scheme.eyes)
    return np.linalg.norm(left - right, axis=-1)


def _box_sides(truth: np.ndarray) -> np.ndarray:
    return np.fmax.reduce(truth, axis=1) - np.fmin.reduce(truth, axis=1)  # of the known landmarks


NORMALISERS: dict[Kind, Normaliser] = {
    "inter_ocular": Normaliser(
        _corner_distance, "its outer eye corners coincide or are unknown; no inter-ocular NME"
    ),
    "inter_pupil": Normaliser(
        _pupil_distance, "its pupils coincide or are unknown; no inter-pupil NME"
    ),
    "bbox_diagonal": Normaliser(
        lambda truth, _: np.linalg.norm(_box_sides(truth), axis=-1), "its landmarks span no box"
    ),
    "bbox_size": Normaliser(
        lambda truth, _: np.sqrt(np.prod(_box_sides(truth), axis=-1)), "its landmarks span no area"
    ),
}
"""What distances are divided by.

- `inter_ocular`: the distance of the outer eye corners. Sagonas et al., "300 Faces in-the-Wild
  Challenge", 2016.
- `inter_pupil`: the distance of the pupils (`Scheme.eyes`). Ren et al., "Face Alignment at 3000 FPS
  via Regressing Local Binary Features", CVPR 2014 (experiments). Schemes without pupils use the
  means of the eye outlines: Kowalski et al., "Deep Alignment Network", CVPRW 2017.
- `bbox_diagonal`: the diagonal of the tight box of the ground truth. Kowalski et al., as above
  (error measures; `diagonal` in its code).
- `bbox_size`: the square root of that box's area. Zhu et al., "Face Alignment Across Large Poses",
  CVPR 2016, section 6.2: for turned faces, whose eye corners are close together in the image.
"""


def normaliser(
    truth: np.ndarray,
    scheme: Scheme,
    kind: Kind,
    names: Sequence[str] | None = None,
    *,
    strict: bool = True,
) -> np.ndarray:
    """The length that the errors of each face are divided by; `NORMALISERS` has the sources.

    Args:
      truth: ground truth [N, K, 2] in pixels, or any unit that is the same in x and y; NaN where
        unknown.
      scheme: landmark scheme of `truth`.
      kind: key of `NORMALISERS`.
      names: names of the faces, for messages.
      strict: whether a length of 0 or an unknown one is an error; else it is NaN.

    Returns:
      float64 [N] in the unit of `truth`. Boxes are those of the known landmarks.

    Raises:
      InputError: unknown kind, wrong shape, or, if `strict`, a face whose length is 0 or unknown.
    """
    if kind not in NORMALISERS:
        raise InputError(f"Unknown normaliser {kind!r}. Known: {', '.join(NORMALISERS)}.")
    truth = np.asarray(truth, np.float64)
    if truth.ndim != 3 or truth.shape[1:] != (scheme.points, 2):
        raise InputError(f"Truth {truth.shape} must be [N, {scheme.points}, 2] ({scheme.name}).")
    length = NORMALISERS[kind].length(truth, scheme)
    bad = ~((length > 0) & (length < np.inf))  # NaN as well
    if strict and bad.any():
        raise InputError(f"{_face(int(np.argmax(bad)), names)}: {NORMALISERS[kind].problem}.")
    return np.where(bad, np.nan, length)


def unmeasurable(truth: np.ndarray, scheme: Scheme) -> str | None:
    """Why no error of a face can be measured; None where it can, by at least one normaliser.

    Args:
      truth: ground truth [K, 2]; NaN where unknown.
      scheme: landmark scheme of `truth`.
    """
    if not np.isfinite(truth).all(axis=-1).any():
        return "none of its landmarks is known"
    lengths = {
        kind: float(rule.length(truth[None], scheme)[0]) for kind, rule in NORMALISERS.items()
    }
    for kind in ("inter_ocular", "inter_pupil"):
        if lengths[kind] == 0:  # not unknown but wrong
            return NORMALISERS[kind].problem
    if not any(length > 0 for length in lengths.values()):
        return "its known landmarks give no eye distance and span no box: nothing to divide by"
    return None


def point_errors(
    predicted: np.ndarray,
    truth: np.ndarray,
    scheme: Scheme,
    kind: Kind = "inter_ocular",
    points: Points = None,
    names: Sequence[str] | None = None,
    *,
    strict: bool = True,
) -> np.ndarray:
    """Normalised Euclidean distance of each landmark.

    Args:
      predicted: [N, K, 2] in pixels, or any unit that is the same in x and y.
      truth: ground truth [N, K, 2] in the same unit.
      scheme: landmark scheme of both.
      kind: key of `NORMALISERS`; the length uses all landmarks of `truth`, independent of `points`.
      points: the landmarks that count: indices, or bool [K] or [N, K]; None: all. Prediction and
        truth of the others may be NaN.
      names: names of the faces, for messages.
      strict: as in `normaliser`: whether a face without this normaliser is an error; else its
        errors are NaN.

    Returns:
      float64 [N, K], as a share; NaN where a landmark does not count.

    Raises:
      InputError: no face; shapes differ or do not fit the scheme; a landmark that counts is NaN or
        infinite; a face has no landmark that counts, or, if `strict`, its normaliser is 0 or
        unknown.
    """
    offsets, known = landmark_offsets(predicted, truth, scheme, points, names)
    length = normaliser(known, scheme, kind, names, strict=strict)
    return np.linalg.norm(offsets, axis=-1) / length[:, None]


def nme(
    predicted: np.ndarray,
    truth: np.ndarray,
    scheme: Scheme,
    kind: Kind = "inter_ocular",
    points: Points = None,
    names: Sequence[str] | None = None,
    *,
    strict: bool = True,
) -> np.ndarray:
    """Normalised mean error of each face, float64 [N], as a share: the mean of its `point_errors`.

    Sagonas et al., "300 Faces in-the-Wild Challenge", 2016, equation 1; `NORMALISERS` has the
    sources of the other lengths. Args and Raises as `point_errors`.
    """
    return mean_known(
        point_errors(predicted, truth, scheme, kind, points, names, strict=strict), axis=1
    )


def landmark_offsets(
    predicted: np.ndarray,
    truth: np.ndarray,
    scheme: Scheme,
    points: Points,
    names: Sequence[str] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction less truth, NaN where a landmark does not count; truth, NaN where unknown.

    Both are float64 [N, K, 2]. Args and Raises as `point_errors`.
    """
    predicted, truth = np.array(predicted, np.float64), np.array(truth, np.float64)
    if predicted.shape != truth.shape or truth.shape != (*truth.shape[:1], scheme.points, 2):
        raise InputError(
            f"Predictions {predicted.shape} and truth {truth.shape} must both be [N, "
            f"{scheme.points}, 2] ({scheme.name}): are they of different landmark schemes?"
        )
    if not len(truth):
        raise InputError("There is no face to measure.")
    counted = as_mask(points, len(truth), scheme, names)
    for what, values in (("prediction", predicted), ("truth", truth)):
        unknown = ~np.isfinite(values).all(axis=-1)
        if (unknown & counted).any():
            face, point = np.argwhere(unknown & counted)[0]
            raise InputError(
                f"{_face(face, names)}: its {what} has NaN or infinity at landmark {point}. Leave "
                "unknown landmarks out with `points`."
            )
        values[unknown] = np.nan
    return np.where(counted[..., None], predicted - truth, np.nan), truth


def mean_known(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean over `axis` without the NaN values; NaN, without a warning, where all are NaN."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def error_by_group(errors: np.ndarray, scheme: Scheme) -> dict[str, float]:
    """Mean error of each facial part.

    Args:
      errors: [N, K], from `point_errors`; NaN where a landmark does not count.
      scheme: its `groups` are the parts.

    Returns:
      Group -> mean over faces of the mean over the group's landmarks; NaN where none counts.
    """
    means = {g: mean_known(errors[:, list(p)], axis=1) for g, p in scheme.groups.items()}
    return {group: float(mean_known(values, axis=0)) for group, values in means.items()}


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


def _face(index: int, names: Sequence[str] | None) -> str:
    return f"Face {index}" if names is None else f"Face {index} ({names[index]})"


def as_mask(
    points: Points, faces: int, scheme: Scheme, names: Sequence[str] | None = None
) -> np.ndarray:
    """`points` as bool [N, K]. Raises InputError if they are not, or nothing of a face counts."""
    shape = (faces, scheme.points)
    if points is None:
        return np.ones(shape, bool)
    selection = np.asarray(points)
    if selection.dtype == bool:
        if selection.shape not in (shape, shape[1:]):
            raise InputError(
                f"The mask of landmarks is {selection.shape}, not {shape} or {shape[1:]}."
            )
        counted = np.broadcast_to(selection, shape)
    else:
        integers = np.issubdtype(selection.dtype, np.integer)
        good = selection.ndim == 1 and selection.size and integers
        if not good or selection.min() < 0 or selection.max() >= scheme.points:
            raise InputError(
                f"`points` must be numbers of landmarks of {scheme.name}, 0 to {scheme.points - 1}."
            )
        counted = np.broadcast_to(np.isin(np.arange(scheme.points), selection), shape)
    empty = np.flatnonzero(~counted.any(axis=1))
    if empty.size:
        raise InputError(f"{_face(empty[0], names)}: no landmark of it counts.")
    return counted
