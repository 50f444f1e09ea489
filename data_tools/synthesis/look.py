"""Random colours, light, background and camera effects of the synthetic faces."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from senet_landmark.data_tools.synthesis.warp import Drawing

# Skin colours from the lightest to the darkest, RGB; the portrait's own is near the second.
_SKIN = np.array(
    [
        [242, 214, 200],
        [224, 186, 160],
        [198, 150, 118],
        [160, 112, 80],
        [118, 80, 58],
        [92, 62, 46],
    ],
    np.float32,
)
_PORTRAIT_SKIN = np.array([222, 180, 156], np.float32)
_HAIR = np.array(
    [[22, 18, 16], [50, 36, 28], [92, 62, 40], [150, 112, 66], [150, 146, 142], [120, 54, 30]],
    np.float32,
)
_HAIR_LUMA = 88.0  # mean brightness of the portrait's hair


@dataclass(frozen=True)
class Look:
    """Colours, light and background, which are equal for all views of one face."""

    skin: np.ndarray  # [3] gain of each channel
    hair: np.ndarray  # [3] colour
    clothes: np.ndarray  # [3, 3] colour matrix
    mouth: np.ndarray  # [3] colour of the open mouth
    teeth: bool
    light: np.ndarray  # [3] direction of the light, unit vector
    contrast: float  # share of the light that is directional, 0 to 1
    tint: np.ndarray  # [3] colour of the light
    background: np.ndarray  # [size, size, 3] float32, 0 to 255


def random_look(rng: np.random.Generator, size: int) -> Look:
    """Random colours, light and background of one face, for pictures of `size` x `size` pixels."""
    tone = rng.uniform(0, len(_SKIN) - 1)
    skin = _SKIN[int(tone)] + (tone % 1) * (_SKIN[int(tone) + 1] - _SKIN[int(tone)])
    hair = _HAIR[rng.integers(len(_HAIR))] * rng.uniform(0.8, 1.25)
    clothes = np.eye(3)[rng.permutation(3)] * rng.uniform(0.3, 1.2) + rng.normal(0, 0.15, (3, 3))
    warmth = rng.normal(0, 0.06)
    light = np.array([rng.normal(0, 0.8), rng.normal(-0.5, 0.5), -1.0])
    return Look(
        skin=(skin / _PORTRAIT_SKIN * rng.normal(1, 0.02, 3)).astype(np.float32),
        hair=hair.astype(np.float32),
        clothes=clothes.astype(np.float32),
        mouth=rng.uniform([30, 10, 10], [95, 35, 35]),
        teeth=bool(rng.random() < 0.75),
        light=(light / np.linalg.norm(light)).astype(np.float32),
        contrast=float(rng.uniform(0.1, 0.6)),
        tint=np.array([1 + warmth, 1 + rng.normal(0, 0.015), 1 - warmth]),
        background=_random_background(rng, size),
    )


def _random_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A blurred background of a gradient, noise of several scales and a few shapes."""
    corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    corners += rng.uniform(0.4, 0.95) * (corners.mean(axis=(0, 1)) - corners)
    small: np.ndarray = cv2.resize(corners, (96, 96), interpolation=cv2.INTER_LINEAR)
    for grain in (4, 12, 48):
        noise = rng.normal(0, rng.uniform(0, 26), (grain, grain, 1))
        noise = noise + rng.normal(0, 6, (grain, grain, 3))
        small += cv2.resize(noise.astype(np.float32), (96, 96), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(0, 9)):
        colour = (rng.uniform(20, 235) + rng.normal(0, 30, 3)).tolist()
        a, b = rng.integers(-10, 106, (2, 2)).tolist()
        kind = rng.integers(4)
        if kind == 0:
            cv2.rectangle(small, a, b, colour, -1)
        elif kind == 1:
            cv2.circle(small, a, int(rng.integers(3, 26)), colour, -1)
        elif kind == 2:
            cv2.line(small, a, b, colour, int(rng.integers(1, 7)))
        else:
            cv2.fillConvexPoly(small, rng.integers(-10, 106, (3, 2)).astype(np.int32), colour)
    small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.4, 1.6))
    big = cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(big, 0, 255)


