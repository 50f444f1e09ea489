"""Reads and writes photos. Every file that OpenCV decodes becomes upright RGB uint8."""

import importlib
import io
import re
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


def read_photo(path: Path | str) -> np.ndarray:
    """Reads a photo as RGB uint8 [height, width, 3].

    Greyscale is repeated over the channels, an alpha channel is dropped, 16 bits become 8 and the
    EXIF orientation is applied. Names may hold any character.

    Raises:
      InputError: the file is absent, unreadable, not a photo that OpenCV decodes, an animation, or
        larger than `MAX_PIXELS`.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    return decode_photo(data, str(path))


def decode_photo(data: bytes, name: str = "photo") -> np.ndarray:
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
            bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:
        why = f" ({error.err})"
    if bgr is not None:
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    plugin = next((plugin for brand, plugin in _PLUGINS.items() if brand.match(data)), "")
    if (header is None and plugin) or (header and header.format in ("AVIF", "GIF")):
        rgb = _with_pillow(data, plugin, name)
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


def _with_pillow(data: bytes, plugin: str, name: str) -> np.ndarray | None:
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
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except InputError:
        raise
    except Exception:  # as in `read_header`; or there is no plug-in
        return None


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
        raise InputError(f"A photo is uint8 [H, W, 3], not {photo.dtype} {photo.shape}.")


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
