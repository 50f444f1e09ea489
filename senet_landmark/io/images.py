"""Reads and writes photos. Every file that OpenCV decodes becomes upright RGB uint8."""

import importlib
import io
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.io.files import write_bytes
from senet_landmark.io.silence import silenced

PHOTO_SUFFIXES = frozenset(
    {
        ".apng", ".avif", ".bmp", ".dib", ".exr", ".gif", ".hdr", ".heic", ".heif", ".hif", ".jfi",
        ".jfif", ".jif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jxl", ".pam", ".pbm", ".pgm", ".pic",
        ".png", ".pnm", ".ppm", ".ras", ".sr", ".tif", ".tiff", ".webp",
    }
)  # fmt: skip
"""What OpenCV reads, and what Pillow reads with a plug-in (`_with_pillow`)."""

MAX_PIXELS = 200_000_000
"""Pixels of the largest photo that is decoded. A small file may claim any size, and each pixel
takes six bytes of memory."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM")
"""Formats whose header is read, by Pillow's names."""

_QUICK_PIXELS = 100_000
"""Pixels up to which `decode_grey` reads a photo in full."""

_ORIENTATION = 0x0112
"""EXIF's tag of the orientation."""

_TURNED_FORMATS = ("JPEG", "PNG", "WEBP")
"""Formats whose EXIF orientation OpenCV applies, and can leave out."""


class PhotoHeader(NamedTuple):
    """What a file's header says about the photo.

    Attributes:
      format: Pillow's name of the format.
      width: in pixels, as stored: before the EXIF orientation is applied.
      height: in pixels, as stored.
      frames: number of frames of an animation, otherwise 1; the pages of a TIFF and the extra
        pictures in a camera's JPEG do not count.
    """

    format: str
    width: int
    height: int
    frames: int


ColourOrder = Literal["RGB", "BGR"]

Photo = Path | str | bytes | np.ndarray
"""A path, an encoded photo, or uint8 [H, W, 3]."""


def read_photo(path: Path | str, *, upright: bool = True) -> np.ndarray:
    """Reads a photo as RGB uint8 [height, width, 3].

    Greyscale is repeated over the channels, an alpha channel is dropped, and 16 bits become 8: of a
    photo of 10, 12 or 14 bits in a file of 16 those that it has. Names may hold any character.

    Args:
      path: the file.
      upright: whether the EXIF orientation is applied. Without it, the pixels are as stored, which
        is how dlib and MATLAB read a photo.

    Raises:
      InputError: the file is absent, unreadable, not a photo that OpenCV decodes, an animation, or
        larger than `MAX_PIXELS`.
    """
    return decode_photo(read_file(path), str(path), upright=upright)


def read_file(path: Path | str) -> bytes:
    """The bytes of a file. Raises InputError if it is absent, unreadable, or no regular file."""
    try:
        is_pipe = stat.S_ISFIFO(os.stat(path).st_mode)
        data = b"" if is_pipe else Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}: this name cannot be opened where names are {sys.getfilesystemencoding()}. "
            "Set the locale to UTF-8, such as LC_ALL=C.UTF-8."
        ) from error
    except ValueError as error:  # a name with a zero byte
        raise InputError(f"{str(path)!r}: cannot be a file's name ({error}).") from error
    if is_pipe:  # reading it would wait for a writer for ever
        raise InputError(f"{path}: is a named pipe, not a file.")
    return data


def decode_photo(data: bytes, name: str = "photo", *, upright: bool = True) -> np.ndarray:
    """Decodes an encoded photo to RGB uint8 [height, width, 3]; `name` is for the error message.

    Raises:
      InputError: as `read_photo`.
    """
    if _is_cut_off(data):
        raise InputError(
            f"{name}: is cut off, the end of the JPEG is missing. Copy the file again."
        )
    header = read_header(data)
    if header:
        _check_header(header, name)
    bgr, why = None, ""
    try:
        with silenced():
            # OpenCV cannot open every file name on every system, so it decodes from memory.
            bgr = _decode(np.frombuffer(data, np.uint8), upright) if data else None
    except cv2.error as error:
        why = f" ({error.err})"
    if bgr is not None:
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    plugin = next((plugin for brand, plugin in _PLUGINS.items() if brand.match(data)), "")
    if (header is None and plugin) or (header and header.format in ("AVIF", "GIF")):
        rgb = _with_pillow(data, plugin, name, upright)
        if rgb is not None:
            return rgb
    if plugin and header is None:
        raise InputError(
            f"{name}: is HEIC or JPEG XL, which needs `pip install {plugin}`; or give a JPEG."
        )
    reason = "is empty (0 bytes)" if not data else f"does not decode as a photo{why}"
    raise InputError(f"{name}: {reason}. Give a JPEG, PNG, BMP, WebP or TIFF file.")


