"""Random shapes and expressions of the synthetic faces: new positions of the mesh's vertices.

All lengths are in the face frame's unit, the distance of the outer eye corners.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from senet_landmark.data_tools.synthesis.mesh import CONTROLS, LOWER_LIP, TEETH, UPPER_LIP, Mesh

_EYES = ((36, [37, 38], [41, 40], 39), (42, [43, 44], [47, 46], 45))


def random_face(mesh: Mesh, rng: np.random.Generator) -> np.ndarray:
    """The mesh's vertices [V, 3] for a random person with a random expression."""
    move = np.zeros((CONTROLS, 3))
    rest = mesh.face[:CONTROLS]
    _eyes_and_brows(rest, move, rng)
    _nose(rest, move, rng)
    _mouth(rest, move, rng)
    return _whole_head(mesh.face + mesh.spread @ move, rng)


def _whole_head(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Changes proportions, jaw, chin and depth, and adds a few smooth random bumps."""
    x, y, z = face.T.copy()
    inside = np.exp(-((np.maximum(y - 1.5, 0) / 0.6) ** 2))  # fades out towards the shoulders
    lower = np.clip((y - 0.2) / 1.1, 0, 1) * inside
    width = rng.normal(0, 0.05) + rng.normal(0, 0.06) * lower
    length = rng.normal(0, 0.04) + rng.normal(0, 0.06) * np.clip((y - 0.7) / 0.6, 0, 1)
    result = np.column_stack(
        [x * (1 + width * inside), y * (1 + length * inside), z * (1 + rng.normal(0, 0.06))]
    )
    centres = np.column_stack([rng.uniform(-0.9, 0.9, 6), rng.uniform(-0.5, 1.4, 6)])
    for centre, push in zip(centres, rng.normal(0, 0.022, (6, 2)), strict=True):
        near = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 0.4**2))
        result[:, :2] += near[:, None] * push
    return result


def _eyes_and_brows(rest: np.ndarray, move: np.ndarray, rng: np.random.Generator) -> None:
    size, spacing = 1 + rng.normal(0, 0.05), rng.normal(0, 0.02)
    opening = rng.uniform(0.5, 1.2)
    for outer, upper, lower, inner in _EYES:
        eye = np.r_[outer : outer + 6]
        centre = rest[eye].mean(axis=0)
        move[eye] += (rest[eye] - centre) * (size - 1)
        move[eye, 0] += np.sign(centre[0]) * spacing
        both = np.r_[upper, lower]
        along = (rest[both, 0] - rest[outer, 0]) / (rest[inner, 0] - rest[outer, 0])
        line = rest[outer, 1] + along * (rest[inner, 1] - rest[outer, 1])
        move[both, 1] += (rest[both, 1] - line) * (opening * rng.normal(1, 0.03) - 1)
    height, frown, tail = rng.normal(0.0, 0.045), rng.normal(0, 0.025), rng.normal(0, 0.025)
    for brow in (range(17, 22), range(26, 21, -1)):
        uneven = rng.normal(0, 0.01)
        for step, point in enumerate(brow):
            inner_share = step / 4
            # Lowered brows stop above the lids.
            lift = height + uneven + frown * inner_share + tail * (1 - inner_share)
            move[point, 1] -= max(lift, -0.07)
            move[point, 0] -= np.sign(rest[point, 0]) * min(frown, 0) * -0.4 * inner_share


def _nose(rest: np.ndarray, move: np.ndarray, rng: np.random.Generator) -> None:
    width, length, out = rng.normal(0, 0.10), rng.normal(0, 0.035), rng.normal(1, 0.1)
    base = np.r_[31:36]
    move[base, 0] += (rest[base, 0] - rest[33, 0]) * width
    share = np.r_[0.0, 0.25, 0.6, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0]
    move[27:36, 1] += length * share
    move[27:36, 2] += rest[27:36, 2] * (out - 1)


def _mouth(rest: np.ndarray, move: np.ndarray, rng: np.random.Generator) -> None:
    """Closed, smiling as in the portrait, or open; wider or narrower; thicker or thinner lips."""
    kind = rng.choice(3, p=[0.4, 0.25, 0.35])
    if kind == 0:
        gap, smile = rng.uniform(0.0, 0.12), rng.uniform(-0.9, 0.3)
    elif kind == 1:
        gap, smile = rng.uniform(0.5, 1.3), rng.uniform(-0.5, 0.5)
    else:
        gap, smile = rng.uniform(1.3, 4.5), rng.uniform(-1.0, 0.3)
    upper_y = _curve(rest, UPPER_LIP)
    lower_y = _curve(rest, LOWER_LIP)

    def shut(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height = lower_y(x) - upper_y(x)
        if gap < 1:
            return (1 - gap) * 0.35 * height, -(1 - gap) * 0.65 * height
        return np.zeros_like(height), (gap - 1) * height

    upper = np.r_[49:54, UPPER_LIP[1:-1]]
    lower = np.r_[55:60, LOWER_LIP[1:-1]]
    move[upper, 1] += shut(rest[upper, 0])[0]
    move[lower, 1] += shut(rest[lower, 0])[1]
    move[TEETH, 1] += shut(rest[TEETH, 0])[0]
    if gap > 1:
        drop = float(shut(rest[[66], 0])[1][0])
        jaw = np.r_[3:14]
        # The jaw turns around the ears, so the chin drops most.
        move[jaw, 1] += drop * 0.85 * np.clip((rest[jaw, 1] - 0.6) / 0.7, 0, 1)
        corners = np.r_[48, 54, 60, 64]
        move[corners, 1] += 0.25 * drop

    middle = rest[[48, 54], 0].mean()
    mouth = np.r_[48:68, 68:CONTROLS]
    narrow = rng.normal(0, 0.05) + 0.17 * smile
    move[mouth, 0] += (rest[mouth, 0] - middle) * narrow
    half = (rest[54, 0] - rest[48, 0]) / 2
    move[mouth, 1] -= 0.07 * smile * (np.abs(rest[mouth, 0] - middle) / half) ** 2
    move[mouth, 1] += rng.normal(0, 0.02)

    thicker = rng.uniform(0.85, 1.7, 2)
    for border, points, k in ((upper_y, np.r_[49:54], 0), (lower_y, np.r_[55:60], 1)):
        thickness = rest[points, 1] - border(rest[points, 0])
        move[points, 1] += thickness * (thicker[k] - 1)


def _curve(rest: np.ndarray, vertices: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """y of a lip's border as a function of x; constant beyond the corners of the mouth."""
    x, y = rest[vertices, 0], rest[vertices, 1]
    return lambda positions: np.interp(positions, x, y)
