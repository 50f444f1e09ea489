"""How sure a model is of each landmark, and that a crop shows a face.

Both come from the spread of a point. In a model with maps a point is the expectation of a map, and
its spread is the map's standard deviation. A model without maps also runs on the mirrored crop; the
spread is the distance between the two predictions. Freezing fits two curves to held-out faces:
the expected error of a point with a given spread, and the probability that a crop with a given mean
spread shows a face. The contract has both curves.
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
    return np.asarray(curve.scale * np.maximum(spread, LEAST) ** curve.exponent)


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
    """Fits a power law to mean errors of points with similar spread; both [N, K], NaN left out."""
    known = np.isfinite(spread) & np.isfinite(errors)
    order = np.argsort(spread[known], kind="stable")
    log_means = [
        (np.log(np.maximum(part[0].mean(), LEAST)), np.log(max(part[1].mean(), 1e-9)))
        for part in zip(
            np.array_split(spread[known][order], BINS),
            np.array_split(errors[known][order], BINS),
            strict=True,
        )
        if len(part[0])
    ]
    x, y = np.array(log_means).T
    exponent = float(np.polyfit(x, y, 1)[0]) if np.ptp(x) > 1e-6 else 0.0
    exponent = max(exponent, 0.0)  # a larger spread never means a smaller error
    return ExpectedError(
        scale=float(f"{np.exp((y - exponent * x).mean()):.6g}"), exponent=round(exponent, 4)
    )


def separation(faces: np.ndarray, others: np.ndarray) -> float:
    """The share of pairs of a face and another crop in which the model is surer of the face.

    The area under the ROC curve: 0.5 is chance, 1 perfect. Args as `fit_confidence`.
    """
    of_others = np.sort(_log_mean(others))
    return float(1 - np.searchsorted(of_others, _log_mean(faces)).mean() / len(of_others))


def _log_mean(spread: np.ndarray) -> np.ndarray:
    """The logarithm of the mean spread of each face, [N]."""
    return np.asarray(np.log(np.maximum(spread.mean(axis=1), LEAST)))
