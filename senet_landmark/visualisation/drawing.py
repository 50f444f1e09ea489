"""Draws points, boxes and labels on pictures, and makes contact sheets."""

import cv2
import numpy as np

from senet_landmark.face.geometry import apply, to_crop, warp

GREEN, YELLOW = (60, 220, 60), (250, 210, 40)

TRUTH, PREDICTION = (86, 180, 233), (230, 159, 0)
"""Blue and orange, which the colour-blind tell apart: Okabe and Ito, "Color Universal Design"
(2008). Where both are drawn, this is which."""

DARK = (20, 20, 20)
"""The outline of marks, so that they show on light and on dark skin."""


def draw_points(
    picture: np.ndarray, points: np.ndarray, colour: tuple[int, int, int] = GREEN, radius: float = 1
) -> np.ndarray:
    """Draws dots at points [K, 2], in pixels, on a copy of an RGB uint8 picture."""
    picture = np.ascontiguousarray(picture).copy()
    put_points(picture, points, colour, radius)
    return picture


def put_points(
    picture: np.ndarray, points: np.ndarray, colour: tuple[int, int, int], radius: float
) -> None:
    """Draws dots as `draw_points`, on the picture itself."""
    for x, y in np.asarray(points, np.float64):
        # 4 fractional bits, so that a dot is centred on its point, not on the nearest pixel.
        centre = (round(float(x) * 16), round(float(y) * 16))
        cv2.circle(picture, centre, int(radius * 16), colour, -1, cv2.LINE_AA, shift=4)


def draw_box(
    picture: np.ndarray, box: np.ndarray, colour: tuple[int, int, int] = YELLOW, thickness: int = 1
) -> np.ndarray:
    """Draws a box (left, top, right, bottom), in pixels, on a copy of the picture."""
    left, top, right, bottom = (round(float(v)) for v in box)
    picture = np.ascontiguousarray(picture).copy()
    cv2.rectangle(picture, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA)
    return picture


def draw_label(
    picture: np.ndarray,
    text: str,
    corner: np.ndarray,
    height: float,
    colour: tuple[int, int, int] = YELLOW,
) -> np.ndarray:
    """Draws a short text on a copy of the picture.

    Args:
      picture: RGB uint8 [H, W, 3].
      text: the text.
      corner: (x, y) in pixels; the text is just above it, to the right.
      height: height of the letters in pixels, at least 8.
      colour: colour of the text.
    """
    picture = np.ascontiguousarray(picture).copy()
    put_label(picture, text, corner, height, colour)
    return picture


def put_label(
    picture: np.ndarray,
    text: str,
    corner: np.ndarray,
    height: float,
    colour: tuple[int, int, int],
) -> None:
    """Draws a text as `draw_label`, on the picture itself."""
    scale = max(height, 8) / 22  # OpenCV's letters are 22 pixels high at scale 1
    x, y = round(float(corner[0])), round(float(corner[1]) - 3)
    thickness = max(round(scale), 1)
    edge = max(round(1.5 * scale), 1)
    # An outline, readable on any background; thicker letters would be wider ones in OpenCV 5.
    shifts = [(dx, dy) for dx in (-edge, 0, edge) for dy in (-edge, 0, edge) if dx or dy]
    for (dx, dy), ink in [*((shift, (0, 0, 0)) for shift in shifts), ((0, 0), colour)]:
        place, font = (x + dx, y + dy), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(picture, text, place, font, scale, ink, thickness, cv2.LINE_AA)


def draw_shape_modes(
    mean: np.ndarray,
    components: np.ndarray,
    variances: np.ndarray,
    share: float,
    most: int = 6,
    cell: int = 220,
) -> np.ndarray:
    """Draws a shape model's first modes, one per row: 3 deviations below the mean, it, 3 above.

    Args:
      mean: [K, 2].
      components: [C, 2 K], x0, y0, x1 ….
      variances: [C], of the coefficients.
      share: the share of the whole variance that all components have together.
      most: largest number of rows.
      cell: side of a shape's picture in pixels.
    """
    extent = 1.6 * np.abs(mean).max()
    shares = share * variances / variances.sum()
    pictures = []
    for number in range(min(most, len(components))):
        component = components[number].reshape(mean.shape)
        titles = {-3: "mean - 3 deviations", 0: "mean", 3: "mean + 3 deviations"}
        for factor, title in titles.items():
            shape = mean + factor * variances[number] ** 0.5 * component
            background = np.full((cell, cell, 3), 32, np.uint8)
            picture = mark_points(background, (shape / extent + 1) / 2 * cell - 0.5)
            if factor == -3:
                mode = f"mode {number + 1}: {100 * shares[number]:.1f}% of variance"
                picture = draw_label(picture, mode, np.array([6, 18]), 9)
            pictures.append(draw_label(picture, title, np.array([6, cell - 4]), 9))
    return contact_sheet(pictures, columns=3, cell=cell)


def mark_points(
    picture: np.ndarray,
    points: np.ndarray,
    colour: tuple[int, int, int] = TRUTH,
    radius: float = 1.2,
) -> np.ndarray:
    """Draws dots with a dark outline, on any skin, at the known points [K, 2], on a copy.

    Args:
      picture: RGB uint8 [H, W, 3].
      points: in pixels; those that are not finite are left out.
      colour: a light colour.
      radius: of the light part, in pixels.
    """
    points = np.asarray(points, np.float64)
    known = points[np.isfinite(points).all(axis=1)]
    picture = draw_points(picture, known, DARK, radius + 0.8)
    return draw_points(picture, known, colour, radius)


def contact_sheet(pictures: list[np.ndarray], columns: int = 8, cell: int = 160) -> np.ndarray:
    """Arranges pictures side by side, each fitted into a square cell.

    Args:
      pictures: RGB uint8, of any sizes; at least one.
      columns: cells in a row.
      cell: side of a cell in pixels.

    Raises:
      ValueError: there is no picture.
    """
    if not pictures:
        raise ValueError("a contact sheet needs at least one picture")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * cell, columns * cell, 3), 32, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = divmod(number, columns)
        fitted = fit_into(picture, cell)[0]
        sheet[top * cell : (top + 1) * cell, left * cell : (left + 1) * cell] = fitted
    return sheet


def fit_into(picture: np.ndarray, cell: int, *points: np.ndarray) -> tuple[np.ndarray, ...]:
    """Fits a picture into a square cell: what is drawn afterwards is as thick in every cell.

    Args:
      picture: RGB uint8 [H, W, 3].
      cell: side of the cell in pixels.
      points: [K, 2] each, in pixels of the picture.

    Returns:
      The picture, RGB uint8 [cell, cell, 3], and `points` in its pixels.
    """
    side = max(picture.shape[:2])
    transform = to_crop(np.array([-0.5, -0.5, side - 0.5, side - 0.5]))
    fitted = warp(picture, transform, (cell, cell))
    return fitted, *(apply(transform, np.asarray(p, np.float64)) * cell - 0.5 for p in points)
