"""Measures each picture: only a few numbers are kept, so a data set need not fit into memory.

A worker process reads the pictures of one shard, one at a time, without TensorFlow.
"""

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from senet_landmark.data_tools.records.copies import THUMB, resized, signature
from senet_landmark.face import geometry
from senet_landmark.face.pose import pose_of
from senet_landmark.face.procrustes import FOLDS
from senet_landmark.io.images import decode_photo

PATCH = 24
"""Side in pixels of the aligned face from which the features are computed."""
PATCH_REACH = 0.65
"""Half of that side in sizes of the face."""
CELLS, DIRECTIONS = 8, 8
FEATURES = CELLS * CELLS * DIRECTIONS
DECOYS = 2
DECOY_SHIFT = (0.3, 0.6)
"""Range of the shift of a decoy's points, in sizes of the face."""
MEAN_SIDE = 120
"""Side of the mean picture in pixels."""


@dataclass(frozen=True)
class ShardFaces:
    """The faces of one shard.

    Attributes:
      shard: the TFRecord file.
      scheme: name of the landmark scheme of the faces.
      spans: (first byte, number of bytes, source) of each picture.
      points: float64 [n, K, 2], landmarks in photo pixels; NaN where unknown.
      poses: float32 [n, 3], degrees; NaN where the pose is to be fitted.
      regions: float64 [n, 4], the recorded crops in photo pixels.
      boxes: float64 [n, 4], normalised by the recorded crop.
      turn, move: complex [n], similarity transform from photo pixels to the mean face.
      folds: int [n], fold of each face.
    """

    shard: Path
    scheme: str
    spans: tuple[tuple[int, int, str], ...]
    points: np.ndarray
    poses: np.ndarray
    regions: np.ndarray
    boxes: np.ndarray
    turn: np.ndarray
    move: np.ndarray
    folds: np.ndarray


@dataclass(frozen=True)
class PictureStats:
    """Measurements of the pictures of n faces.

    Attributes:
      digest: uint8 [n, 16], digest of the pixels.
      signature: uint8 [n, 16], 128 bits: whether each of 8 x 8 pixels is darker than the one to its
        right, and than the one below ("dHash", Krawetz, "Kind of like that", 2013).
      thumb: uint8 [n, 16, 16], small grey picture.
      contrast: float32 [n], standard deviation of the grey levels in the face box, 0 to 127.
      photo: float32 [n, 4], the part of the crop that is not black border, normalised.
      pose: float32 [n, 3], annotated or fitted, degrees; NaN if unknown.
      features: float16 [n, FEATURES], histograms of edge directions around the landmarks.
    """

    digest: np.ndarray
    signature: np.ndarray
    thumb: np.ndarray
    contrast: np.ndarray
    photo: np.ndarray
    pose: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class Moments:
    """Sums over the feature vectors of each of F folds.

    Attributes:
      count: float64 [F], number of vectors.
      sums: float64 [F, FEATURES].
      products: float64 [F, FEATURES, FEATURES].
    """

    count: np.ndarray
    sums: np.ndarray
    products: np.ndarray


def empty_stats(count: int) -> PictureStats:
    """Arrays for `count` faces, to be filled."""
    return PictureStats(
        digest=np.zeros((count, 16), np.uint8),
        signature=np.zeros((count, 16), np.uint8),
        thumb=np.zeros((count, THUMB, THUMB), np.uint8),
        contrast=np.zeros(count, np.float32),
        photo=np.zeros((count, 4), np.float32),
        pose=np.full((count, 3), np.nan, np.float32),
        features=np.zeros((count, FEATURES), np.float16),
    )


def measure_pictures(faces: ShardFaces) -> tuple[PictureStats, Moments, np.ndarray]:
    """Reads and measures the pictures of a shard.

    Returns:
      The measurements, the moments of the decoys' features, and the sum of the pictures, float64
      [MEAN_SIDE, MEAN_SIDE, 3].

    Raises:
      InputError: a picture does not decode.
    """
    stats = empty_stats(len(faces.spans))
    decoys = np.zeros((len(faces.spans), DECOYS, FEATURES), np.float32)
    total = np.zeros((MEAN_SIDE, MEAN_SIDE, 3))
    for n, (start, length, source) in enumerate(faces.spans):
        picture = read_picture(faces.shard, start, length, source)
        total += resized(picture, MEAN_SIDE, MEAN_SIDE)
        digest = hashlib.blake2b(picture.tobytes(), digest_size=16).digest()
        stats.digest[n] = np.frombuffer(digest, np.uint8)
        stats.photo[n] = _photo_in(picture)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        stats.signature[n] = signature(grey)
        stats.thumb[n] = resized(grey, THUMB, THUMB)
        stats.contrast[n] = _contrast(grey, faces.boxes[n])
        stats.pose[n] = _pose(faces, n)
        to_photo = _picture_to_photo(faces.regions[n], picture)
        stats.features[n] = _features(grey, to_photo, faces.turn[n], faces.move[n])
        generator = np.random.default_rng(zlib.crc32(source.encode()))
        for k in range(DECOYS):
            angle, shift = generator.uniform(0, 2 * np.pi), generator.uniform(*DECOY_SHIFT)
            moved = faces.move[n] + shift * np.exp(1j * angle)
            decoys[n, k] = _features(grey, to_photo, faces.turn[n], moved)
    return stats, moments(decoys, faces.folds), total


