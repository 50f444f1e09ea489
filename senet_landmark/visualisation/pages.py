"""Self-contained pages: one HTML file each, without server, network or script."""

import base64
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: Path, **values: Any) -> str:
    """Renders a template, which may extend `page.html`; texts are escaped."""
    loader = jinja2.FileSystemLoader([template.parent, _TEMPLATES])
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template.name).render(**values)


def data_uri(data: bytes, kind: str) -> str:
    """The `src` of an image element from the bytes of a picture; `kind`: jpeg, png or svg+xml."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def jpeg_uri(picture: np.ndarray) -> str:
    """The `src` of an image element from RGB uint8 [H, W, 3]."""
    # Colour at full resolution, or small coloured dots become grey.
    options = [cv2.IMWRITE_JPEG_QUALITY, 88]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    encoded, data = cv2.imencode(".jpg", picture[..., ::-1], options)
    if not encoded:
        raise ValueError("OpenCV could not encode the picture as JPEG")
    return data_uri(data.tobytes(), "jpeg")
