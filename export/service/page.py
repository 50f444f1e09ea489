"""The page of the service as one document, and the photo that it offers to try."""

import importlib.resources
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"

SCRIPTS = ("serve.js", "drawing.js", "camera.js", "photos.js")
"""In their order: each uses what is in those before."""


def load_page() -> str:
    """The page with its style and scripts in it: a browser asks for nothing else."""
    page = (TEMPLATES / "serve.html").read_text(encoding="utf-8")
    style = (TEMPLATES / "serve.css").read_text(encoding="utf-8")
    script = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    page = page.replace("<style></style>", f"<style>\n{style}</style>")
    return page.replace("<script></script>", f"<script>\n{script}</script>")


def sample_photo() -> bytes:
    """The portrait of `synthetic_tree.py`, a JPEG.

    It is read without that module, which needs more than the service does.
    """
    synthesis = importlib.resources.files("senet_landmark.data_tools.synthesis")
    return (synthesis / "assets" / "portrait.jpg").read_bytes()