_PLUGINS = {
    re.compile(rb"(?s)....ftyp(hei[cxms]|hev[cx]|mif1|msf1)"): "pillow-heif",
    re.compile(rb"\xff\n|(?s:\x00\x00\x00\x0cJXL )"): "pillow-jxl-plugin",
}
"""How photos begin that neither OpenCV nor Pillow reads -> the plug-in of Pillow that does."""


def _with_pillow(data: bytes, plugin: str, name: str, upright: bool) -> np.ndarray | None:
    """A photo that OpenCV does not decode, by Pillow; None if that does not decode it either.

    Some of OpenCV's wheels have no AVIF or GIF; none has HEIC.
    """
    from PIL import Image, ImageOps

    try:
        if plugin == "pillow-heif":
            importlib.import_module("pillow_heif").register_heif_opener()
        elif plugin:
            importlib.import_module("pillow_jxl")
        with silenced(), Image.open(io.BytesIO(data)) as image:
            _check_header(PhotoHeader(image.format or "", *image.size, _frames(image)), name)
            turned = ImageOps.exif_transpose(image) if upright else image
            return np.asarray(turned.convert("RGB"))
    except InputError:
        raise
    except Exception:  # as in `read_header`; or there is no plug-in
        return None


def _decode(data: np.ndarray, upright: bool) -> np.ndarray | None:
    """The photo as BGR uint8 [H, W, 3]; None if OpenCV does not decode it."""
    flags = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    bgr = cv2.imdecode(data, flags | cv2.IMREAD_ANYDEPTH)
    if bgr is None or bgr.dtype == np.uint8:
        return bgr
    if bgr.dtype != np.uint16:
        return cv2.imdecode(data, flags)
    # Cameras and scanners store 10, 12 and 14 bits in files of 16: the upper byte would be black.
    most = int(bgr.max())
    bits = next(bits for bits in (8, 10, 12, 14, 16) if most < 1 << bits)
    return (bgr >> (bits - 8)).astype(np.uint8)


