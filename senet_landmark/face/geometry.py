"""Face box -> crop: the only module that crops or resizes a photo, with the exact inverse.

Coordinates are 0-based pixels (x, y) with pixel centres at integers, so that pixel i covers
[i - 0.5, i + 0.5]. A box is (left, top, right, bottom) on that continuous axis. Landmarks in a crop
are normalised by the crop's width and height: 0 is the crop's left or top edge, 1 its right or
bottom edge; they may lie outside [0, 1].

A face that leans is cropped upright: its box is upright in the face's own axes, and the photo is
turned by the face's roll about the box's centre. Roll is in degrees and positive where the face
leans clockwise as seen in the photo, as in `pose.py`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from senet_landmark.errors import InputError

Box = np.ndarray
"""float64 [4]: left, top, right, bottom in pixels."""


@dataclass(frozen=True)
class CropSpec:
    """How a canonical face box, or the whole photo, becomes the crop that a network takes as input.

    Attributes:
      margins: how far the crop reaches beyond the box at its left, top, right and bottom, as a
        share of the box's width (left, right) or height (top, bottom); below 0 it ends within it.
      square: make both sides equal, about the centre, so that faces keep their proportions.
      clip: end the crop at the photo's border (the original write-up); otherwise the part outside
        the photo is black.
      of: the box that the crop is taken of: the canonical face box, or the rectangle of the whole
        photo (`crop_source`).
      fit: of a square: `around` extends the box's shorter side, `inside` cuts its longer side.
    """

    margins: tuple[float, float, float, float] = (0.125, 0.125, 0.125, 0.125)
    square: bool = True
    clip: bool = False
    of: Literal["face", "photo"] = "face"
    fit: Literal["around", "inside"] = "around"


@dataclass(frozen=True)
class BoxCorrection:
    """Maps the face boxes of one source to the canonical box (the tight box of the landmarks).

    Attributes:
      shift: how far the centre moves, in widths and heights of the source's box.
      scale: width and height of the canonical box over those of the source's box.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)


def box_from_landmarks(points: np.ndarray) -> Box:
    """The tight box around landmarks [K, 2] in pixels: the canonical face box.

    Raises:
      InputError: the points are not finite, or all lie on one line along an axis.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InputError(f"Landmarks must be [K, 2], not {points.shape}.")
    if not np.isfinite(points).all():
        raise InputError("Landmarks hold NaN or infinity.")
    box = np.concatenate([points.min(0), points.max(0)])
    if (box[2:] - box[:2]).min() <= 0:
        raise InputError("Landmarks span no area: they are equal, or on one line.")
    return box


def correct_box(box: Box, correction: BoxCorrection, roll: float = 0.0) -> Box:
    """Applies the correction of a box source: its box -> the canonical box.

    Both are upright in the axes of a face that leans by `roll`: "down" is then down the face.
    """
    # Plain numbers here and in `iou` and `crop_box`: NumPy's calls would take up to a fifth of the
    # time of a small model.
    left, top, right, bottom = np.asarray(box, np.float64).tolist()
    width, height = right - left, bottom - top
    across, down = width * correction.shift[0], height * correction.shift[1]
    if roll:
        across, down = apply(rotation(roll, np.zeros(2)), np.array([across, down])).tolist()
    x, y = (left + right) / 2 + across, (top + bottom) / 2 + down
    half_width, half_height = width * correction.scale[0] / 2, height * correction.scale[1] / 2
    return np.array([x - half_width, y - half_height, x + half_width, y + half_height])


def fit_correction(source: np.ndarray, canonical: np.ndarray) -> BoxCorrection:
    """Fits one correction to pairs of boxes [N, 4], by medians, so that outliers have no effect.

    Raises:
      ValueError: there are no boxes, or not equally many of both.
    """
    source, canonical = np.asarray(source, np.float64), np.asarray(canonical, np.float64)
    if len(source) == 0 or source.shape != canonical.shape:
        raise ValueError(
            f"need equally many boxes, at least one: {source.shape}, {canonical.shape}"
        )
    size = source[:, 2:] - source[:, :2]
    centres = [(b[:, :2] + b[:, 2:]) / 2 for b in (source, canonical)]
    shift = np.median((centres[1] - centres[0]) / size, axis=0)
    scale = np.median((canonical[:, 2:] - canonical[:, :2]) / size, axis=0)
    rounded = [tuple(float(v) for v in np.round(pair, 4)) for pair in (shift, scale)]
    return BoxCorrection(shift=(rounded[0][0], rounded[0][1]), scale=(rounded[1][0], rounded[1][1]))


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    left, top, right, bottom = np.asarray(a, np.float64).tolist()
    other_left, other_top, other_right, other_bottom = np.asarray(b, np.float64).tolist()
    overlap = max(0.0, min(right, other_right) - max(left, other_left))
    overlap *= max(0.0, min(bottom, other_bottom) - max(top, other_top))
    area = (right - left) * (bottom - top)
    union = area + (other_right - other_left) * (other_bottom - other_top) - overlap
    return overlap / union if union > 0 else 0.0


def best_match(boxes: np.ndarray, truth: Box, threshold: float = 0.3) -> int | None:
    """Index of the box of [N, 4] with the largest IoU with `truth`; None below `threshold`."""
    overlaps = [iou(box, truth) for box in boxes]
    if not overlaps or max(overlaps) < threshold:
        return None
    return int(np.argmax(overlaps))


def photo_box(photo_size: tuple[int, int]) -> Box:
    """The rectangle of a whole photo of this (width, height)."""
    return np.array([-0.5, -0.5, photo_size[0] - 0.5, photo_size[1] - 0.5])


def crop_source(face_box: Box, spec: CropSpec, photo_size: tuple[int, int]) -> Box:
    """The box that `crop_box` gets: the canonical face box, or the whole photo's, by `spec.of`."""
    return photo_box(photo_size) if spec.of == "photo" else face_box


