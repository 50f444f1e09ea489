"""What a request to the service may hold: a photo as body or form, face boxes, a limited size."""

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
"""Bytes that a form may have beside its photo."""

MOST_PARTS = 16
"""Parts of a form at most; only `photo` is read."""

MOST_BOXES = 100
"""Face boxes of a request at most."""


@dataclass(frozen=True)
class Limits:
    """How much the service takes on.

    Attributes:
      megabytes: of an encoded photo, in units of 1,000,000 bytes.
      megapixels: of a decoded one; each worker needs 6 MB of memory a megapixel.
      workers: predictions at a time.
      queue: further requests that may wait, each with its photo in memory.
      seconds: for an upload.
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
        """Of an encoded photo."""
        return int(self.megabytes * 1_000_000)


def is_form(request: Request) -> bool:
    """Whether the photo comes in a form; raises HTTPException 415 if it comes as neither."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "Send the photo as it is, without Content-Encoding.")
    given = request.headers.get("content-type", "application/octet-stream")
    kind = given.partition(";")[0].strip().lower()
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
    """Raises HTTPException 413 where the request says that it is beyond the limit."""
    if int(request.headers.get("content-length", 0)) > limits.bytes + FORM_OVERHEAD:
        raise _too_large(limits)


async def read_body(request: Request, limits: Limits) -> bytes:
    """The body, of which never more than the limit is held.

    Raises:
      HTTPException: 413 beyond the limit, which also counts where no length was given; 408 after
        `limits.seconds`; 400 where the sender went away.
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
        raise HTTPException(400, "The upload was broken off.") from error
    return bytes(body)


@contextlib.asynccontextmanager
async def heard_out(request: Request) -> AsyncIterator[None]:
    """Where the block refuses the request, reads on and forgets what still arrives, for 2 seconds.

    Many clients look for an answer only after they have sent everything, and see a broken
    connection instead, if it is closed before.
    """
    try:
        yield
    except HTTPException:
        if "expect" not in request.headers:  # such a client waits with the body
            with (
                anyio.move_on_after(2),
                contextlib.suppress(ClientDisconnect, RuntimeError),  # gone; or all has been read
            ):
                async for _ in request.stream():
                    pass
        raise


def photo_of(body: bytes, content_type: str | None, limits: Limits) -> bytes:
    """The encoded photo of a body; of a form, if its type is given.

    Raises:
      HTTPException: 400: there is no photo, or a damaged form; 413: it is beyond the limit.
    """
    photo = body if content_type is None else _photo_of_form(body, content_type)
    if not photo:
        raise HTTPException(
            400,
            "No photo came with the request. Send one as the body, or as field photo of a form.",
        )
    if len(photo) > limits.bytes:
        raise _too_large(limits)
    return photo


def _photo_of_form(body: bytes, content_type: str) -> bytes:
    photos: list[bytes] = []
    parts = 0

    def keep(name: bytes | None, read: Callable[[], bytes]) -> None:
        nonlocal parts
        parts += 1
        if parts > MOST_PARTS:
            raise HTTPException(400, f"The form has more than {MOST_PARTS} fields.")
        if name == b"photo":
            photos.append(read())

    def keep_file(file) -> None:  # type: ignore[no-untyped-def]  # typed in some releases only
        file.file_object.seek(0)
        keep(file.field_name, file.file_object.read)

    try:
        parser = create_form_parser(
            {"Content-Type": content_type.encode("latin-1")},
            lambda part: keep(part.field_name, lambda: part.value or b""),
            keep_file,
            config={"MAX_MEMORY_FILE_SIZE": len(body) + 1},  # nothing goes to the disk
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise HTTPException(400, f"The form cannot be read ({error}).") from error
    if len(photos) > 1:
        raise HTTPException(400, "The form has several photos; send them one at a time.")
    return photos[0] if photos else b""


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(
        413, f"The photo has more than {limits.megabytes:g} MB. Send a smaller copy."
    )


def decode_upload(photo: bytes, limits: Limits) -> np.ndarray:
    """An upload as RGB uint8 [H, W, 3], its header looked at before anything is decoded.

    Raises:
      HTTPException: 422: it is in no known format, or larger than the limit.
      InputError: as `decode_photo`.
    """
    header = read_header(photo)
    if header is None:  # without a header nothing is known of the memory that decoding takes
        raise HTTPException(
            422, "The body does not decode as a photo. Give a JPEG, PNG, WebP, BMP or TIFF file."
        )
    if header.width * header.height > limits.megapixels * 1e6:
        raise HTTPException(
            422,
            f"The photo is {header.width}x{header.height}; at most {limits.megapixels:g} "
            "megapixels are taken. Send a smaller copy.",
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


def check_boxes(boxes: np.ndarray, photo: np.ndarray) -> None:
    """Raises HTTPException 422 for a box that shows no part of the photo, or is out of all size."""
    size = np.array([photo.shape[1], photo.shape[0]], np.float64)
    for left_top, right_bottom in zip(boxes[:, :2], boxes[:, 2:], strict=True):
        sides = right_bottom - left_top
        # A face that reaches far beyond the photo is none; and very large numbers overflow.
        if (
            not ((sides >= 1) & (sides < 10 * size + 100)).all()
            or not ((right_bottom > 0) & (left_top < size)).all()
        ):
            box = ",".join(f"{edge:g}" for edge in (*left_top, *right_bottom))
            raise HTTPException(
                422, f"The box {box} shows no part of this photo of {size[0]:g}x{size[1]:g} pixels."
            )
