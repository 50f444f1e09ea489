"""Errors of faces -> statistics: CED, AUC, failure rate, bootstrap intervals, groups."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import (
    NORMALISERS,
    Kind,
    Points,
    as_mask,
    error_by_group,
    mean_known,
    nme,
    normaliser,
    point_errors,
)
from senet_landmark.evaluation.squared_errors import squared_distance_sum, squared_error
from senet_landmark.face.pose import yaw_band
from senet_landmark.face.schemes import Scheme

LIMITS = (0.08, 0.10)
"""Limits of AUC and failure rate: 0.08 for 300W (as in Kowalski et al., CVPRW 2017), 0.10 for WFLW
(Wu et al., "Look at Boundary", CVPR 2018)."""

STEPS = 1000
"""Intervals between thresholds. The code of published methods (menpofit, DAN) samples every 0.0001:
1,000 intervals up to 0.10."""

SQUARED = ("mse_photo_pixels", "squared_distance_sum")
"""The figures that are not percentages but squares: of photo pixels, and of crops' sides."""

UNKNOWN = "unknown"
"""Label of the faces whose label is not known, as in `yaw_band`."""

_MEMORY = 2**21
"""Values that the bootstrap resamples at once: 16 MB, and the same again for their indices."""


def ced(errors: ArrayLike, limit: float, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative error distribution: the share of faces whose error is at most a threshold.

    Sagonas et al., "300 Faces in-the-Wild Challenge", 2016.

    Args:
      errors: [N], shares; +inf for a face that was missed.
      limit: the last threshold.
      steps: intervals between thresholds.

    Returns:
      thresholds [steps + 1] from 0 to `limit`, both included; shares [steps + 1], 0 to 1.

    Raises:
      InputError: no error; one that is NaN or negative; or a limit or steps that are not positive.
    """
    values = np.sort(_checked(errors, limit, steps), axis=None)
    thresholds = np.linspace(0, limit, steps + 1)
    return thresholds, np.searchsorted(values, thresholds, side="right") / values.size


def area_by_face(errors: ArrayLike, limit: float, steps: int = STEPS) -> np.ndarray:
    """Each face's contribution to the AUC, which is their mean: the AUC of the face alone, 0 to 1.

    The area under the cumulative error distribution from 0 to `limit`, divided by `limit`: Yang et
    al., "An Empirical Study of Recent Face Alignment Methods", 2015 (arXiv 1511.05049).
    The integral is the trapezoidal rule over `ced` at `steps + 1` thresholds; menpofit and the code
    of Deep Alignment Network use Simpson's rule on the same samples. It differs by at most
    `0.5 / steps` (0.05 percentage points) from the exact integral,
    `mean(max(0, 1 - error / limit))`.

    Args and Raises as `ced`, except that `errors` may have any shape; the result has the same.
    """
    values = _checked(errors, limit, steps)
    # The first threshold that is not below the error: the face's CED is 0 before it, then 1.
    first = np.searchsorted(np.linspace(0, limit, steps + 1), values, side="left")
    return np.where(first == 0, 1.0, np.maximum(steps - first + 0.5, 0) / steps)


def failure_by_face(errors: ArrayLike, limit: float) -> np.ndarray:
    """Each face's contribution to the failure rate, which is their mean: 1 above `limit`, else 0.

    The failure rate is 1 minus the cumulative error distribution at `limit`. Sagonas et al., 2016,
    as `ced`; an error of exactly `limit` is not a failure. Args, Returns and Raises as
    `area_by_face`.
    """
    return (_checked(errors, limit) > limit).astype(float)


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Bootstrap interval of a statistic over faces, by the percentile method.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3, by
    `scipy.stats.bootstrap`. Faces are drawn independently: where several show the same person, the
    interval is too narrow. A failure rate of 0 has the interval 0 to 0 for every N.

    Args:
      values: [N], one per face.
      statistic: (values [..., N], axis=-1) -> [...], e.g. `np.median`.
      samples: how many times N faces are drawn.
      level: share of the samples that the interval contains.
      seed: the same seed gives the same interval.

    Returns:
      (low, high) in the unit of the statistic; None for a single face, which has no interval.

    Raises:
      InputError: no value, NaN, a level not between 0 and 1, samples < 1, or a statistic that is
        infinite (the mean of errors with a missed face).
    """
    from scipy import stats  # slow to import; training does not need it

    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not values.size or np.isnan(values).any():
        raise InputError(
            "A bootstrap interval needs values [N], at least one and none of them NaN."
        )
    if not 0 < level < 1 or samples < 1:
        raise InputError(
            f"Bootstrap: level {level} must be within 0 and 1, samples {samples} >= 1."
        )
    if len(values) == 1:
        return None
    if not np.isfinite(statistic(values, axis=-1)):
        raise InputError(
            "Bootstrap: the statistic is not finite; is the error of a missed face included?"
        )
    result = stats.bootstrap(
        (values,),
        statistic,
        n_resamples=samples,
        batch=max(1, _MEMORY // len(values)),
        vectorized=True,
        confidence_level=level,
        method="percentile",
        random_state=np.random.default_rng(seed),  # `rng` since SciPy 1.15
    ).confidence_interval
    return float(result.low), float(result.high)


def group_by(labels: Sequence[Hashable]) -> dict[str, np.ndarray]:
    """Label -> indices of its faces, in alphabetical order; the label None becomes `unknown`."""
    names = np.array([UNKNOWN if label is None else str(label) for label in labels], dtype=str)
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


def summarise(
    predicted: np.ndarray,
    truth: np.ndarray,
    scheme: Scheme,
    *,
    yaw: Sequence[float | None] | np.ndarray | None = None,
    subsets: Sequence[str | None] | Mapping[str, ArrayLike] | None = None,
    missed: int = 0,
    points: Points = None,
    names: Sequence[str] | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The metrics of a set of faces, as plain numbers for JSON.

    They are in percent with 4 decimals; those of `SQUARED` have 6 significant digits.

    Args:
      predicted, truth, scheme, points, names: as in `metrics.point_errors`, for the N measured
        faces; in pixels of their photos.
      yaw: [N] in degrees, None or NaN where unknown.
      subsets: the subset of each face, or subset -> bool [N] where subsets overlap.
      missed: number of faces that the detector missed; they are not among the N.
      samples, seed: as in `bootstrap_interval`.

    A face is measured on the landmarks that count, by each normaliser that its known landmarks
    give: a figure is over the faces that have it, and None where none has.

    Returns:
      n: number of measured faces. missed_faces: number of missed faces.
      faces_by_normaliser: normaliser -> how many of the n faces have it.
      partial_faces: how many of the n faces have unknown landmarks. landmarks_measured: number of
        landmarks that were compared, over all n faces.
      nme_inter_ocular, nme_inter_pupil, nme_bbox_diagonal, nme_bbox_size: means over the n faces,
        without the missed ones.
      auc_0.08, auc_0.10, failure_rate_0.08, failure_rate_0.10: of the inter-ocular NME over
        measured and missed faces; a missed face is a failure.
      mse_photo_pixels: mean squared error of a coordinate, in pixels² of the photo.
      squared_distance_sum: the one of `squared_errors.py`; means over the n faces, both.
      normaliser: the one of `by_landmark` and `by_group`: `inter_ocular`, or where no face has it
        the first that one has.
      by_landmark: [K], mean point errors; None where a landmark never counts.
      by_group: the same for each group of `scheme.groups`.
      by_subset, by_yaw: label -> n, nme_inter_ocular, nme_bbox_size, auc_0.10, failure_rate_0.10
        (of the n measured faces: a missed face is in no part), interval_95 (of the inter-ocular
        NME); empty where the labels were not given.
      interval_95: key of each of the ten scalars above -> [low, high]; None for a single face.

    Raises:
      InputError: as `point_errors`; no face, or all missed; not one label per face.
    """
    if missed < 0:
        raise InputError(f"The number of missed faces is {missed}.")
    if not len(truth):
        what = f"the detector missed all {missed} faces" if missed else "there is no face"
        raise InputError(f"Nothing to measure: {what}.")
    figures = _by_face(predicted, truth, scheme, points, names, missed)
    ocular = figures["nme_inter_ocular"]
    counts = {kind: int(np.isfinite(figures[f"nme_{kind}"]).sum()) for kind in NORMALISERS}
    kind = first_known(counts)
    by_point = point_errors(predicted, truth, scheme, kind, points, names, strict=False)
    counted = np.isfinite(truth).all(axis=-1) & np.isfinite(predicted).all(axis=-1)

    def mean(key: str, faces: slice | np.ndarray = slice(None)) -> float | None:
        return _rounded(key, mean_known(figures[key][faces], axis=0))

    def interval(key: str, faces: slice | np.ndarray = slice(None)) -> list[float | None] | None:
        known = figures[key][faces]
        known = known[~np.isnan(known)]
        ends = bootstrap_interval(known, samples=samples, seed=seed) if len(known) else None
        return None if ends is None else [_rounded(key, end) for end in ends]

    def part(faces: np.ndarray) -> dict[str, Any]:
        means = {key: mean(key, faces) for key in ("nme_inter_ocular", "nme_bbox_size")}
        errors = ocular[faces][~np.isnan(ocular[faces])]
        at_limit = {
            "auc_0.10": _percent(area_by_face(errors, 0.10).mean()) if len(errors) else None,
            "failure_rate_0.10": (
                _percent(failure_by_face(errors, 0.10).mean()) if len(errors) else None
            ),
        }
        ends = interval("nme_inter_ocular", faces)
        return {"n": len(faces), **means, **at_limit, "interval_95": ends}

    def parts(groups: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
        return {label: part(faces) for label, faces in groups.items()}

    bands = None if yaw is None else [yaw_band(angle) for angle in yaw]
    return {
        "n": len(ocular),
        **{key: mean(key) for key in figures},
        "missed_faces": int(missed),
        "faces_by_normaliser": counts,
        "partial_faces": int((~np.isfinite(truth).all(axis=(1, 2))).sum()),
        "landmarks_measured": int((counted & as_mask(points, len(truth), scheme)).sum()),
        "normaliser": kind,
        "by_landmark": [_percent(value) for value in mean_known(by_point, axis=0)],
        "by_group": {g: _percent(v) for g, v in error_by_group(by_point, scheme).items()},
        "by_subset": parts(_groups(subsets, len(ocular), "subsets")),
        "by_yaw": parts(_groups(bands, len(ocular), "yaw")),
        "interval_95": {key: interval(key) for key in figures},
    }


def headline_figures(
    predicted: np.ndarray, truth: np.ndarray, scheme: Scheme, *, strict: bool = True
) -> dict[str, float]:
    """The scalars of `summarise`, not rounded, without intervals: fast enough for every validation.

    Landmarks that are NaN in the ground truth do not count, nor do faces without any. A figure that
    no face has is left out; if `strict`, it must not be the inter-ocular NME, by which the best
    weights are chosen.

    Raises:
      InputError: as `point_errors`, or, if `strict`, no face has an inter-ocular NME.
    """
    known = np.isfinite(truth).all(axis=-1)
    faces = known.any(axis=1)
    figures = _by_face(predicted[faces], truth[faces], scheme, known[faces], None, missed=0)
    if strict and np.isnan(figures["nme_inter_ocular"]).all():
        raise InputError("No face to validate on has two known outer eye corners: no NME.")
    means = {key: _unit(key) * float(mean_known(x, axis=0)) for key, x in figures.items()}
    return {key: mean for key, mean in means.items() if not np.isnan(mean)}


def first_known(faces_by_normaliser: Mapping[Kind, int]) -> Kind:
    """The first normaliser that a face has: `inter_ocular` if any has it."""
    return next((kind for kind, count in faces_by_normaliser.items() if count), "inter_ocular")


def errors_by_face(
    predicted: np.ndarray,
    truth: np.ndarray,
    scheme: Scheme,
    points: Points = None,
    names: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """Figure -> each face's error, float64 [N]; the figure is the mean of those that are not NaN.

    Args and Raises as `metrics.point_errors`, but a face needs no more than one of the normalisers.

    Returns:
      `nme_…` of each normaliser, as shares; NaN for a face whose known landmarks do not give it.
      Those of `SQUARED`, where predictions and truth are in pixels of the photo.
    """
    errors = {
        f"nme_{kind}": nme(predicted, truth, scheme, kind, points, names, strict=False)
        for kind in NORMALISERS
    }
    if np.isnan(list(errors.values())).all(axis=0).any():
        normaliser(truth, scheme, "bbox_diagonal", names)  # names the face
    squares = (squared_error, squared_distance_sum)
    return errors | {
        key: function(predicted, truth, scheme, points, names)
        for key, function in zip(SQUARED, squares, strict=True)
    }


def _by_face(
    predicted: np.ndarray,
    truth: np.ndarray,
    scheme: Scheme,
    points: Points,
    names: Sequence[str] | None,
    missed: int,
) -> dict[str, np.ndarray]:
    """Metric -> each face's contribution [N]; the metric is their mean, also in the bootstrap."""
    errors = errors_by_face(predicted, truth, scheme, points, names)
    squares = {key: errors.pop(key) for key in SQUARED}
    ocular = errors["nme_inter_ocular"]
    ocular = ocular[~np.isnan(ocular)]
    # Without any inter-ocular error the missed faces alone would make an AUC of 0.
    every = np.r_[ocular, np.full(missed, np.inf)] if len(ocular) else ocular
    areas = {f"auc_{x:.2f}": area_by_face(every, x) if len(every) else every for x in LIMITS}
    failures = {
        f"failure_rate_{x:.2f}": failure_by_face(every, x) if len(every) else every for x in LIMITS
    }
    return {**errors, **areas, **failures, **squares}


def _groups(
    labels: Sequence[str | None] | Mapping[str, ArrayLike] | None, faces: int, what: str
) -> dict[str, np.ndarray]:
    if labels is None:
        return {}
    if isinstance(labels, Mapping):
        masks = {name: np.asarray(mask) for name, mask in labels.items()}
        wrong = [n for n, mask in masks.items() if mask.shape != (faces,) or mask.dtype != bool]
        if wrong:
            raise InputError(f"Subset {wrong[0]!r} must be a bool for each of the {faces} faces.")
        return {name: np.flatnonzero(mask) for name, mask in masks.items()}
    if len(labels) != faces:
        raise InputError(f"There are {len(labels)} labels ({what}) for {faces} faces.")
    return group_by(labels)


def _unit(key: str) -> float:
    return 1.0 if key in SQUARED else 100.0


def _rounded(key: str, value: float | np.ndarray) -> float | None:
    if key not in SQUARED:
        return _percent(value)
    return None if np.isnan(value) else float(f"{float(value):.6g}")


def _percent(share: float | np.ndarray) -> float | None:
    return None if np.isnan(share) else round(100 * float(share), 4)


def _checked(errors: ArrayLike, limit: float, steps: int = 1) -> np.ndarray:
    values = np.asarray(errors, np.float64)
    if not values.size:
        raise InputError("There is no error to summarise.")
    if not (values >= 0).all():  # NaN as well
        raise InputError("Errors must not be NaN or negative; +inf is a missed face.")
    if not (0 < limit < np.inf and steps >= 1):
        raise InputError(f"Limit {limit} and steps {steps} must be positive.")
    return values
