"""Photos and face boxes -> crops, and landmarks in pixels of the photo, inside a TensorFlow graph.

What `Predictor` does around the network in one pass, for programs that have TensorFlow Serving and
not this package. Crops follow `senet_landmark.face.geometry` in float64, step by step: the same
region, the same averaging of large faces, the same bilinear samples. Every operation is one of
TensorFlow 1.15.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.export.inference.confidence import LEAST
from senet_landmark.face.boxes import LEAST_SIDE
from senet_landmark.face.geometry import CropSpec
from senet_landmark.frozen.contract import Contract

_EXIF_BYTES = 1 << 17
"""Bytes of a file that are searched for its EXIF, which is near its beginning."""

_ENTRIES = 256
"""Entries of the EXIF that are read; the orientation is among the first."""

_ORIENTATION = 0x0112
"""EXIF's tag of the orientation."""


class Crops(NamedTuple):
    """The crops of F faces in each of N photos, and where they are.

    Attributes:
      image: float32 [N * F, H, W, 3], RGB, 0 to 255: whole numbers.
      regions: float64 [N, F, 4], left, top, right, bottom of each crop in pixels of the photo.
    """

    image: Any
    regions: Any


def photo_crops(photos: Any, boxes: Any, contract: Contract) -> Crops:
    """Decodes photos and crops their faces.

    Args:
      photos: string [N]: JPEG or PNG. They are turned upright by their EXIF.
      boxes: float32 [N, F, 4], canonical face boxes in pixels of the upright photo, at least one;
        None: the model takes whole photos, and F is 1.
      contract: the model's; its crop and size.
    """
    width, height = contract.size

    def of_photo(encoded: Any, of_faces: Any) -> tuple[Any, Any]:
        photo = decoded_upright(encoded)
        regions = _regions(of_faces, contract.crop, photo)
        crops = tf.map_fn(lambda r: _crop(photo, r, contract.size), regions, dtype=tf.uint8)
        return crops, regions

    if boxes is None:
        crops, regions = tf.map_fn(
            lambda one: of_photo(one, None), photos, dtype=(tf.uint8, tf.float64)
        )
    else:
        crops, regions = tf.map_fn(
            lambda pair: of_photo(*pair), (photos, boxes), dtype=(tf.uint8, tf.float64)
        )
    image = tf.cast(tf.reshape(crops, [-1, height, width, 3]), tf.float32)
    faces = 1 if boxes is None else tf.shape(boxes)[1]
    return Crops(image, tf.reshape(regions, [tf.shape(photos)[0], faces, 4]))


def in_photos(outputs: dict[str, Any], regions: Any, contract: Contract) -> dict[str, Any]:
    """The network's outputs as `Predictor` gives them.

    Args:
      outputs: name -> the network's output [N * F, ...].
      regions: as in `Crops`.
      contract: the model's.

    Returns:
      Name -> float32 [N, F, ...]. `landmarks` [..., K, 2] and `depth` [..., K] are in pixels;
      `pose` and `attributes` are the network's. Of a model with maps also `confidence` [N, F] and
      `uncertainty` [N, F, K] in pixels, if their curves were fitted.
    """
    shape = tf.shape(regions)[:2]
    found = {
        name: tf.reshape(value, tf.concat([shape, tf.shape(value)[1:]], 0))
        for name, value in outputs.items()
    }
    sides = regions[..., 2:] - regions[..., :2]
    answer = dict(found)
    points = tf.cast(found["landmarks"], tf.float64)
    points = regions[..., None, :2] + points * sides[..., None, :]
    answer["landmarks"] = tf.cast(points, tf.float32)
    if "depth" in found:
        left, top, right, bottom = contract.crop.margins
        unit = tf.reduce_max(sides / (1 + left + right, 1 + top + bottom), axis=-1)
        centred = found["depth"] - tf.reduce_mean(found["depth"], axis=-1, keepdims=True)
        answer["depth"] = centred * tf.cast(unit, tf.float32)[..., None]
    if "variance" in found:
        spread = tf.sqrt(tf.maximum(answer.pop("variance"), 0))
        answer.update(_certainty(spread, sides, contract))
    return answer