def crop_box(box: Box, spec: CropSpec, photo_size: tuple[int, int], roll: float = 0.0) -> Box:
    """The region of the photo that becomes the crop.

    Args:
      box: what the crop is taken of, in photo pixels: the canonical face box, or as `crop_source`.
      spec: margins and shape.
      photo_size: (width, height) of the photo in pixels; used when `spec.clip`.
      roll: by which the face leans. The region, like the box, is then in the axes of the photo
        after it was turned about the box's centre, and ends nowhere at its border.

    Raises:
      InputError: the box is not finite, has no area, lies outside a photo that it is clipped to, or
        its margins leave nothing of it.
    """
    left, top, right, bottom = np.asarray(box, np.float64).tolist()
    width, height = right - left, bottom - top
    if not (math.isfinite(width + height) and width > 0 and height > 0):
        raise InputError(f"Face box {np.round(box, 1).tolist()} has no area.")
    left -= spec.margins[0] * width
    top -= spec.margins[1] * height
    right += spec.margins[2] * width
    bottom += spec.margins[3] * height
    if right <= left or bottom <= top:
        raise InputError(f"The crop's margins, {spec.margins}, leave nothing of the box.")
    if spec.square:
        sides = (right - left, bottom - top)
        half = (max(sides) if spec.fit == "around" else min(sides)) / 2
        x, y = (left + right) / 2, (top + bottom) / 2
        left, top, right, bottom = x - half, y - half, x + half, y + half
    if spec.clip and not roll:
        left, top = max(left, -0.5), max(top, -0.5)
        right, bottom = min(right, photo_size[0] - 0.5), min(bottom, photo_size[1] - 0.5)
        if min(right - left, bottom - top) < 1:
            raise InputError(f"Face box {np.round(box, 1).tolist()} lies outside the photo.")
    return np.array([left, top, right, bottom])


def expand(box: Box, share: float) -> Box:
    """The box extended on every side by `share` of its width and height."""
    size = np.asarray(box[2:]) - box[:2]
    return np.concatenate([box[:2] - share * size, box[2:] + share * size])


def to_crop(region: Box, roll: float = 0.0, centre: np.ndarray | None = None) -> np.ndarray:
    """The affine [2, 3] from photo pixels to normalised coordinates in the crop of `region`.

    Args:
      region: as `crop_box` gives it.
      roll: by which the face leans; the crop shows it upright.
      centre: [2], about which the photo is turned: the centre of the face's box. None: that of the
        region, which is the same where the margins at opposite sides are equal.
    """
    size = region[2:] - region[:2]
    upright = np.array(
        [[1 / size[0], 0, -region[0] / size[0]], [0, 1 / size[1], -region[1] / size[1]]]
    )
    if not roll:
        return upright
    centre = (region[:2] + region[2:]) / 2 if centre is None else centre
    return compose(upright, rotation(-roll, centre))


