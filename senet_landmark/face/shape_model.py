"""The active shape model: a mean shape and the few ways in which faces differ from it.

Cootes et al., "Active Shape Models - Their Training and Application", 1995, sections 3 and 4:
shapes are aligned, their principal components kept up to a share of the variance, and a shape is
copied by its coefficients, each limited to three deviations. Fard et al., "ASMNet", CVPRW 2021,
section 3.2, train with such copies, smoother than the truth, as second target. Their code does not
align the shapes; here they are, as in Cootes et al., so that a turned face has a turned copy.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.face.schemes import Scheme, get_scheme
from senet_landmark.io.files import read_json, write_json

LIMIT = 3.0
"""Deviations that a coefficient is limited to."""

_ALIGNMENTS = 5


@dataclass(frozen=True)
class ShapeModel:
    """A shape model of K landmarks.

    Attributes:
      scheme: landmark scheme.
      mean: float64 [K, 2], about its own centre, of norm 1.
      components: float64 [C, 2 K], orthonormal rows, x0, y0, x1 ….
      variances: float64 [C], of the coefficients, largest first.
      share: of the variance of the aligned shapes that the components have.
      shapes: how many it was fitted to.
    """

    scheme: str
    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    share: float
    shapes: int


def fit_shape_model(landmarks: np.ndarray, scheme: Scheme, share: float = 0.9) -> ShapeModel:
    """Fits a model to faces and their mirror images.

    Args:
      landmarks: [N, K, 2], in any unit; faces with an unknown (NaN) landmark are left out.
      scheme: theirs.
      share: of the variance that is to be kept at least.

    Raises:
      InputError: fewer than two whole faces, or a share not in (0, 1].
    """
    if not 0 < share <= 1:
        raise InputError(f"The share of the variance must be in (0, 1], not {share}.")
    whole = np.asarray(landmarks, np.float64)
    whole = whole[np.isfinite(whole).all(axis=(1, 2))]
    if len(whole) < 2:
        raise InputError(
            f"A shape model needs faces with all {scheme.points} landmarks; there are {len(whole)}."
        )
    shapes = np.concatenate([whole, whole[:, scheme.mirror_index] * (-1, 1)])
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    # With the mirror images among them, the mean stays upright and symmetric.
    mean = (shapes / np.linalg.norm(shapes, axis=(1, 2), keepdims=True)).mean(axis=0)
    for _ in range(_ALIGNMENTS):
        aligned = _turned(shapes, _similarity(shapes, mean))
        mean = aligned.mean(axis=0)
        mean /= np.linalg.norm(mean)
    aligned = _turned(shapes, _similarity(shapes, mean)).reshape(len(shapes), -1)
    _, singular, components = np.linalg.svd(aligned - mean.ravel(), full_matrices=False)
    variances = singular**2 / len(aligned)
    shares = np.cumsum(variances) / variances.sum()
    count = int(np.searchsorted(shares, share - 1e-9)) + 1
    return ShapeModel(
        scheme=scheme.name,
        mean=mean,
        components=components[:count],
        variances=variances[:count],
        share=float(shares[count - 1]),
        shapes=len(whole),
    )


def asm_copy(model: ShapeModel, landmarks: np.ndarray) -> np.ndarray:
    """The copies of faces that the model can make, float32 [N, K, 2], where the faces are.

    A turned, scaled or moved face has the turned, scaled or moved copy. A face with an unknown
    (NaN) landmark is its own copy.
    """
    given = np.asarray(landmarks, np.float64)
    if given.shape[1:] != model.mean.shape:
        raise InputError(f"The shape model has {len(model.mean)} landmarks, not {given.shape[1]}.")
    whole = np.isfinite(given).all(axis=(1, 2))
    centres = given[whole].mean(axis=1, keepdims=True)
    shapes = given[whole] - centres
    turn = _similarity(shapes, model.mean)
    offsets = _turned(shapes, turn).reshape(len(shapes), model.mean.size) - model.mean.ravel()
    limits = LIMIT * np.sqrt(model.variances)
    coefficients = np.clip(offsets @ model.components.T, -limits, limits)
    copies = (model.mean.ravel() + coefficients @ model.components).reshape(shapes.shape)
    result = given.astype(np.float32)
    result[whole] = _turned(copies, 1 / turn) + centres
    return result


def save_shape_model(path: Path | str, model: ShapeModel) -> None:
    """Writes the model as JSON, whole or not at all."""
    values = {key: np.asarray(value).tolist() for key, value in vars(model).items()}
    write_json(path, values)


def load_shape_model(path: Path | str) -> ShapeModel:
    """Reads what `save_shape_model` wrote. Raises InputError that names the file."""
    values = read_json(path)
    try:
        model = ShapeModel(
            scheme=values["scheme"],
            mean=np.array(values["mean"], np.float64),
            components=np.array(values["components"], np.float64),
            variances=np.array(values["variances"], np.float64),
            share=values["share"],
            shapes=values["shapes"],
        )
        fits = model.components.shape == (len(model.variances), model.mean.size)
        if model.mean.shape != (get_scheme(model.scheme).points, 2) or not fits:
            raise ValueError("its parts do not fit each other")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: is not a shape model ({error}). Make one with `senet-landmark shape-model`."
        ) from error
    return model


def _similarity(shapes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The turns and scales, complex [N], that take centred shapes [N, K, 2] nearest to the mean."""
    z, m = shapes @ (1, 1j), mean @ np.array([1, 1j])
    return (z.conj() @ m) / np.maximum((np.abs(z) ** 2).sum(axis=1), 1e-30)


def _turned(shapes: np.ndarray, turns: np.ndarray) -> np.ndarray:
    z = (shapes @ (1, 1j)) * turns[:, None]
    return np.stack([z.real, z.imag], axis=-1)
