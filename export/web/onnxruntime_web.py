"""The files of the npm package onnxruntime-web: named by the user, or fetched by npm."""

import contextlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from senet_landmark.errors import InputError

MODULE = "ort.wasm.min.mjs"

FILES = (MODULE, "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""What a page needs for WebAssembly: the module, and what it loads. From release 1.19 on."""

INSTALLED = Path("node_modules/onnxruntime-web/dist")
"""Where npm installs them in the current folder."""

PACKAGE = "onnxruntime-web@1"

_VERSION = re.compile(r"ONNX Runtime Web v(\S+)")


@contextlib.contextmanager
def runtime_folder(folder: Path | None) -> Iterator[Path]:
    """Yields a folder with `FILES`.

    Args:
      folder: `dist` of the npm package, or the package; None: `INSTALLED`, or else npm fetches the
        package into a temporary folder.

    Raises:
      InputError: the folder is not that of the package; or there is no folder, and npm is not
        installed or fails.
    """
    if folder is None and INSTALLED.is_dir():
        folder = INSTALLED
    if folder is not None:
        yield _checked(folder)
        return
    with tempfile.TemporaryDirectory(prefix="senet-landmark-") as temporary:
        _fetch(Path(temporary))
        yield _checked(Path(temporary) / "package")


def runtime_version(folder: Path) -> str:
    """The version of a folder with `FILES`, as its module says; empty where it does not."""
    found = _VERSION.search((folder / MODULE).read_text(encoding="utf-8")[:1000])
    return found[1] if found else ""


def _checked(folder: Path) -> Path:
    for candidate in (folder / "dist", folder):
        absent = [name for name in FILES if not (candidate / name).is_file()]
        if not absent:
            return candidate
    problem = f"has no {absent[0]}" if folder.is_dir() else "is no folder"
    raise InputError(
        f"{folder}: {problem}. Give the folder dist of the npm package onnxruntime-web, 1.19 or "
        f"later, such as {INSTALLED}."
    )


def _fetch(folder: Path) -> None:
    """Unpacks the package into a folder."""
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            "The page needs the npm package onnxruntime-web, and npm is not installed. Give its "
            "folder dist with --onnxruntime-web."
        )
    command = [npm, "pack", PACKAGE, "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    archive = next(folder.glob("*.tgz"), None)
    if done.returncode or archive is None:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(
            f"`npm pack {PACKAGE}` failed ({reason}). Give the folder dist of the package with "
            "--onnxruntime-web."
        )
    with tarfile.open(archive) as packed:
        for name in FILES:
            with contextlib.suppress(KeyError):  # `_checked` tells of it
                packed.extract(f"package/dist/{name}", folder)
