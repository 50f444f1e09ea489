"""Reads photos upright or as stored, without their EXIF orientation: as they were annotated."""

import contextlib
from collections.abc import Callable

import numpy as np

from senet_landmark.data_tools.datasets.samples import Entry, Sample
from senet_landmark.errors import InputError
from senet_landmark.face.schemes import Scheme, get_scheme
from senet_landmark.io.images import (
    decode_photo,
    read_file,
    read_photo,
    stored_form,
    stored_points,
)

Form = tuple[int, int, int]
"""`stored_form` of a photo."""


def upright(entry: Entry) -> np.ndarray:
    """The photo with its EXIF orientation applied."""
    return read_photo(entry.photo)


def as_stored(entry: Entry) -> np.ndarray:
    """The photo without its EXIF orientation, which dlib's tools and MATLAB ignore."""
    return read_photo(entry.photo, upright=False)


def as_annotated(load: Callable[[Entry], Sample]) -> Callable[[Entry], np.ndarray]:
    """The photo upright, or as stored if the annotated face is upright in the photo as stored.

    For data sets that are annotated with tools of both kinds; `load` reads the face.
    """
    return lambda entry: _as_annotated(load, entry, read_file(entry.photo))


def _as_annotated(load: Callable[[Entry], Sample], entry: Entry, data: bytes) -> np.ndarray:
    turned = True
    form = stored_form(data)
    if form[0] > 1:
        with contextlib.suppress(InputError):
            sample = load(entry)
            turned = not is_as_stored(sample.landmarks, get_scheme(sample.scheme), form)
    return decode_photo(data, str(entry.photo), upright=turned)


def as_sized(
    load: Callable[[Entry], Sample], size_of: Callable[[Entry], tuple[int, int] | None]
) -> Callable[[Entry], np.ndarray]:
    """The photo upright or as stored, whichever has the size that its annotation tells.

    Where both have it, the face decides, as in `as_annotated`; so it does without a size.

    Args:
      load: reads the face.
      size_of: entry -> (width, height) of the photo as it was annotated; None: unknown.

    Returns:
      Entry -> its photo. It raises InputError where the photo has another size.
    """

    def photo(entry: Entry) -> np.ndarray:
        data = read_file(entry.photo)
        size, form = size_of(entry), stored_form(data)
        if size in _sizes(form) and form[0] >= 5 and form[1] != form[2]:
            return decode_photo(data, str(entry.photo), upright=size == _sizes(form)[1])
        pixels = _as_annotated(load, entry, data)
        found = (pixels.shape[1], pixels.shape[0])
        if size and size != found:
            raise InputError(
                f"{entry.photo}: has {found[0]}x{found[1]} pixels, its annotation in "
                f"{entry.where} says {size[0]}x{size[1]}. Give the photo that was annotated."
            )
        return pixels

    return photo


def _sizes(form: Form) -> tuple[tuple[int, int], tuple[int, int]]:
    """(width, height) of a photo as stored, and upright."""
    stored = form[1], form[2]
    return stored, stored[::-1] if form[0] >= 5 else stored


def upright_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a photo upright, by its header; None where that cannot be read."""
    form = stored_form(data)
    return _sizes(form)[1] if form[1] else None


def is_as_stored(landmarks: np.ndarray, scheme: Scheme, form: Form) -> bool:
    """Whether a face's landmarks [K, 2] are pixels of the photo as stored, rather than upright.

    An upright face has its eyes above the middle of its landmarks, and the left eye at the left.
    False where an eye is unknown.

    Args:
      landmarks: pixels, 0-based; NaN where unknown.
      scheme: their scheme.
      form: `stored_form` of the photo.
    """
    known = np.isfinite(landmarks).all(axis=1)
    if not all(known[list(eye)].any() for eye in scheme.eyes):
        return False
    eyes = np.array([np.nanmean(landmarks[list(eye)], axis=0) for eye in scheme.eyes])
    across, down = eyes[1] - eyes[0], landmarks[known].mean(axis=0) - eyes.mean(axis=0)
    # The axes of the upright photo, in the pixels of the stored one.
    origin, right, below = stored_points(np.array([[0, 0], [1, 0], [0, 1]]), form)
    turned = across @ (right - origin) + down @ (below - origin)
    return bool(turned > across[0] + down[1])