def rotation(degrees: float, centre: np.ndarray) -> np.ndarray:
    """The affine [2, 3] that turns points clockwise, as seen in the photo, about `centre` [2]."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = float(centre[0]), float(centre[1])
    return np.array(
        [
            [cosine, -sine, x - cosine * x + sine * y],
            [sine, cosine, y - sine * x - cosine * y],
        ]
    )


def to_pixels(size: tuple[int, int]) -> np.ndarray:
    """The affine [2, 3] from normalised coordinates of a crop to pixels of its (width, height)."""
    return np.array([[size[0], 0, -0.5], [0, size[1], -0.5]], np.float64)


def invert(transform: np.ndarray) -> np.ndarray:
    """The inverse of an affine [2, 3]; invert(invert(t)) = t."""
    (a, b, x), (c, d, y) = transform.tolist()
    area = a * d - b * c
    return np.array(
        [
            [d / area, -b / area, (b * y - d * x) / area],
            [-c / area, a / area, (c * x - a * y) / area],
        ]
    )


def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The affine [2, 3] that applies `first`, then `second`."""
    linear = second[:, :2] @ first[:, :2]
    return np.concatenate([linear, second[:, :2] @ first[:, 2:] + second[:, 2:]], axis=1)


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, scale and shift [2, 3] that best maps points [K, 2] to `target` [K, 2].

    Best by the sum of squared distances, without mirroring (Umeyama, PAMI 1991); in closed form
    with complex numbers.

    Raises:
      InputError: the points are not finite, or coincide.
    """
    x, y = (np.asarray(p, np.float64) @ (1, 1j) for p in (source, target))
    centred = x - x.mean()
    spread = float(np.vdot(centred, centred).real)
    if not (np.isfinite(y).all() and spread > 1e-12):
        raise InputError("The points to align coincide, or are not finite.")
    turn = np.vdot(centred, y) / spread
    shift = y.mean() - turn * x.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Transforms points [..., 2] by an affine [2, 3]."""
    return points @ transform[:, :2].T + transform[:, 2]


def warp(photo: np.ndarray, transform: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Samples the crop that `transform` describes.

    Args:
      photo: uint8 [height, width, 3].
      transform: affine [2, 3], photo pixels -> normalised crop coordinates.
      size: (width, height) of the crop in pixels.

    Returns:
      uint8 [size[1], size[0], 3]; black where the crop reaches beyond the photo. Where the photo
      has at least twice the resolution of the crop, it is first averaged by an integer factor, so
      that bilinear sampling does not alias.
    """
    width, height = size
    matrix = compose(to_pixels(size), transform)
    area = abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])
    factor = int(1 / max(math.sqrt(area), 1e-6))
    if factor >= 2:
        photo, to_full = _reduce(photo, invert(matrix), size, factor)
        matrix = compose(matrix, to_full)
    return cv2.warpAffine(photo, matrix, (width, height), flags=cv2.INTER_LINEAR)


def _reduce(
    photo: np.ndarray, to_photo: np.ndarray, size: tuple[int, int], factor: int
) -> tuple[np.ndarray, np.ndarray]:
    """The part of the photo under the crop, averaged over factor x factor pixels.

    Returns the reduced part, and the affine [2, 3] from its pixels to those of the photo.
    """
    # Plain numbers, as in `correct_box`: this is part of every detection.
    (a, b, x), (c, d, y) = to_photo.tolist()
    spans = []
    for length, shift, across, down in ((photo.shape[1], x, a, b), (photo.shape[0], y, c, d)):
        ends = [shift - (across + down) / 2] * 2  # the corner of the crop at -0.5, -0.5
        for side in (across * size[0], down * size[1]):
            ends[side > 0] += side
        first = min(max(math.floor(ends[0]) - factor, 0), length - 1)
        last = min(max(math.ceil(ends[1]) + factor, first + 1), length)
        cells = max((last - first) // factor, 1)
        last = min(first + cells * factor, length)
        spans.append((first, last, cells, (last - first) / cells))
    (left, right, width, wide), (top, bottom, height, high) = spans
    part = photo[top:bottom, left:right]
    reduced = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    return reduced, np.array([[wide, 0, left - 0.5 + wide / 2], [0, high, top - 0.5 + high / 2]])


def crop_face(
    photo: np.ndarray, box: Box, spec: CropSpec, size: tuple[int, int], roll: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Crops a face from a photo: the step that records, evaluation and inference share.

    Args:
      photo: uint8 [height, width, 3].
      box: canonical face box in photo pixels (see `correct_box`).
      spec: margins and shape of the crop.
      size: (width, height) of the crop in pixels.
      roll: by which the face leans; the crop shows it upright.

    Returns:
      The crop, uint8 [size[1], size[0], 3], and the affine [2, 3] from photo pixels to normalised
      crop coordinates; its inverse (`invert`) maps predictions back to the photo.
    """
    region = crop_box(box, spec, (photo.shape[1], photo.shape[0]), roll)
    transform = to_crop(region, roll, (box[:2] + box[2:]) / 2)
    return warp(photo, transform, size), transform


def shrink(photo: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """The photo reduced so that its longer side is at most `longest` pixels, and the factor.

    A point x of the photo is at (x + 0.5) * factor - 0.5 in the reduced photo.
    """
    height, width = photo.shape[:2]
    factor = min(1.0, longest / max(height, width))
    if factor == 1.0:
        return photo, 1.0
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return warp(photo, to_crop(photo_box((width, height))), size), factor