def _certainty(spread: Any, sides: Any, contract: Contract) -> dict[str, Any]:
    """As `face_confidence` and `expected_errors`, of spreads [N, F, K]."""
    answer = {}
    if (curve := contract.confidence) is not None:
        mean = tf.maximum(tf.reduce_mean(spread, axis=-1), LEAST)
        power = curve.slope * (tf.log(mean) - np.log(curve.middle).astype(np.float32))
        answer["confidence"] = 1 / (1 + tf.exp(tf.clip_by_value(power, -50, 50)))
    if (errors := contract.expected_error) is not None:
        factors = np.array(errors.factors or 1.0, np.float32) * np.float32(errors.scale)
        side = tf.cast(tf.sqrt(sides[..., 0] * sides[..., 1]), tf.float32)
        share = factors * tf.maximum(spread, LEAST) ** errors.exponent
        answer["uncertainty"] = share * side[..., None]
    return answer


# --- decoding -------------------------------------------------------------------------------------


def decoded_upright(encoded: Any) -> Any:
    """A JPEG or PNG, a string, as uint8 [height, width, 3], RGB, turned by its EXIF orientation."""
    # The operation reads PNG too; the exact transform is the one that OpenCV's decoder has.
    stored = tf.image.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    orientation = exif_orientation(encoded)
    exchanged = tf.greater_equal(orientation, 5)
    upright = tf.transpose(stored, tf.where(exchanged, [1, 0, 2], [0, 1, 2]))
    across = tf.reduce_any(tf.equal(orientation, [2, 3, 6, 7]))
    down = tf.reduce_any(tf.equal(orientation, [3, 4, 7, 8]))
    turned = tf.raw_ops.Reverse(tensor=upright, dims=tf.stack([down, across, False]))
    return tf.ensure_shape(turned, [None, None, 3])


def exif_orientation(encoded: Any) -> Any:
    """EXIF's orientation of an encoded photo, int32, 1 to 8; 1 where it has none (TIFF 6.0)."""
    head = tf.decode_raw(tf.substr(encoded, 0, _EXIF_BYTES), tf.uint8)
    data = tf.pad(tf.cast(head, tf.int32), [[0, 16]])
    last = tf.shape(data)[0] - 1

    def byte(position: Any) -> Any:
        return tf.gather(data, tf.clip_by_value(position, 0, last))

    def position_of(text: bytes) -> Any:
        """Where the text begins, as [1], or [0] if it is nowhere."""
        shifted = [data[i : last + 1 - len(text) + i] for i in range(len(text))]
        same = [tf.equal(part, value) for part, value in zip(shifted, text, strict=True)]
        return tf.cast(tf.where(tf.reduce_all(tf.stack(same), axis=0))[:1, 0], tf.int32)

    # The block of a JPEG, and of a PNG.
    starts = [position_of(b"Exif\x00\x00") + 6, position_of(b"eXIf") + 4]
    start = tf.concat([*starts, [last]], axis=0)[0]
    little = tf.equal(byte(start), ord("I"))

    def number(position: Any, length: int) -> Any:
        parts = [byte(position + i) for i in range(length)]
        low = tf.add_n([part * 256**i for i, part in enumerate(parts)])
        high = tf.add_n([part * 256**i for i, part in enumerate(reversed(parts))])
        return tf.where(tf.fill(tf.shape(low), little), low, high)

    directory = start + tf.clip_by_value(number(start + 4, 4), 0, _EXIF_BYTES)
    count = tf.minimum(number(directory, 2), _ENTRIES)
    entries = directory + 2 + 12 * tf.range(count)
    values = tf.boolean_mask(number(entries + 8, 2), tf.equal(number(entries, 2), _ORIENTATION))
    value = tf.concat([values, [1]], axis=0)[0]
    known = (start < last) & (value >= 1) & (value <= 8)
    return tf.where(known, value, 1)


# --- geometry -------------------------------------------------------------------------------------


def _regions(boxes: Any, spec: CropSpec, photo: Any) -> Any:
    """`geometry.crop_box` of the boxes float32 [F, 4], or of the whole photo: float64 [F, 4]."""
    size = tf.cast(tf.shape(photo)[1::-1], tf.float64)
    half = tf.constant(0.5, tf.float64)
    if boxes is None:
        first, last = tf.zeros([1, 2], tf.float64) - half, size[None] - half
    else:
        boxes = tf.cast(boxes, tf.float64)
        with tf.control_dependencies(_checks(boxes, size)):
            first, last = tf.identity(boxes[:, :2]), tf.identity(boxes[:, 2:])
    sides = last - first
    first -= sides * np.array(spec.margins[:2])
    last += sides * np.array(spec.margins[2:])
    if spec.square:
        extreme = tf.reduce_max if spec.fit == "around" else tf.reduce_min
        half_side = extreme(last - first, axis=1, keepdims=True) / 2
        centre = (first + last) / 2
        first, last = centre - half_side, centre + half_side
    if spec.clip:
        first, last = tf.maximum(first, -half), tf.minimum(last, size - half)
    return tf.concat([first, last], axis=1)