def decode_grey(data: bytes, name: str = "photo") -> np.ndarray:
    """Decodes a photo as stored to grey uint8 [H, W], a large one at an eighth of its size.

    Several times as quick as `decode_photo`, for comparing photos.

    Raises:
      InputError: it does not decode, or is larger than `MAX_PIXELS`.
    """
    header = read_header(data)
    if header is None or _is_cut_off(data):
        raise InputError(f"{name}: does not decode as a photo.")
    _check_header(header, name)
    large = header.width * header.height > _QUICK_PIXELS
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_8 if large else cv2.IMREAD_GRAYSCALE
    try:
        with silenced():
            encoded = np.frombuffer(data, np.uint8)
            grey = cv2.imdecode(encoded, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        grey = None
    if grey is None:
        raise InputError(f"{name}: does not decode as a photo.")
    return grey


def stored_form(data: bytes) -> tuple[int, int, int]:
    """(EXIF orientation 1 to 8, width, height) of a photo as stored, before it is turned upright.

    The orientation is 1 where the file has none, or where `read_photo` cannot leave it out.
    """
    try:
        image = _open(data)
        if image is None:
            return 1, 0, 0
        tag = image.getexif().get(_ORIENTATION, 1) if image.format in _TURNED_FORMATS else 1
        return tag if tag in range(1, 9) else 1, *image.size
    except Exception:  # Pillow's parsers raise many kinds of errors
        return 1, 0, 0


def stored_points(points: np.ndarray, form: tuple[int, int, int]) -> np.ndarray:
    """Points [..., 2] of the upright photo in the pixels of the stored one.

    Args:
      points: 0-based pixels (x, y) of the upright photo.
      form: `stored_form` of the photo.
    """
    orientation, width, height = form
    points = np.asarray(points, np.float64)
    x, y = points[..., 0], points[..., 1]
    if orientation >= 5:  # the axes are exchanged
        x, y = y, x
    if orientation in (2, 3, 7, 8):
        x = width - 1 - x
    if orientation in (3, 4, 6, 7):
        y = height - 1 - y
    return np.stack([x, y], axis=-1)


def as_rgb(photo: Photo, order: ColourOrder = "RGB") -> np.ndarray:
    """A photo as RGB uint8 [H, W, 3]: a path is read, bytes are decoded, an array is reordered.

    Raises:
      InputError: it cannot be read, or is an array of another type or shape.
    """
    if isinstance(photo, bytes):
        return decode_photo(photo)
    if not isinstance(photo, np.ndarray):
        return read_photo(photo)
    check_rgb(photo)
    if order not in ("RGB", "BGR"):
        raise InputError(f"The order of colours is RGB or BGR, not {order!r}.")
    return photo if order == "RGB" else np.ascontiguousarray(photo[..., ::-1])


def check_rgb(photo: np.ndarray) -> None:
    """Raises InputError unless the array is uint8 [H, W, 3] with at least one pixel."""
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
        advice = ""
        if photo.ndim == 2:
            advice = " Repeat a grey one: np.stack([photo] * 3, axis=-1)."
        elif photo.dtype.kind == "f":
            advice = " Values from 0 to 1: (255 * photo).astype(np.uint8)."
        raise InputError(f"A photo is uint8 [H, W, 3], not {photo.dtype} {photo.shape}.{advice}")


def read_header(data: bytes) -> PhotoHeader | None:
    """Reads the header of an encoded photo, in well under a millisecond.

    None where Pillow cannot read the header; OpenCV may still decode the format.
    """
    try:
        with silenced():
            image = _open(data)
    except Exception:  # Pillow's parsers raise many kinds of errors
        return None
    if image is None:
        return None
    width, height = image.size
    return PhotoHeader(image.format, width, height, _frames(image))


def _frames(image: Any) -> int:
    """Number of frames of a Pillow image; 1 for one that is not animated or cannot be counted."""
    try:
        if image.format in ("GIF", "PNG", "WEBP", "AVIF") and image.is_animated:
            return int(image.n_frames)
    except Exception:  # as above; the size must still be checked
        pass
    return 1


def _open(data: bytes) -> Any:
    """The photo as a Pillow image, not yet decoded; None where Pillow does not know the format.

    Like `Image.open`, without its warning above 89 megapixels and its error above 179.
    """
    from PIL import Image

    for load_plugins in (
        Image.preinit,
        Image.init,
    ):  # the common formats first: loading all is slow
        load_plugins()
        for name in _FORMATS:
            factory, accept = Image.OPEN.get(name, (None, None))
            if factory and (accept is None or accept(data[:16]) is True):
                return factory(io.BytesIO(data), "")
    return None


def _check_header(header: PhotoHeader, name: str) -> None:
    """Raises InputError where the photo is too large, or an animation."""
    pixels = header.width * header.height
    if pixels > MAX_PIXELS:
        raise InputError(
            f"{name}: is {header.width}x{header.height}, {pixels / 1e6:.0f} megapixels; at most "
            f"{MAX_PIXELS / 1e6:.0f} are read. Give a smaller copy."
        )
    if header.frames > 1:
        raise InputError(
            f"{name}: is an animated {header.format} of {header.frames} frames, not a photo. Give "
            "one frame as a photo, or all as a video."
        )


def _is_cut_off(data: bytes) -> bool:
    """Whether the end of a JPEG is missing. OpenCV 4 fills the missing part with grey silently.

    The end marker (FF D9) must follow the last start-of-scan marker (FF DA). Neither occurs within
    a scan, and an embedded preview comes before the scan of the picture itself.
    """
    return data[:2] == b"\xff\xd8" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")


def encode_png(rgb: np.ndarray) -> bytes:
    """Encodes RGB uint8 [height, width, 3] as PNG, which is lossless."""
    settings = [cv2.IMWRITE_PNG_COMPRESSION, 3]
    if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # newer versions only
        # One filter for all rows decodes faster and adds only a few bytes.
        settings += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    encoded, data = cv2.imencode(".png", rgb[..., ::-1], settings)
    if not encoded:
        raise ValueError("OpenCV could not encode the picture as PNG")
    return data.tobytes()


def write_picture(path: Path | str, rgb: np.ndarray) -> None:
    """Writes RGB uint8 [height, width, 3] in the format that the suffix names, whole or not at all.

    Raises:
      InputError: OpenCV has no writer for the suffix.
    """
    path = Path(path)
    try:
        encoded, data = cv2.imencode(path.suffix, rgb[..., ::-1])
    except cv2.error as error:
        raise InputError(
            f"{path}: this suffix names no picture format; use .jpg or .png."
        ) from error
    if not encoded:
        raise InputError(f"{path}: the picture could not be encoded.")
    write_bytes(path, data.tobytes())
