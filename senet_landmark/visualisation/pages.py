"""Pages that hold everything in one HTML file: no server, no network, no script."""

import base64
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np

_OWN = Path(__file__).parent / "templates"


def render(template: Path, **values: Any) -> str:
    """Fills a template, which may extend `page.html`; texts are escaped."""
    loader = jinja2.FileSystemLoader([template.parent, _OWN])
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template.name).render(**values)


def data_uri(data: bytes, kind: str) -> str:
    """Bytes of a picture as the `src` of an image; `kind` is `jpeg`, `png` or `svg+xml`."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def jpeg_uri(picture: np.ndarray) -> str:
    """RGB uint8 [H, W, 3] as the `src` of an image."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        raise ValueError("OpenCV could not encode the picture as JPEG")
    return data_uri(data.tobytes(), "jpeg")
