"""Augmentation: random changes of training faces, of photo and points together.

Random numbers and transforms are computed for a whole batch at once: with one NumPy call per face,
the calls would take longer than the work on the pictures.
"""

import cv2
import numpy as np

from senet_landmark.config import AugmentConfig
from senet_landmark.face import geometry
from senet_landmark.face.geometry import Box, CropSpec
from senet_landmark.face.schemes import Scheme


def jittered_transform(
    box: Box,
    spec: CropSpec,
    photo_size: tuple[int, int] | np.ndarray,
    config: AugmentConfig,
    generator: np.random.Generator,
) -> np.ndarray:
    """The crop's transform with random box, rotation, scale and shift, in a single resampling.

    Args:
      box: boxes [..., 4] that the crops are taken of, in pixels of the recorded crops.
      spec: how a box becomes a crop.
      photo_size: (width, height) [..., 2] of the recorded crops.
      config: how strong the changes are.
      generator: random numbers.

    Returns:
      Affine [..., 2, 3] from pixels of the recorded crop to normalised coordinates of the new one.
    """
    box = np.asarray(box, np.float64)
    batch_shape = box.shape[:-1]
    corners = box.reshape(*batch_shape, 2, 2)
    sides = corners[..., 1:, :] - corners[..., :1, :]
    jitter = np.clip(generator.normal(0, 1, corners.shape), -2.5, 2.5) * config.box_jitter
    regions = crop_regions((corners + jitter * sides).reshape(box.shape), spec, photo_size)
    if config.random_cut:
        regions = regions + _random_move(regions, box, photo_size, generator)
    turn = np.deg2rad(_random_rotation(config, generator, batch_shape))
    zoom = 1 + generator.uniform(-config.scale, config.scale, batch_shape)
    shift = generator.uniform(-config.shift, config.shift, (*batch_shape, 2))
    # Rotated in pixels: in normalised coordinates a crop that is not square would shear.
    first, size = regions[..., :2], regions[..., 2:] - regions[..., :2]
    centre = first + size / 2
    cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
    linear = np.stack([cosine, -sine, sine, cosine], axis=-1).reshape(*batch_shape, 2, 2)
    rotated_centre = (linear @ centre[..., None])[..., 0]
    offset = centre - rotated_centre + shift * size - first
    return np.concatenate([linear, offset[..., None]], axis=-1) / size[..., None]


