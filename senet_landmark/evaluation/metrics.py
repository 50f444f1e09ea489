"""Errors of landmarks, in NumPy; `output_metrics.py` has those of a model's other outputs.

Errors are shares: 0.04 is 4 percent. `statistics.py` summarises them.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from senet_landmark.errors import InputError
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
