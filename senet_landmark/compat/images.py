"""Images as the other packages take them."""

import os
from typing import Any

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.io.images import check_rgb, read_photo


def grey_as_rgb(image: np.ndarray) -> np.ndarray:
    """Grey [H, W] or [H, W, 1] as [H, W, 3]; other arrays as they are, one row after the other."""
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim == 3 and image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image)


def as_array(value: Any) -> np.ndarray:
    """An array, or a tensor of PyTorch's wherever it is, as an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def as_photo(image: Any) -> np.ndarray:
    """An image as RGB uint8 [H, W, 3].

    Args:
      image: a path; or an array or a tensor [H, W], [H, W, 1], RGB [H, W, 3], or [H, W, 4], whose
        alpha is dropped, with values from 0 to 255 of any type; fractions are cut off. A file is
        taken as it is stored, without its EXIF orientation, as scikit-image reads it.

    Raises:
      InputError: the file cannot be read, or the array is none of these.
    """
    if isinstance(image, str | os.PathLike):
        return read_photo(os.fspath(image), upright=False)
    if not isinstance(image, np.ndarray) and not hasattr(image, "detach"):
        raise InputError(f"An image is a path, an array or a tensor, not {type(image).__name__}.")
    pixels = grey_as_rgb(as_array(image))
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = np.ascontiguousarray(pixels[..., :3])
    pixels = _as_bytes(pixels)
    check_rgb(pixels)
    return pixels


def _as_bytes(pixels: np.ndarray) -> np.ndarray:
    """Values from 0 to 255 as uint8."""
    if pixels.dtype == np.uint8 or pixels.dtype.kind not in "fiu" or not pixels.size:
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 255):  # NaN too
        raise InputError(
            f"The image's values are from {low:g} to {high:g}, and not from 0 to 255. Give uint8."
        )
    if pixels.dtype.kind == "f" and 0 < high <= 1:
        raise InputError(
            "The image's values are from 0 to 1, and not to 255: all of it would be black. Give "
            "(255 * image).astype('uint8')."
        )
    return pixels.astype(np.uint8)
