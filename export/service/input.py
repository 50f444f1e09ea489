"""Reads a request to the service, within limits: a photo as body or form, and face boxes."""

import contextlib
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import anyio
import numpy as np
from fastapi import HTTPException, Request
from python_multipart import create_form_parser
from python_multipart.exceptions import FormParserError
from starlette.requests import ClientDisconnect

from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import cores
from senet_landmark.io.images import decode_photo, read_header

FORM_OVERHEAD = 65_536
"""Largest number of bytes of a form in addition to its photo."""

MOST_PARTS = 16
"""Largest number of parts of a form; only `photo` is read."""

MOST_BOXES = 100
"""Largest number of face boxes in a request."""


@dataclass(frozen=True)
class Limits:
    """How large photos may be, and how many the service accepts at once.

    Attributes:
      megabytes: largest encoded photo, in units of 1,000,000 bytes.
      megapixels: largest decoded photo; each worker needs 6 MB of memory per megapixel.
      workers: number of predictions at the same time.
      queue: number of requests that may wait, each with its photo in memory.
      seconds: longest time of an upload.
    """

    megabytes: float = 20.0
    megapixels: float = 100.0
    workers: int = field(default_factory=cores)
    queue: int = 64
    seconds: float = 30.0

    def __post_init__(self) -> None:
        positive = (self.megabytes, self.megapixels, self.seconds)
        if not all(0 < value < math.inf for value in positive):
            raise InputError("The limits of a photo are more than 0 and finite.")
        if self.workers < 1 or self.queue < 0:
            raise InputError("The service needs at least 1 worker and a queue of 0 or more.")

    @property
    def bytes(self) -> int:
        """Largest encoded photo, in bytes."""
        return int(self.megabytes * 1_000_000)


