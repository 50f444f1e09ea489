"""How sure a model is of each landmark, and that a crop shows a face.

Both come from the spread of a point. In a model with maps a point is the expectation of a map, and
its spread is the map's standard deviation. A model without maps also runs on the mirrored crop; the
spread is the distance between the two predictions. Freezing fits two curves to held-out faces
(`export/freezing/calibration.py`): the expected error of a point with a given spread, and the
probability that a crop with a given mean spread shows a face. The contract has both curves.
"""

import numpy as np

from senet_landmark.data.augment import mirror_face
from senet_landmark.export.engines.interface import Engine, Outputs
from senet_landmark.face.schemes import Scheme
from senet_landmark.frozen.contract import Confidence, ExpectedError

LEAST = 1e-4
"""Smaller spreads count as this one; a share of the crop's side."""

BINS = 16
"""Number of bins, with equally many points each, whose mean errors are fitted."""

FEW = 2
"""The mean of all points counts as that many faces in the mean of one point."""


def with_spread(run: Engine, crops: np.ndarray, scheme: Scheme) -> tuple[Outputs, np.ndarray]:
    """The model's outputs on crops uint8 [N, H, W, 3], and the spread of its points [N, K].

    The spread is a share of the crop's side.
    """
    outputs = run(crops)
    if "variance" in outputs:
        return outputs, np.sqrt(np.maximum(outputs["variance"], 0))
    mirrored = run(np.ascontiguousarray(crops[:, :, ::-1]))["landmarks"]
    pairs = zip(crops, mirrored, strict=True)
    mirrored_back = np.stack([mirror_face(crop, points, scheme)[1] for crop, points in pairs])
    return outputs, np.linalg.norm(mirrored_back - outputs["landmarks"], axis=2)


def face_confidence(curve: Confidence | None, spread: np.ndarray) -> np.ndarray:
    """The probability that each crop shows a face, float64 [N], from the spreads [N, K].

    NaN without a curve.
    """
    if curve is None:
        return np.full(len(spread), np.nan)
    power = curve.slope * (_log_mean(spread) - np.log(curve.middle))
    return np.asarray(1 / (1 + np.exp(np.clip(power, -50, 50))))


def expected_errors(curve: ExpectedError | None, spread: np.ndarray) -> np.ndarray:
    """The expected distance of each point from its true position, [N, K].

    It is a share of the crop's side; NaN without a curve.
    """
    if curve is None:
        return np.full(spread.shape, np.nan)
    factors = np.array(curve.factors or 1.0)
    return np.asarray(curve.scale * factors * np.maximum(spread, LEAST) ** curve.exponent)


def fit_confidence(faces: np.ndarray, others: np.ndarray) -> Confidence:
    """Fits the curve to the spreads of faces [N, K] and of crops without a face [M, K].

    It assumes that the logarithm of the mean spread is normally distributed in both, with the same
    variance (Fisher, "The use of multiple measurements in taxonomic problems", 1936, in one
    dimension), and that both are equally frequent.
    """
    of_faces, of_others = _log_mean(faces), _log_mean(others)
    variance = max(float(of_faces.var() + of_others.var()) / 2, 1e-6)
    middle = np.exp((of_faces.mean() + of_others.mean()) / 2)
    slope = float(of_others.mean() - of_faces.mean()) / variance
    return Confidence(middle=round(float(middle), 6), slope=round(slope, 4))


def fit_expected_errors(spread: np.ndarray, errors: np.ndarray) -> ExpectedError:
    """Fits the curve to spreads and true errors of held-out faces, both [N, K]; NaN is left out.

    Each point has its own mean error and mean spread. How much the error grows with the spread is
    the same for all: a power law between mean errors of points whose spread, as a share of their
    mean spread, is similar. On average the faces' expected errors are their true ones.
    """
    known = np.isfinite(spread) & np.isfinite(errors)
    spread = np.maximum(np.where(known, spread, 1), LEAST)
    errors = np.maximum(np.where(known, errors, 1), 1e-9)
    usual_spread = np.exp(_mean_of_points(np.log(spread), known))
    usual_error = _mean_of_points(errors, known)
    x, y = (spread / usual_spread)[known], (errors / usual_error)[known]
    order = np.argsort(x, kind="stable")
    parts = zip(np.array_split(x[order], BINS), np.array_split(y[order], BINS), strict=True)
    log_x, log_y = np.log([(a.mean(), b.mean()) for a, b in parts if len(a)]).T
    exponent = float(np.polyfit(log_x, log_y, 1)[0]) if np.ptp(log_x) > 1e-6 else 0.0
    exponent = round(max(exponent, 0.0), 4)  # a larger spread never means a smaller error
    factors = usual_error / usual_spread**exponent
    factors = np.round(factors / factors.mean(), 3)
    scale = errors[known].mean() / (factors * spread**exponent)[known].mean()
    return ExpectedError(float(f"{scale:.6g}"), exponent, tuple(factors.tolist()))


def _mean_of_points(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The mean of each point's known values, [K], drawn to that of all points if few are known."""
    total = np.where(known, values, 0).sum(axis=0) + FEW * values[known].mean()
    return np.asarray(total / (known.sum(axis=0) + FEW))


def separation(faces: np.ndarray, others: np.ndarray) -> float:
    """The share of pairs of a face and another crop in which the model is surer of the face.

    The area under the ROC curve: 0.5 is chance, 1 perfect. Args as `fit_confidence`.
    """
    of_others = np.sort(_log_mean(others))
    return float(1 - np.searchsorted(of_others, _log_mean(faces)).mean() / len(of_others))


def _log_mean(spread: np.ndarray) -> np.ndarray:
    """The logarithm of the mean spread of each face, [N]."""
    return np.asarray(np.log(np.maximum(spread.mean(axis=1), LEAST)))
