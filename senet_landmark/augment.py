"""Random changes of a training face; photo and points change together. Training only."""

import cv2
import numpy as np

from senet_landmark import geometry
from senet_landmark.config import AugmentConfig
from senet_landmark.geometry import Box, CropSpec
from senet_landmark.schemes import Scheme


def jittered_transform(
    box: Box,
    spec: CropSpec,
    photo_size: tuple[int, int],
    config: AugmentConfig,
    generator: np.random.Generator,
) -> np.ndarray:
    """The crop's transform, with a random box, turn, scale and shift: all in one resampling.

    Args:
      box: canonical face box in pixels of the recorded crop.
      spec: from box to crop.
      photo_size: (width, height) of the recorded crop.
      config: how strong the changes are.
      generator: source of randomness.

    Returns:
      Affine [2, 3] from pixels of the recorded crop to normalised coordinates of the new one.
    """
    sides = np.tile(box[2:] - box[:2], 2)
    box = box + np.clip(generator.normal(0, 1, 4), -2.5, 2.5) * config.box_jitter * sides
    region = geometry.crop_box(box, spec, photo_size)
    turn = np.deg2rad(_random_turn(config, generator))
    zoom = 1 + generator.uniform(-config.scale, config.scale)
    shift = generator.uniform(-config.shift, config.shift, 2)
    # Turned in pixels, not in normalised coordinates, where a crop that is not square would shear.
    size, centre = region[2:] - region[:2], (region[:2] + region[2:]) / 2
    cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    offset = centre - linear @ centre + shift * size
    turned = np.concatenate([linear, offset[:, None]], axis=1)
    return geometry.compose(geometry.to_crop(region), turned)


def _random_turn(config: AugmentConfig, generator: np.random.Generator) -> float:
    """An in-plane turn in degrees."""
    if config.rotation_step:
        most = int(config.rotation / config.rotation_step)
        return float(generator.integers(-most, most + 1) * config.rotation_step)
    turn = generator.normal(0, config.rotation / 2)
    return float(np.clip(turn, -config.rotation, config.rotation))


def mirror_face(
    image: np.ndarray, landmarks: np.ndarray, scheme: Scheme
) -> tuple[np.ndarray, np.ndarray]:
    """Mirrors a crop left to right; twice gives the original.

    Args:
      image: uint8 [H, W, 3].
      landmarks: [K, 2], normalised by the crop.
      scheme: gives the permutation of the points.
    """
    mirrored = landmarks[scheme.mirror_index] * (-1, 1) + (1, 0)
    return image[:, ::-1], mirrored.astype(landmarks.dtype)


def change_picture(
    image: np.ndarray, config: AugmentConfig, generator: np.random.Generator, donor: np.ndarray
) -> np.ndarray:
    """Occlusion, blur, light and colour of one crop: what leaves its landmarks where they are.

    Args:
      image: uint8 [H, W, 3].
      config: how strong the changes are.
      generator: source of randomness.
      donor: uint8 [H, W, 3], a crop whose pixels may cover a part of this one.
    """
    if generator.random() < config.occlusion:
        image = _occlude(image, config.occlusion_area, donor, generator)
    if generator.random() < config.blur:
        image = _blur(image, generator)
    if generator.random() < config.grey:
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        image = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    if config.light or config.colour:
        image = cv2.LUT(np.ascontiguousarray(image), _tone_curves(config, generator))
    return image


def _occlude(
    image: np.ndarray, area: float, donor: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    height, width = image.shape[:2]
    if area:
        # A rectangle of that area, up to twice as long as wide where there is room, inside.
        longer = np.sqrt(generator.uniform(max(area, 0.5), min(1 / area, 2)))
        sides = np.sqrt(area) * np.array([longer, 1 / longer])
        place = generator.uniform(0, 1, 2) * (1 - sides)
    else:
        sides = generator.uniform(0.12, 0.5, 2)
        place = generator.uniform(-0.1, 0.9, 2)
    size = (sides * (width, height)).astype(int)
    left, top = (place * (width, height)).astype(int)
    covered = np.s_[max(top, 0) : top + size[1], max(left, 0) : left + size[0]]
    image = image.copy()
    kind = generator.integers(3)
    if kind == 0:
        image[covered] = generator.integers(0, 256, 3)
    elif kind == 1:
        image[covered] = generator.integers(0, 256, image[covered].shape, dtype=np.uint8)
    else:
        # Another place of another face: texture that looks like skin, hair and eyes, but is not.
        image[covered] = np.roll(donor, generator.integers(0, height, 2), axis=(0, 1))[covered]
    return image


def _blur(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    image = np.ascontiguousarray(image)
    if generator.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), generator.uniform(0.5, 2.0))
    # A small or distant face: fewer pixels than the crop has.
    height, width = image.shape[:2]
    factor = generator.uniform(0.25, 0.7)
    small = (max(int(width * factor), 1), max(int(height * factor), 1))
    reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR)


def _tone_curves(config: AugmentConfig, generator: np.random.Generator) -> np.ndarray:
    """Gamma, contrast, brightness and each colour's gain in one table, uint8 [256, 1, 3]."""
    levels = np.linspace(0, 1, 256)[:, None]
    gamma = np.exp(generator.normal(0, config.light / 2))
    contrast = np.exp(generator.normal(0, config.light / 2))
    brightness = generator.normal(0, config.light / 4)
    gain = np.exp(generator.normal(0, config.colour, 3))
    curves = (levels**gamma - 0.5) * contrast + 0.5 + brightness
    return np.clip(curves * gain * 255 + 0.5, 0, 255).astype(np.uint8)[:, None, :]
