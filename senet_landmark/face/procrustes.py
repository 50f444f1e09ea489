"""Shapes of faces: alignment to a mean shape, how shapes vary, and which landmarks do not fit.

Points are complex numbers x + iy here, so that a rotation with a change of size is one factor. The
unit of aligned shapes is the size of the mean face: the square root of the area of its tight box.

Sources: Gower, "Generalized Procrustes analysis" (1975); Cootes et al., "Active shape models"
(1995), for the components; Huber (1964), for the weights; Alqallaf et al., "Propagation of outliers
in multivariate data" (2009), for the clipping before the first fit (winsorising).
"""

from dataclasses import dataclass

import numpy as np

from senet_landmark.face.pose import MEAN_FACE_3D, rotation_matrix
from senet_landmark.face.scheme_conversion import can_convert, convert
from senet_landmark.face.schemes import TRUE_JAW, Scheme

VARIANCE_SHARE = 0.95
"""Share of the variance that the components keep."""

FOLDS = 4
"""Number of folds: the residual of a face uses components fitted to the other folds' faces."""

BATCH = 2000
"""Faces that are fitted at once, which limits the memory."""


def as_complex(points: np.ndarray) -> np.ndarray:
    """Points [..., K, 2] as complex128 [..., K]; NaN where a coordinate is NaN."""
    points = np.asarray(points, np.float64)
    return points[..., 0] + 1j * points[..., 1]


@dataclass(frozen=True)
class Aligned:
    """Faces aligned to the mean shape: `points = turn * original + move`.

    Attributes:
      points: complex [N, K]; NaN where unknown.
      turn: complex [N]; scale and rotation, whose angle is positive clockwise.
      move: complex [N].
    """

    points: np.ndarray
    turn: np.ndarray
    move: np.ndarray

    def distance(self, mean: np.ndarray) -> np.ndarray:
        """Root mean square distance [N] of the known points to the mean."""
        return np.sqrt(np.nanmean(np.abs(self.points - mean) ** 2, axis=1))


def align(points: np.ndarray, mean: np.ndarray, iterations: int = 6) -> Aligned:
    """Rotates, scales and moves faces onto the mean shape; points that do not fit count less.

    Args:
      points: complex [N, K]; NaN where unknown.
      mean: complex [K].
      iterations: how many times the weights are computed.
    """
    known = np.isfinite(points)
    filled = np.where(known, points, 0)
    weights = known.astype(np.float64)
    for _ in range(iterations):
        total = np.maximum(weights.sum(1, keepdims=True), 1e-9)
        centre = (weights * filled).sum(1, keepdims=True) / total
        target = (weights * mean).sum(1, keepdims=True) / total
        centred = filled - centre
        size = (weights * np.abs(centred) ** 2).sum(1)
        turn = (weights * centred.conj() * (mean - target)).sum(1) / np.maximum(size, 1e-12)
        move = target[:, 0] - turn * centre[:, 0]
        aligned = turn[:, None] * filled + move[:, None]
        distance = np.where(known, np.abs(aligned - mean), np.nan)
        usual = 1.5 * np.nan_to_num(_median(distance)) + 1e-9
        weights = np.where(known, 1 / np.maximum(1, distance / usual[:, None]), 0.0)
    return Aligned(np.where(known, aligned, np.nan), turn, move)


def _median(values: np.ndarray) -> np.ndarray:
    """Median of each row [N], without its NaN values; NaN where all are NaN."""
    return np.array(np.ma.median(np.ma.masked_invalid(values), axis=1).filled(np.nan))


def mean_shape(points: np.ndarray, scheme: Scheme, iterations: int = 5) -> np.ndarray:
    """The symmetric Procrustes mean, complex [K], of faces [N, K]; by medians.

    The mean is upright only if most faces are.
    """
    low, high = _corners(points)
    scaled = (points - ((low + high) / 2)[:, None]) / np.abs(high - low)[:, None]
    mean = _symmetric(_median_shape(scaled), scheme)
    for _ in range(iterations):
        mean = _symmetric(_median_shape(align(points, mean).points), scheme)
    return mean


