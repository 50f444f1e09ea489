"""The active shape model (ASM): a mean shape and the main ways in which faces differ from it.

Cootes et al., "Active Shape Models - Their Training and Application", 1995, sections 3 and 4:
shapes are aligned; the principal components that explain a share of the variance are kept; the copy
of a shape is made from its coefficients, each limited to three standard deviations. Fard et al.,
"ASMNet", CVPRW 2021, section 3.2, use such copies, which are smoother than the ground truth, as a
second target. Their code does not align the shapes. Here they are aligned, as in Cootes et al., so
that the copy of a rotated face is rotated too.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.face.schemes import Scheme, get_scheme
from senet_landmark.io.files import read_json, write_json

LIMIT = 3.0
"""Standard deviations that a coefficient is limited to."""

_ALIGNMENTS = 5


@dataclass(frozen=True)
class ShapeModel:
    """A shape model of K landmarks.

    Attributes:
      scheme: landmark scheme.
      mean: float64 [K, 2], centred, of norm 1.
      components: float64 [C, 2 K], orthonormal rows, x0, y0, x1 ….
      variances: float64 [C], of the coefficients, largest first.
      share: share of the variance of the aligned shapes that the components explain.
      shapes: number of shapes that it was fitted to.
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
      scheme: landmark scheme of the faces.
      share: smallest share of the variance that the components must explain.

    Raises:
      InputError: fewer than two faces with all landmarks, or a share not in (0, 1].
    """
    if not 0 < share <= 1:
        raise InputError(f"The share of the variance must be in (0, 1], not {share}.")
    faces = np.asarray(landmarks, np.float64)
    faces = faces[np.isfinite(faces).all(axis=(1, 2))]
    if len(faces) < 2:
        raise InputError(
            f"A shape model needs faces with all {scheme.points} landmarks; there are {len(faces)}."
        )
    shapes = np.concatenate([faces, faces[:, scheme.mirror_index] * (-1, 1)])
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    # The mirror images keep the mean upright and symmetric.
    mean = (shapes / np.linalg.norm(shapes, axis=(1, 2), keepdims=True)).mean(axis=0)
    for _ in range(_ALIGNMENTS):
        aligned = _apply_turns(shapes, _turns_to(shapes, mean))
        mean = aligned.mean(axis=0)
        mean /= np.linalg.norm(mean)
    aligned = _apply_turns(shapes, _turns_to(shapes, mean)).reshape(len(shapes), -1)
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
        shapes=len(faces),
    )


def asm_copy(model: ShapeModel, landmarks: np.ndarray) -> np.ndarray:
    """Copies of faces by the shape model, float32 [N, K, 2], in the position of the faces.

    The copy of a rotated, scaled or moved face is rotated, scaled or moved alike. A face with an
    unknown (NaN) landmark is returned unchanged.

    Args:
      model: the shape model.
      landmarks: [N, K, 2] in any unit.

    Raises:
      InputError: the model has another number of landmarks.
    """
    faces = np.asarray(landmarks, np.float64)
    if faces.shape[1:] != model.mean.shape:
        raise InputError(f"The shape model has {len(model.mean)} landmarks, not {faces.shape[1]}.")
    complete = np.isfinite(faces).all(axis=(1, 2))
    centres = faces[complete].mean(axis=1, keepdims=True)
    shapes = faces[complete] - centres
    turns = _turns_to(shapes, model.mean)
    offsets = _apply_turns(shapes, turns).reshape(len(shapes), model.mean.size) - model.mean.ravel()
    limits = LIMIT * np.sqrt(model.variances)
    coefficients = np.clip(offsets @ model.components.T, -limits, limits)
    copies = (model.mean.ravel() + coefficients @ model.components).reshape(shapes.shape)
    result = faces.astype(np.float32)
    result[complete] = _apply_turns(copies, 1 / turns) + centres
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
            raise ValueError("the shapes of its arrays do not match")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: is not a shape model ({error}). Make one with `senet-landmark shape-model`."
        ) from error
    return model


def _turns_to(shapes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Rotations with scale, complex [N], that bring centred shapes [N, K, 2] closest to `mean`."""
    z, m = shapes @ (1, 1j), mean @ np.array([1, 1j])
    return (z.conj() @ m) / np.maximum((np.abs(z) ** 2).sum(axis=1), 1e-30)


def _apply_turns(shapes: np.ndarray, turns: np.ndarray) -> np.ndarray:
    z = (shapes @ (1, 1j)) * turns[:, None]
    return np.stack([z.real, z.imag], axis=-1)
