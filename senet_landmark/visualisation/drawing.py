"""Draws points, boxes and labels on pictures, and makes contact sheets."""

import cv2
import numpy as np

from senet_landmark.face.geometry import to_crop, warp

GREEN, RED, YELLOW = (60, 220, 60), (240, 60, 60), (250, 210, 40)


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
    mean: np.ndarray, components: np.ndarray, deviations: np.ndarray, most: int = 6, cell: int = 160
) -> np.ndarray:
    """Draws a shape model's first modes, one per row: the mean, and 3 deviations below and above.

    Args:
      mean: [K, 2].
      components: [C, 2 K], x0, y0, x1 ….
      deviations: [C], standard deviations of the coefficients.
      most: largest number of rows.
      cell: side of a shape's picture in pixels.
    """
    extent = 1.4 * np.abs(mean).max()
    pictures = []
    for component, deviation in list(zip(components, deviations, strict=True))[:most]:
        for factor in (-3, 0, 3):
            shape = mean + factor * deviation * component.reshape(mean.shape)
            pixels = (shape / extent + 1) / 2 * cell - 0.5
            background = np.full((cell, cell, 3), 32, np.uint8)
            pictures.append(draw_points(background, pixels, radius=cell / 100))
    return contact_sheet(pictures, columns=3, cell=cell)


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
        side = max(picture.shape[:2])
        whole = np.array([-0.5, -0.5, side - 0.5, side - 0.5])
        fitted = warp(picture, to_crop(whole), (cell, cell))
        top, left = divmod(number, columns)
        sheet[top * cell : (top + 1) * cell, left * cell : (left + 1) * cell] = fitted
    return sheet