def _random_move(
    regions: np.ndarray,
    boxes: np.ndarray,
    photo_sizes: tuple[int, int] | np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Moves of regions [..., 4] to random places in their boxes, and in the recorded crops.

    Each place is equally likely. Along an axis on which a region is not smaller than that, it is
    not moved.
    """
    first = np.maximum(boxes[..., :2], -0.5) - regions[..., :2]
    last = np.minimum(boxes[..., 2:], np.asarray(photo_sizes) - 0.5) - regions[..., 2:]
    move = np.where(last > first, generator.uniform(first, np.maximum(last, first)), 0)
    return np.concatenate([move, move], axis=-1)


def crop_regions(
    boxes: np.ndarray, spec: CropSpec, photo_sizes: tuple[int, int] | np.ndarray
) -> np.ndarray:
    """`geometry.crop_box` of boxes [..., 4] in photos of (width, height) [..., 2]."""
    flat = boxes.reshape(-1, 4)
    sizes = np.broadcast_to(photo_sizes, (*boxes.shape[:-1], 2)).reshape(-1, 2).tolist()
    regions = [
        geometry.crop_box(box, spec, (width, height))
        for box, (width, height) in zip(flat, sizes, strict=True)
    ]
    return np.array(regions).reshape(boxes.shape)


def _random_rotation(
    config: AugmentConfig, generator: np.random.Generator, shape: tuple[int, ...]
) -> np.ndarray:
    """Random in-plane rotations of this shape, in degrees."""
    if config.rotation_step:
        most = int(config.rotation / config.rotation_step)
        return generator.integers(-most, most + 1, shape) * config.rotation_step
    degrees = generator.normal(0, config.rotation / 2, shape)
    return np.clip(degrees, -config.rotation, config.rotation)


def turned_poses(poses: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Poses of faces after their photos were rotated clockwise; NaN where a pose is unknown.

    Roll is the first of the three rotations and the photo's rotation is the last, so that it
    changes all three angles of a face that looks aside.

    Args:
      poses: float [N, 3], yaw, pitch, roll in degrees.
      degrees: float [N], the rotation of each photo.
    """
    from scipy.spatial.transform import Rotation  # prediction, which imports this file, has none

    known = np.isfinite(poses).all(axis=1, keepdims=True)
    yaw, pitch, roll = np.where(known, poses, 0).T
    head = Rotation.from_euler("XYZ", np.stack([-pitch, yaw, roll], axis=-1), degrees=True)
    turn = Rotation.from_euler("Z", degrees[:, None], degrees=True)
    pitch, yaw, roll = (turn * head).as_euler("XYZ", degrees=True).T
    return np.where(known, np.stack([yaw, -pitch, roll], axis=-1), np.nan).astype(poses.dtype)


def mirror_face(
    image: np.ndarray, landmarks: np.ndarray, scheme: Scheme
) -> tuple[np.ndarray, np.ndarray]:
    """Mirrors a crop left to right; mirroring twice gives the original.

    Args:
      image: uint8 [H, W, 3].
      landmarks: [K, 2], normalised by the crop.
      scheme: gives the mirror permutation of the points.
    """
    return cv2.flip(image, 1), mirror_landmarks(landmarks, scheme)


def mirror_landmarks(landmarks: np.ndarray, scheme: Scheme) -> np.ndarray:
    """The landmarks [..., K, 2], normalised by the crop, of faces mirrored left to right."""
    mirrored = landmarks[..., scheme.mirror_index, :] * (-1, 1) + (1, 0)
    return mirrored.astype(landmarks.dtype)


def change_picture(
    image: np.ndarray,
    config: AugmentConfig,
    generator: np.random.Generator,
    donor: np.ndarray,
    curves: np.ndarray | None = None,
) -> np.ndarray:
    """Occlusion, blur, light and colour of one crop: the changes that do not move landmarks.

    Args:
      image: uint8 [H, W, 3].
      config: how strong the changes are.
      generator: random numbers.
      donor: uint8 [H, W, 3], a crop whose pixels may cover part of this one.
      curves: uint8 [256, 1, 3], one element of `tone_curves`; None draws one.
    """
    if generator.random() < config.occlusion:
        image = _occlude(image, config.occlusion_area, donor, generator)
    if generator.random() < config.blur:
        image = _blur(image, generator)
    if generator.random() < config.grey:
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        image = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    if config.light or config.colour:
        table = tone_curves(config, 1, generator)[0] if curves is None else curves
        image = cv2.LUT(np.ascontiguousarray(image), table)
    return image


def _occlude(
    image: np.ndarray, area: float, donor: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    height, width = image.shape[:2]
    if area:
        # A rectangle of that area inside the crop, up to twice as long as wide.
        longer = np.sqrt(generator.uniform(max(area, 0.5), min(1 / area, 2)))
        sides = np.sqrt(area) * np.array([longer, 1 / longer])
        corner = generator.uniform(0, 1, 2) * (1 - sides)
    else:
        sides = generator.uniform(0.12, 0.5, 2)
        corner = generator.uniform(-0.1, 0.9, 2)
    (left, top), (across, down) = (
        (share * (width, height)).astype(int).tolist() for share in (corner, sides)
    )
    region = np.s_[max(top, 0) : top + down, max(left, 0) : left + across]
    image = image.copy()
    part = image[region]
    kind = generator.integers(3)
    if kind == 0:
        part[:] = generator.integers(0, 256, 3)
    elif kind == 1:
        part[:] = generator.integers(0, 256, part.shape, dtype=np.uint8)
    else:
        # A part of another face, moved: texture like skin, hair and eyes, but in a wrong position.
        down_by, across_by = generator.integers(0, (height, width)).tolist()
        rows = np.arange(part.shape[0]) + max(top, 0) + down_by
        columns = np.arange(part.shape[1]) + max(left, 0) + across_by
        part[:] = donor[rows[:, None] % height, columns % width]
    return image


def _blur(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    image = np.ascontiguousarray(image)
    if generator.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), generator.uniform(0.5, 2.0))
    # As for a small or distant face, which has fewer pixels than the crop.
    height, width = image.shape[:2]
    factor = generator.uniform(0.25, 0.7)
    small = (max(int(width * factor), 1), max(int(height * factor), 1))
    reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR)


def tone_curves(config: AugmentConfig, count: int, generator: np.random.Generator) -> np.ndarray:
    """Gamma, contrast, brightness and each colour's gain in one table, uint8 [count, 256, 1, 3]."""
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    gamma, contrast = np.exp(generator.normal(0, config.light / 2, (2, count, 1)))
    brightness = generator.normal(0, config.light / 4, (count, 1))
    gain = np.exp(generator.normal(0, config.colour, (count, 1, 3)))
    curves = (levels ** gamma.astype(np.float32) - 0.5) * contrast + 0.5 + brightness
    curves = curves[..., None].astype(np.float32) * (gain * 255).astype(np.float32) + 0.5
    return np.clip(curves, 0, 255).astype(np.uint8)[:, :, None, :]
