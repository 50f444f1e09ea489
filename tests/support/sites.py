"""The folder that `convert --to web` writes, served as its documentation says, and its scripts."""

import base64
import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runs import REPOSITORY
from senet_landmark.export.web.onnxruntime_web import FILES
from senet_landmark.io.images import encode_png

DOCUMENT = REPOSITORY / "docs" / "web.md"
VARIABLE = "SENET_LANDMARK_ONNXRUNTIME_WEB"


def runtime_files() -> Path:
    """The folder `dist` of onnxruntime-web that `VARIABLE` names; skips the test without it."""
    folder = Path(os.environ.get(VARIABLE, ""))
    if VARIABLE not in os.environ or not all((folder / name).is_file() for name in FILES):
        pytest.skip(
            f"needs onnxruntime-web: `npm pack onnxruntime-web`, unpack it, and set {VARIABLE} to "
            "its folder dist"
        )
    return folder


def documented_commands() -> list[str]:
    """The lines of the first block of commands in docs/web.md."""
    block = re.search(r"^```bash\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.S | re.M)
    return block[1].splitlines()


@contextlib.contextmanager
def served_folder(folder):
    """The address of a folder, served by the server that docs/web.md names."""
    words = documented_commands()[1].split()
    assert words[:4] == ["python3", "-m", "http.server", "8000"] and words[-1] == "page"
    command = [sys.executable, "-u", *words[1:3], "0", *words[4:-1], str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = re.search(r"port (\d+)", server.stdout.readline())[1]
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def called(page, module, body, *values):
    """What JavaScript returns; its `module` is one of the folder's, its `values` are these."""
    return page.evaluate(
        f'async values => {{ const module = await import("./{module}"); {body} }}', list(values)
    )


PHOTO = """
  const bytes = Uint8Array.from(atob(values[0]), letter => letter.charCodeAt(0));
  const photo = await pixelsOf(new Blob([bytes]));
"""
"""For the beginning of `body` in `called`: the photo whose `as_text` is the first value."""


def as_text(photo) -> str:
    """A photo, RGB uint8, as text for `PHOTO`; without loss."""
    return base64.b64encode(encode_png(photo)).decode()