def _checks(boxes: Any, size: Any) -> list[Any]:
    """`face.boxes.check_boxes` as assertions, which fail with a message for the client."""
    sides = boxes[:, 2:] - boxes[:, :2]
    within = (boxes[:, 2:] > 0) & (boxes[:, :2] < size - 1)
    rules = (
        (tf.shape(boxes)[0] > 0, "boxes: a photo has at least one"),  # a network needs a crop
        (sides >= LEAST_SIDE, f"boxes: a face has at least {LEAST_SIDE:g} pixels a side"),
        (within, "boxes: a box is outside of its photo"),
        (sides <= 10 * size + 100, "boxes: a box is far larger than its photo"),
    )
    wanted = ". Give left, top, right and bottom in pixels of the photo; boxes, then its size:"
    return [
        tf.debugging.Assert(tf.reduce_all(rule), [message + wanted, boxes, size], summarize=16)
        for rule, message in rules
    ]


def _crop(photo: Any, region: Any, size: tuple[int, int]) -> Any:
    """`geometry.warp` of a region [4] that is not turned: uint8 [size[1], size[0], 3]."""
    sides = region[2:] - region[:2]
    enlarged = tf.sqrt(tf.reduce_prod(sides) / float(size[0] * size[1]))
    factor = tf.maximum(tf.cast(tf.minimum(enlarged, 1e6), tf.int32), 1)
    lengths = tf.shape(photo)
    x = _axis(region[0], region[2], lengths[1], factor, size[0])
    y = _axis(region[1], region[3], lengths[0], factor, size[1])
    part = photo[y.first : y.last, x.first : x.last]
    cells = tf.stack([y.cells, x.cells])
    # OpenCV rounds half a level to even, but up where it averages 2 x 2 pixels: multiples of 1/4.
    up = tf.where(tf.equal(factor, 2), 0.125, 0.0)
    reduced = tf.round(tf.image.resize_area(part[None], cells)[0] + up)
    # Black around it, as beyond the photo.
    padded = tf.pad(reduced, [[1, 1], [1, 1], [0, 0]])
    rows = _between(padded, y, 0, [-1, 1, 1])
    crop = _between(rows, x, 1, [1, -1, 1])
    return tf.ensure_shape(tf.cast(tf.round(crop), tf.uint8), [size[1], size[0], 3])


class _Axis(NamedTuple):
    """One axis of a crop: which pixels of the photo are averaged to how many cells, and where
    among these, float64 [S], the crop's pixels are."""

    first: Any
    last: Any
    cells: Any
    places: Any


def _axis(start: Any, end: Any, length: Any, factor: Any, size: int) -> _Axis:
    """One axis of `geometry._reduce`, and of the affine that samples its result."""
    low = tf.cast(tf.floor(tf.maximum(start, -1e6)), tf.int32)
    high = tf.cast(tf.ceil(tf.minimum(end, 1e9)), tf.int32)
    first = tf.minimum(tf.maximum(low - factor, 0), length - 1)
    last = tf.minimum(tf.maximum(high + factor, first + 1), length)
    cells = tf.maximum((last - first) // factor, 1)
    last = tf.minimum(first + cells * factor, length)
    width = tf.cast(last - first, tf.float64) / tf.cast(cells, tf.float64)
    in_photo = start + (np.arange(size) + 0.5) * ((end - start) / size)
    places = (in_photo - tf.cast(first, tf.float64) + 0.5) / width - 0.5
    return _Axis(first, last, cells, places)


def _between(values: Any, axis: _Axis, number: int, shape: list[int]) -> Any:
    """Values at an axis's places, linear between its cells, which begin at index 1."""
    below = tf.floor(axis.places)
    weights = tf.reshape(tf.cast(axis.places - below, tf.float32), shape)
    index = tf.cast(below, tf.int32) + 1
    lower, upper = (
        tf.gather(values, tf.clip_by_value(index + step, 0, axis.cells + 1), axis=number)
        for step in (0, 1)
    )
    return lower * (1 - weights) + upper * weights
