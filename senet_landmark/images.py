"""Photos in and out: any file that OpenCV decodes becomes RGB uint8, upright, three channels."""

from pathlib import Path

import cv2
import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.files import write_bytes

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".jp2"})


def read_photo(path: Path | str) -> np.ndarray:
    """Reads a photo as RGB uint8 [height, width, 3].

    Greyscale is repeated over the channels, an alpha channel is dropped, 16 bits become 8 and the
    EXIF orientation is applied. Names may hold any character.

    Raises:
      InputError: the file is absent, unreadable, or not a photo that OpenCV decodes.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    return decode_photo(data, str(path))


def decode_photo(data: bytes, name: str = "photo") -> np.ndarray:
    """Decodes an encoded photo to RGB uint8 [height, width, 3]; `name` is for the error message."""
    if _is_cut_off(data):
        raise InputError(f"{name}: is cut off, the end of the JPEG is missing. Copy it anew.")
    try:
        # Reading from memory rather than by name takes any file name on any system.
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:
        raise InputError(f"{name}: does not decode as a photo ({error.err}).") from error
    if bgr is None:
        reason = "is empty (0 bytes)" if not data else "does not decode as a photo"
        raise InputError(f"{name}: {reason}. Give a JPEG, PNG, BMP, WebP or TIFF file.")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _is_cut_off(data: bytes) -> bool:
    """Whether a JPEG lacks its end. OpenCV 4 fills what is missing with grey and says nothing.

    The marker of the end (FF D9) must follow the last start of a scan (FF DA); neither occurs
    within a scan, and that of an embedded preview comes before the picture's own scan.
    """
    return data[:2] == b"\xff\xd8" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")


def encode_png(rgb: np.ndarray) -> bytes:
    """Codes RGB uint8 [height, width, 3] losslessly as PNG."""
    done, data = cv2.imencode(".png", rgb[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise ValueError("OpenCV could not encode the picture as PNG")
    return data.tobytes()


def write_picture(path: Path | str, rgb: np.ndarray) -> None:
    """Writes RGB uint8 [height, width, 3] in the format that the suffix names, whole or not at all.

    Raises:
      InputError: OpenCV has no writer for the suffix.
    """
    path = Path(path)
    try:
        done, data = cv2.imencode(path.suffix, rgb[..., ::-1])
    except cv2.error as error:
        raise InputError(f"{path}: no picture format for this suffix; use .jpg or .png.") from error
    if not done:
        raise InputError(f"{path}: the picture could not be encoded.")
    write_bytes(path, data.tobytes())


def find_photos(paths: list[Path]) -> list[Path]:
    """The photos that files and folders name, folders searched through, in sorted order.

    Raises:
      InputError: a path does not exist, or a folder holds no photo.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES)
            if not inside:
                raise InputError(f"{path}: no photo in this folder (looked for .jpg, .png, …).")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"{path}: does not exist.")
    return found