def _corners(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Top left and bottom right corner of each face's tight box, complex [N] each."""
    low = np.nanmin(points.real, axis=1) + 1j * np.nanmin(points.imag, axis=1)
    high = np.nanmax(points.real, axis=1) + 1j * np.nanmax(points.imag, axis=1)
    return low, high + 1e-9 * (1 + 1j)


def _median_shape(points: np.ndarray) -> np.ndarray:
    return _median(points.real.T) + 1j * _median(points.imag.T)


def _symmetric(mean: np.ndarray, scheme: Scheme) -> np.ndarray:
    """`mean` made symmetric, centred, of size 1; a point that no face has is put at the centre."""
    mean = np.where(np.isfinite(mean), mean, np.nanmean(mean))
    mean = mean - mean.mean()
    mean = (mean + mirrored(mean, scheme)) / 2
    width, height = np.ptp(mean.real), np.ptp(mean.imag)
    return mean / np.sqrt(max(width * height, 1e-12))


def mirrored(points: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Centred faces [..., K] mirrored left to right."""
    return -points.conj()[..., scheme.mirror_index]


@dataclass(frozen=True)
class Components:
    """How aligned faces differ from their mean.

    Attributes:
      basis: float64 [2K, P], orthonormal; x of all points, then y.
      variance: float64 [P], along each component.
      noise: variance of a coordinate that the components do not explain.
    """

    basis: np.ndarray
    variance: np.ndarray
    noise: float


def fit_components(covariance: np.ndarray, faces: int) -> Components:
    """The components that keep `VARIANCE_SHARE` of the variance, from the covariance [2K, 2K].

    At most a third of the degrees of freedom, and at most a third of the number of `faces`.
    """
    variance, basis = np.linalg.eigh(covariance)
    variance, basis = np.maximum(variance[::-1], 0), basis[:, ::-1]
    share = np.cumsum(variance) / max(variance.sum(), 1e-12)
    # Alignment removes position, rotation and size: 5 points keep 6 degrees of freedom.
    most = min((len(variance) - 4) // 3, max(faces // 3, 1))
    count = min(int(np.searchsorted(share, VARIANCE_SHARE)) + 1, most)
    rest = variance[count:].sum() / max(len(variance) - 4 - count, 1)
    return Components(basis[:, :count], variance[:count], max(float(rest), 1e-8))


def residuals(differences: np.ndarray, model: Components, iterations: int) -> np.ndarray:
    """Offset of each point from the most plausible face: complex [N, K]; NaN where unknown.

    The coefficients are the most probable ones under the components' variances, with Huber weights:
    a misplaced point keeps a large offset and hardly changes the offsets of the others.

    Args:
      differences: complex [N, K], aligned points minus their mean; NaN where unknown.
      model: how faces differ.
      iterations: how many times the weights are computed.
    """
    offsets = [
        _residuals(differences[start : start + BATCH], model, iterations)
        for start in range(0, len(differences), BATCH)
    ]
    return np.concatenate(offsets) if offsets else np.zeros(differences.shape, complex)


def _residuals(differences: np.ndarray, model: Components, iterations: int) -> np.ndarray:
    known = np.isfinite(differences)
    filled = np.where(known, differences, 0)
    values = np.concatenate([filled.real, filled.imag], axis=1)
    weights = known.astype(np.float64)
    prior = np.diag(model.noise / np.maximum(model.variance, 1e-12))
    points = differences.shape[1]
    products = np.einsum("kp,kq->kpq", model.basis, model.basis)
    products = products[:points] + products[points:]
    for _ in range(iterations):
        both = np.concatenate([weights, weights], axis=1)
        normal = np.tensordot(weights, products, axes=1) + prior
        right = (both * values) @ model.basis
        rest = values - np.linalg.solve(normal, right[..., None])[..., 0] @ model.basis.T
        offset = np.where(known, rest[:, :points] + 1j * rest[:, points:], np.nan)
        distance = np.abs(offset)
        usual = 2 * np.nan_to_num(_median(distance)) + np.sqrt(model.noise) / 4
        weights = np.where(known, 1 / np.maximum(1, distance / usual[:, None]), 0.0)
    return offset


def shape_residuals(
    aligned: np.ndarray, mean: np.ndarray, scheme: Scheme, folds: np.ndarray, rounds: int = 3
) -> np.ndarray:
    """Offset of each landmark from where the other points and the other faces predict it.

    Args:
      aligned: complex [N, K], aligned to the mean; NaN where unknown.
      mean: complex [K].
      scheme: gives the mirror permutation; mirror images double the faces.
      folds: int [N], 0 … FOLDS - 1: faces of one person or photo are in the same fold.
      rounds: number of fits; each leaves out the faces that fitted badly in the one before.

    Returns:
      complex [N, K], in sizes of the face; NaN where unknown.
    """
    differences = aligned - mean
    prior = _turned_means(mean, scheme)
    # Before the first fit no face is known to be bad, so large differences are clipped instead.
    spread = 1.4826 * 3 * _median(np.abs(differences).T)
    length = np.abs(differences)
    usable = differences * np.minimum(1, spread / np.maximum(length, 1e-9))
    good = np.ones(len(differences), bool)
    offsets = np.full(differences.shape, np.nan, complex)
    for number in range(rounds):
        for fold in range(FOLDS):
            others = good & (folds != fold)
            model = _fit(usable[others], prior, scheme)
            iterations = 6 if number == rounds - 1 else 2
            offsets[folds == fold] = residuals(differences[folds == fold], model, iterations)
        size = np.sqrt(np.nanmean(np.abs(offsets) ** 2, axis=1))
        good = size <= threshold(size, 5)
        usable = differences
    return offsets


def _fit(differences: np.ndarray, prior: np.ndarray, scheme: Scheme) -> Components:
    filled = np.concatenate([np.where(np.isfinite(differences), differences, 0), prior])
    both = np.concatenate([filled, mirrored(filled, scheme)])
    values = np.concatenate([both.real, both.imag], axis=1)
    return fit_components(values.T @ values / max(len(values), 1), len(filled))


def _turned_means(mean: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Differences [M, K] of views of the mean 3D face, as extra faces: few faces show few poses.

    There are none (M = 0) for a scheme that 68 points cannot be converted to.
    """
    if not can_convert("300w_68", scheme.name):
        return np.zeros((0, scheme.points), complex)
    turns = [(yaw, pitch) for yaw in range(-60, 61, 20) for pitch in (-25, 0, 25)]
    views = [(MEAN_FACE_3D @ rotation_matrix(*turn, 0).T)[:, :2] for turn in turns]
    known_by = TRUE_JAW if scheme.name == TRUE_JAW else "300w_68"
    points = as_complex(np.stack([convert(view, known_by, scheme.name) for view in views]))
    frontal = points[turns.index((0, 0))]
    points = align(points, _symmetric(frontal, scheme)).points
    return points - points[turns.index((0, 0))]


def threshold(values: np.ndarray, deviations: float) -> float:
    """The median plus `deviations` robust standard deviations (from the MAD); ignores NaN."""
    values = values[np.isfinite(values)]
    if not len(values):
        return np.inf
    median = np.median(values)
    return float(median + deviations * 1.4826 * np.median(np.abs(values - median)))
