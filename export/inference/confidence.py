"""How sure a model is: of each point of a face, and that it sees a face at all.

Both come from a point's spread: the deviation of the map that the point is the expectation of; a
model without maps is also asked about the mirrored crop, and its spread is how far the two answers
lie apart. Freezing fits to held-out faces how far from the truth points of a spread are, and how
the mean spread tells faces from crops beside them; the contract has both.
"""

import numpy as np

from senet_landmark.data.augment import mirror_face
from senet_landmark.export.engines.interface import Engine, Outputs
from senet_landmark.face.schemes import Scheme
from senet_landmark.frozen.contract import Confidence, ExpectedError

LEAST = 1e-4
"""The smallest spread that is told from others, as a share of the crop's side."""

BINS = 16
"""Parts of equally many points that the mean error is taken of."""


def with_spread(run: Engine, crops: np.ndarray, scheme: Scheme) -> tuple[Outputs, np.ndarray]:
    """What a model says of crops uint8 [N, H, W, 3], and the spread of its points, [N, K].

    The spread is a share of the crop's side.
    """
    found = run(crops)
    if "variance" in found:
        return found, np.sqrt(np.maximum(found["variance"], 0))
    mirrored = run(np.ascontiguousarray(crops[:, :, ::-1]))["landmarks"]
    pairs = zip(crops, mirrored, strict=True)
    back = np.stack([mirror_face(crop, points, scheme)[1] for crop, points in pairs])
    return found, np.linalg.norm(back - found["landmarks"], axis=2)


def face_confidence(curve: Confidence | None, spread: np.ndarray) -> np.ndarray:
    """The probability that each crop shows a face, float64 [N], of spreads [N, K].

    NaN where there is no curve.
    """
    if curve is None:
        return np.full(len(spread), np.nan)
    power = curve.slope * (_log_mean(spread) - np.log(curve.middle))
    return np.asarray(1 / (1 + np.exp(np.clip(power, -50, 50))))


def expected_errors(curve: ExpectedError | None, spread: np.ndarray) -> np.ndarray:
    """How far from its true place each point is on average, [N, K] as a share of the crop's side.

    NaN where there is no curve.
    """
    if curve is None:
        return np.full(spread.shape, np.nan)
    return np.asarray(curve.scale * np.maximum(spread, LEAST) ** curve.exponent)


def fit_confidence(faces: np.ndarray, others: np.ndarray) -> Confidence:
    """Fits the curve to the spreads of faces [N, K] and of crops without a face [M, K].

    The logarithm of the mean is taken for normally distributed in both, with one deviation (Fisher,
    "The use of multiple measurements in taxonomic problems", 1936, in one dimension), and both for
    equally frequent.
    """
    of_faces, of_others = _log_mean(faces), _log_mean(others)
    variance = max(float(of_faces.var() + of_others.var()) / 2, 1e-6)
    middle = np.exp((of_faces.mean() + of_others.mean()) / 2)
    slope = float(of_others.mean() - of_faces.mean()) / variance
    return Confidence(middle=round(float(middle), 6), slope=round(slope, 4))


def fit_expected_errors(spread: np.ndarray, errors: np.ndarray) -> ExpectedError:
    """Fits a power law to the mean errors of points of like spread; both [N, K], NaN left out."""
    known = np.isfinite(spread) & np.isfinite(errors)
    order = np.argsort(spread[known], kind="stable")
    parts = [
        (np.log(np.maximum(part[0].mean(), LEAST)), np.log(max(part[1].mean(), 1e-9)))
        for part in zip(
            np.array_split(spread[known][order], BINS),
            np.array_split(errors[known][order], BINS),
            strict=True,
        )
        if len(part[0])
    ]
    x, y = np.array(parts).T
    exponent = float(np.polyfit(x, y, 1)[0]) if np.ptp(x) > 1e-6 else 0.0
    exponent = max(exponent, 0.0)  # a larger spread is never the surer
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
    return np.asarray(np.log(np.maximum(spread.mean(axis=1), LEAST)))