def read_picture(shard: Path, start: int, length: int, source: str) -> np.ndarray:
    """Decodes the PNG at byte `start` of a shard, RGB uint8 [H, W, 3].

    Raises:
      InputError: the bytes are no picture, e.g. because the shard has changed.
    """
    with open(shard, "rb") as stream:
        stream.seek(start)
        data = stream.read(length)
    return decode_photo(data, f"{shard} ({source})")


def moments(features: np.ndarray, folds: np.ndarray) -> Moments:
    """The moments of features [n, ..., FEATURES] of faces in folds [n]."""
    features = np.asarray(features, np.float32)
    parts = [features[folds == fold].reshape(-1, FEATURES) for fold in range(FOLDS)]
    return Moments(
        count=np.array([len(part) for part in parts], np.float64),
        sums=np.stack([part.sum(0, dtype=np.float64) for part in parts]),
        products=np.stack([(part.T @ part).astype(np.float64) for part in parts]),
    )


def add_moments(first: Moments | None, second: Moments) -> Moments:
    """The moments of both sets together."""
    if first is None:
        return second
    return Moments(
        first.count + second.count, first.sums + second.sums, first.products + second.products
    )


def _contrast(grey: np.ndarray, box: np.ndarray) -> float:
    size = np.array(grey.shape[1::-1])
    left, top, right, bottom = (
        np.clip(box.reshape(2, 2), 0, 1) * size + (np.zeros(2), np.ones(2))
    ).astype(int).ravel()  # fmt: skip
    part = grey[top:bottom, left:right]
    return float(part.std()) if part.size else 0.0


def _photo_in(picture: np.ndarray) -> np.ndarray:
    """The part of the crop that the photo covers, normalised; the rest is exactly black."""
    lit = (picture[..., 0] | picture[..., 1] | picture[..., 2]) > 0
    ends = []
    for axis, length in ((0, lit.shape[1]), (1, lit.shape[0])):
        covered = np.flatnonzero(lit.any(axis=axis))
        ends.append(
            (covered[0] / length, (covered[-1] + 1) / length) if len(covered) else (0.0, 0.0)
        )
    return np.array([ends[0][0], ends[1][0], ends[0][1], ends[1][1]], np.float32)


def _pose(faces: ShardFaces, n: int) -> np.ndarray:
    if np.isfinite(faces.poses[n]).all():
        return faces.poses[n]
    try:
        return np.array(pose_of(faces.points[n], faces.scheme), np.float32)
    except ValueError:
        return np.full(3, np.nan, np.float32)


def _picture_to_photo(region: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """The affine map [2, 3] from pixels of the recorded crop to pixels of the photo."""
    scale = (region[2:] - region[:2]) / picture.shape[1::-1]
    x, y = region[:2] + scale / 2
    return np.array([[scale[0], 0, x], [0, scale[1], y]])


def _features(grey: np.ndarray, to_photo: np.ndarray, turn: complex, move: complex) -> np.ndarray:
    """Histograms of edge directions in cells (HOG), float32 [FEATURES]; Dalal and Triggs (2005)."""
    to_mean = np.array([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]])
    reach = np.array([-PATCH_REACH, -PATCH_REACH, PATCH_REACH, PATCH_REACH])
    transform = geometry.compose(geometry.to_crop(reach), geometry.compose(to_mean, to_photo))
    patch = geometry.warp(grey, transform, (PATCH, PATCH)).astype(np.float32)
    strength, angle = cv2.cartToPolar(
        cv2.Sobel(patch, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(patch, cv2.CV_32F, 0, 1, ksize=1)
    )
    half = DIRECTIONS / 2
    turns = angle[..., None] * (DIRECTIONS / (2 * np.pi)) - np.arange(DIRECTIONS, dtype=np.float32)
    shares = np.maximum(0, 1 - np.abs((turns + half) % DIRECTIONS - half)) * strength[..., None]
    step = PATCH // CELLS
    cells = shares.reshape(CELLS, step, CELLS, step, DIRECTIONS).mean(axis=(1, 3))
    # The offset of 4 grey levels keeps the noise of smooth skin from counting as edges.
    around = cv2.blur(cells.sum(-1), (3, 3)) + 4
    return np.sqrt(cells / around[..., None]).ravel()