def compose(drawing: Drawing, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Colours and lights a drawing, and puts it on its background; RGB uint8 [size, size, 3]."""
    size = drawing.image.shape[0]
    skin, hair, clothes, person = (
        part * np.float32(1 / 255) for part in cv2.split(drawing.regions)
    )
    # Eyes and teeth keep their colour, dimmed half as much as the skin is darkened.
    rest = np.maximum(person - skin - hair - clothes, 0)
    dim = np.full(3, np.sqrt(min(look.skin.mean(), 1)), np.float32)
    gain = _paint(skin, look.skin - 1, 1) + _paint(rest, dim - 1)
    picture = drawing.image * gain
    # Hair is recoloured by its brightness, with a narrower range, so that highlights remain.
    rows = _rows(hair)
    grey = cv2.cvtColor(drawing.image[rows], cv2.COLOR_RGB2GRAY)
    root = np.sqrt(grey * np.float32(1 / _HAIR_LUMA))
    strands = _paint(root * (0.35 + 0.65 * root), look.hair)
    picture[rows] += cv2.merge([hair[rows]] * 3) * (strands - picture[rows])
    rows = _rows(clothes)
    dressed = cv2.transform(drawing.image[rows], look.clothes)
    picture[rows] += cv2.merge([clothes[rows]] * 3) * (dressed - picture[rows])
    hidden = drawing.mouth_gap if look.teeth else drawing.mouth
    inside = cv2.GaussianBlur(hidden.astype(np.float32), (0, 0), 0.8)
    picture *= cv2.merge([1 - inside] * 3)
    picture += _paint(inside, look.mouth)

    facing = np.clip(drawing.normals @ look.light, 0, 1)
    shade = cv2.GaussianBlur(1 + look.contrast * (1.35 * facing - 1), (0, 0), 1.5)
    shade = cv2.resize(shade, (size, size), interpolation=cv2.INTER_LINEAR)
    # Like a camera's exposure: the darkest skin in the dimmest light remains visible.
    bright = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) * shade
    level = max(float((bright * skin).sum() / max(skin.sum(), 1)), 1.0)
    shade *= min(max(level, 75), 190) / level
    picture *= _paint(shade * person, look.tint)
    picture += cv2.merge([1 - person] * 3) * look.background
    return _camera(picture, rng)


def _rows(mask: np.ndarray) -> slice:
    """The rows from the first to the last non-zero one of `mask` [h, w]; at least one row."""
    touched = np.flatnonzero(mask.any(axis=1))
    return slice(touched[0], touched[-1] + 1) if len(touched) else slice(0, 1)


def _paint(mask: np.ndarray, colour: np.ndarray, offset: float = 0) -> np.ndarray:
    """mask [h, w] * colour [3] + offset, float32; several times faster than broadcasting."""
    return cv2.merge([mask * np.float32(c) + np.float32(offset) for c in colour])


def _camera(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random exposure, gamma, blur and noise; sometimes greyscale and JPEG artefacts."""
    levels = np.linspace(0, 1, 256) ** rng.uniform(0.7, 1.3)
    levels = (levels - 0.5) * rng.uniform(0.75, 1.15) + 0.5 + rng.uniform(-0.06, 0.06)
    table = np.clip(levels * 255, 0, 255).astype(np.uint8)
    picture = cv2.LUT(cv2.convertScaleAbs(picture), table)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.choice([0.5, 0.7, 1.0, 1.8]))
    # Repeating one tile of noise four times is as good as new random numbers, and faster.
    half = (picture.shape[0] + 1) // 2
    noise = rng.normal(0, rng.uniform(0, 6), (half, half)).astype(np.float32)
    noise = np.tile(noise, (2, 2))[: picture.shape[0], : picture.shape[1]]
    grain: np.ndarray = cv2.GaussianBlur(noise, (3, 3), 0) if rng.random() < 0.5 else noise
    picture = cv2.add(picture, cv2.merge([grain] * 3), dtype=cv2.CV_8U)
    if rng.random() < 0.08:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.35:
        quality = int(rng.integers(35, 85))
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return picture
