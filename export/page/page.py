"""The page's HTML, its style and scripts, and what it tells of a model."""

import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from senet_landmark.export.page.lines import LINES
from senet_landmark.frozen.contract import Contract

TEMPLATES = Path(__file__).parent / "templates"

STYLE = "page.css"

FIRST, OTHERS = "page.js", ("drawing.js", "camera.js", "photos.js")
"""The scripts in their order: each uses what is in those before. Between `FIRST` and `OTHERS` comes
the one by which the page gets its landmarks (`page.js` says what it must have)."""


def read_template(name: str, folder: Path = TEMPLATES) -> str:
    """The text of a template."""
    return (folder / name).read_text(encoding="utf-8")


def filled_page(texts: Mapping[str, str]) -> str:
    """The HTML with its gaps filled.

    Args:
      texts: name of a gap -> its HTML. The gaps are `head`, `privacy` (what happens to a photo),
        `noscript`, `program` (how a program gets landmarks) and `script`.
    """
    page = read_template("page.html")
    for name, text in texts.items():
        page = page.replace(f"<!-- {name} -->", text)
    return page


def describe(name: str, contract: Contract, engine: str) -> dict[str, Any]:
    """What the page tells of a model; `lines` are for drawing, as in `LINES`."""
    width, height = contract.size
    return {
        "name": name,
        "scheme": contract.scheme,
        "points": contract.landmark_scheme.points,
        "lines": LINES.get(contract.scheme, ()),
        "engine": engine,
        "network": contract.network,
        "input": {"width": width, "height": height},
        "licence": contract.licence,
    }


def sample_photo() -> bytes:
    """The portrait of `synthetic_tree.py`, a JPEG.

    It is read without that module, which needs more than a page does.
    """
    synthesis = importlib.resources.files("senet_landmark.data_tools.synthesis")
    return (synthesis / "assets" / "portrait.jpg").read_bytes()