def is_form(request: Request) -> bool:
    """Whether the photo comes in a form. Raises HTTPException 415 if it is no form and no photo."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "Send the photo as it is, without Content-Encoding.")
    content_type = request.headers.get("content-type", "application/octet-stream")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return True
    if kind.startswith("image/") or kind == "application/octet-stream":
        return False
    raise HTTPException(
        415,
        f"A body of type {kind} is no photo. Send the file itself with Content-Type image/jpeg "
        "(or image/*, application/octet-stream), or as field photo of multipart/form-data.",
    )


def check_length(request: Request, limits: Limits) -> None:
    """Raises HTTPException 413 if the request announces more bytes than the limit."""
    if int(request.headers.get("content-length", 0)) > limits.bytes + FORM_OVERHEAD:
        raise _too_large(limits)


async def read_body(request: Request, limits: Limits) -> bytes:
    """Reads the body; never holds more bytes than the limit.

    Raises:
      HTTPException: 413 above the limit, also if the request announced no length; 408 after
        `limits.seconds`; 400 if the client closed the connection.
    """
    body = bytearray()
    try:
        with anyio.fail_after(limits.seconds):
            async for chunk in request.stream():
                if len(body) + len(chunk) > limits.bytes + FORM_OVERHEAD:
                    raise _too_large(limits)
                body += chunk
    except TimeoutError as error:
        raise HTTPException(
            408, f"The photo did not arrive in {limits.seconds:g} seconds."
        ) from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The upload broke off.") from error
    return bytes(body)


@contextlib.asynccontextmanager
async def upload_drained(request: Request) -> AsyncIterator[None]:
    """If the block refuses the request, reads and drops the rest of the upload for up to 2 seconds.

    Many clients read the answer only after they have sent everything. If the connection were closed
    earlier, they would see a broken connection instead of the answer.
    """
    try:
        yield
    except HTTPException:
        if (
            "expect" not in request.headers
        ):  # a client with this header waits before it sends the body
            with (
                anyio.move_on_after(2),
                contextlib.suppress(
                    ClientDisconnect, RuntimeError
                ),  # the client is gone, or all has been read
            ):
                async for _ in request.stream():
                    pass
        raise


def photo_of(body: bytes, content_type: str | None, limits: Limits) -> tuple[bytes, str | None]:
    """The encoded photo in a body, and its file's name if a form tells it.

    Args:
      body: the bytes of the body.
      content_type: the type of a form; None: the body itself is the photo.
      limits: limits of the photo.

    Raises:
      HTTPException: 400 if there is no photo or the form is damaged; 413 if it is too large.
    """
    photo, name = (body, None) if content_type is None else _photo_of_form(body, content_type)
    if not photo:
        raise HTTPException(
            400,
            "No photo came with the request. Send one as the body, or as field photo of a form.",
        )
    if len(photo) > limits.bytes:
        raise _too_large(limits)
    return photo, name


def _photo_of_form(body: bytes, content_type: str) -> tuple[bytes, str | None]:
    photos: list[tuple[bytes, str | None]] = []
    parts = 0

    def keep(name: bytes | None, read: Callable[[], bytes], file: bytes | None = None) -> None:
        nonlocal parts
        parts += 1
        if parts > MOST_PARTS:
            raise HTTPException(400, f"The form has more than {MOST_PARTS} fields.")
        if name == b"photo":
            photos.append((read(), file.decode("utf-8", "replace") if file else None))

    def keep_file(file) -> None:  # type: ignore[no-untyped-def]  # typed in some releases only
        file.file_object.seek(0)
        keep(file.field_name, file.file_object.read, file.file_name)

    try:
        parser = create_form_parser(
            {"Content-Type": content_type.encode("latin-1")},
            lambda part: keep(part.field_name, lambda: part.value or b""),
            keep_file,
            config={"MAX_MEMORY_FILE_SIZE": len(body) + 1},  # nothing is written to disk
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise HTTPException(400, f"The form cannot be read ({error}).") from error
    if len(photos) > 1:
        raise HTTPException(400, "The form has several photos; send them one at a time.")
    return photos[0] if photos else (b"", None)


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(
        413, f"The photo has more than {limits.megabytes:g} MB. Send a smaller copy."
    )


def decode_upload(photo: bytes, limits: Limits) -> np.ndarray:
    """An upload as RGB uint8 [H, W, 3]; its header is checked before anything is decoded.

    Raises:
      HTTPException: 422 if the format is unknown, or the photo is larger than the limit.
      InputError: as `decode_photo`.
    """
    header = read_header(photo)
    if header is None:  # only the header tells how much memory decoding takes
        raise HTTPException(
            422, "The body does not decode as a photo. Give a JPEG, PNG, WebP, BMP or TIFF file."
        )
    if header.width * header.height > limits.megapixels * 1e6:
        raise HTTPException(
            422,
            f"The photo is {header.width}x{header.height}; at most {limits.megapixels:g} "
            "megapixels are accepted. Send a smaller copy.",
        )
    return decode_photo(photo)


def parse_boxes(text: str | None) -> np.ndarray | None:
    """`left,top,right,bottom;…` as float64 [N, 4], or None. Raises HTTPException 422."""
    if text is None:
        return None
    try:
        boxes = [[float(edge) for edge in box.split(",")] for box in text.split(";")]
    except ValueError:
        boxes = []
    if not boxes or any(len(box) != 4 for box in boxes):
        raise HTTPException(
            422,
            "boxes takes left,top,right,bottom of each face in pixels of the photo, and ; between "
            f"faces; not {text[:100]!r}.",
        )
    if len(boxes) > MOST_BOXES:
        raise HTTPException(422, f"boxes takes at most {MOST_BOXES} faces, not {len(boxes)}.")
    return np.array(boxes, np.float64)


def parse_roll(text: str | None, boxes: np.ndarray | None) -> np.ndarray | None:
    """`degrees;…` as float64 [N], NaN where a face's is empty. Raises HTTPException 422.

    Args:
      text: the parameter; None or empty: no face's roll is known, and None is returned.
      boxes: [N, 4], what `parse_boxes` returned; each box has one roll.
    """
    if not text:
        return None
    try:
        degrees = [float(one) if one.strip() else math.nan for one in text.split(";")]
    except ValueError:
        degrees = []
    if boxes is None or len(degrees) != len(boxes) or any(abs(one) > 360 for one in degrees):
        raise HTTPException(
            422,
            "roll takes for each of the boxes by how many degrees its face leans clockwise, -180 "
            f"to 180, and ; between faces; not {text[:100]!r}.",
        )
    return np.array(degrees, np.float64)


def check_boxes(boxes: np.ndarray, photo: np.ndarray) -> None:
    """Raises HTTPException 422 for a box that shows no part of the photo, or is far too large."""
    size = np.array([photo.shape[1], photo.shape[0]], np.float64)
    for left_top, right_bottom in zip(boxes[:, :2], boxes[:, 2:], strict=True):
        sides = right_bottom - left_top
        # A box far beyond the photo holds no face, and very large numbers overflow.
        if (
            not ((sides >= 1) & (sides < 10 * size + 100)).all()
            or not ((right_bottom > 0) & (left_top < size)).all()
        ):
            box = ",".join(f"{edge:g}" for edge in (*left_top, *right_bottom))
            raise HTTPException(
                422, f"The box {box} shows no part of this photo of {size[0]:g}x{size[1]:g} pixels."
            )
