"""The folder with which a browser runs a model: page, scripts, models, onnxruntime-web."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from senet_landmark.detectors import blazeface, face_boxes, tiles
from senet_landmark.detectors.registry import BLAZEFACE, DETECTORS, default_corrections
from senet_landmark.errors import InputError
from senet_landmark.export.inference import confidence, passes, predictor
from senet_landmark.export.page.page import (
    FIRST,
    OTHERS,
    STYLE,
    describe,
    filled_page,
    read_template,
    sample_photo,
)
from senet_landmark.export.page.page import TEMPLATES as PAGE_TEMPLATES
from senet_landmark.export.video import tracking
from senet_landmark.export.web.onnxruntime_web import FILES, runtime_folder, runtime_version
from senet_landmark.face import expressions, roll
from senet_landmark.face.attributes import get_attribute
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.face.pose import MEAN_FACE_3D, STABLE_POINTS, points_to_fit
from senet_landmark.face.scheme_conversion import can_convert, convert
from senet_landmark.face.schemes import Scheme
from senet_landmark.frozen.contract import Contract, check_digest, contract_path, save_contract
from senet_landmark.io.files import folder_written_whole, read_json, write_json

TEMPLATES = Path(__file__).parent / "templates"

MODULES = (
    "geometry.js", "pose.js", "expression.js", "blazeface.js", "passes.js", "model.js",
    "predictor.js", "answer.js",
)  # fmt: skip
"""The ES modules, which a page of one's own can use, too."""

SETTINGS = "page.json"
"""File with what the scripts take from this package."""

FORMAT_VERSION = 2
"""Of `SETTINGS`; its modules refuse another one."""

MODEL, DETECTOR, RUNTIME = "model", "detector", "onnxruntime"
"""Folders in the folder."""

NETWORKS = {
    "short": ("blazeface-short", "blazeface_short", None),
    "full": ("blazeface-full", "blazeface_full", blazeface.FULL_SCORE),
}
"""Network of the detector -> name of its file, of its map to face boxes, and its threshold; None:
that of its contract."""

CONSTANTS = {
    blazeface: (
        "MIN_FACE", "MIN_SHARE", "NEAR_SCORE", "NEAR_SHARE", "NEAR_SMALLEST", "TURNS", "MOST_ROLL",
        "UPRIGHT_SCORE", "FOUND_SCORE", "TURNED_SCORE",
    ),
    tiles: ("OVERLAP", "BEYOND", "SAME_IOU", "SAME_SHARE"),
    face_boxes: ("LARGEST_SHIFT", "HALVES"),
    roll: ("UPRIGHT",),
    passes: ("RECROP_IOU", "TRIED", "CLEAR", "SURE"),
    predictor: ("PASSES", "FACE_PROBABILITY"),
    confidence: ("LEAST",),
    tracking: ("LEAST_CONFIDENCE",),
    expressions: ("LEAST_FACING", "EYES", "MOUTH", "EYE_CORNERS", "BROWS"),
}  # fmt: skip
"""Module -> its constants that the scripts read."""

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "connect-src 'self'; img-src blob: data:; media-src blob:; base-uri 'none'; form-action 'none'"
)
"""The page's Content-Security-Policy: it can ask nobody but the server that it came from."""


class Site(NamedTuple):
    """A folder that was written.

    Attributes:
      folder: the folder.
      contract: the model's contract in it.
      onnxruntime_web: version of the package; empty where its files do not tell.
    """

    folder: Path
    contract: Path
    onnxruntime_web: str


def ready_onnx(model: Path, contract: Contract) -> Path | None:
    """The `.onnx` that was converted from a `.pb` and is beside it; None: there is none.

    Raises:
      InputError: it is another model's.
    """
    onnx = model.with_suffix(".onnx")
    if ".onnx" not in contract.conversions or not onnx.is_file():
        return None
    check_digest(onnx, contract)
    return onnx


def check_site_folder(out: Path) -> None:
    """Raises InputError if `out` is a file, or holds other files than an older such folder."""
    if out.is_file() or out.suffix in (".pb", ".onnx", ".json", ".html"):
        raise InputError(f"{out}: --to web writes a folder; give the name of one.")
    files = [path for path in sorted(out.rglob("*")) if not path.is_dir()]
    if not files:
        return
    settings = read_json(out / SETTINGS) if (out / SETTINGS).is_file() else {}
    written = settings.get("files", []) if isinstance(settings, dict) else []
    for path in files:
        if path.relative_to(out).as_posix() not in written:
            raise InputError(
                f"{out}: has files that this command did not write, such as "
                f"{path.relative_to(out)}. Give another folder, or remove them."
            )


def write_site(
    onnx: Path,
    contract: Contract,
    out: Path,
    onnxruntime_web: Path | None = None,
) -> Site:
    """Writes the folder, whole or not at all; an older one is replaced.

    Args:
      onnx: the model's `.onnx`.
      contract: the model's, with the digest of this file.
      out: the folder.
      onnxruntime_web: as `runtime_folder` takes it.

    Raises:
      InputError: `out` holds other files; the files of onnxruntime-web cannot be had; or the page
        cannot feed such a model.
      OSError: the folder cannot be written.
    """
    check_site_folder(out)
    check_digest(onnx, contract)
    if contract.colour_order != "RGB" or tuple(contract.value_range) != (0, 255):
        raise InputError(
            f"{onnx}: takes {contract.colour_order} from {contract.value_range[0]:g} to "
            f"{contract.value_range[1]:g}; the page feeds RGB from 0 to 255."
        )
    name = onnx.stem
    page = settings(name, contract)
    with runtime_folder(onnxruntime_web) as runtime, folder_written_whole(out) as folder:
        for part in (MODEL, DETECTOR, RUNTIME):
            (folder / part).mkdir(parents=True)
        _write_page(folder)
        copied = folder / MODEL / f"{name}.onnx"
        shutil.copyfile(onnx, copied)
        digest = {".onnx": contract.conversions[".onnx"]}
        save_contract(copied, replace(contract, conversions=digest))
        for file, _, _ in NETWORKS.values():
            for suffix in (".onnx", ".json"):
                shutil.copyfile(
                    blazeface.FOLDER / f"{file}{suffix}", folder / DETECTOR / f"{file}{suffix}"
                )
        for file in FILES:
            shutil.copyfile(runtime / file, folder / RUNTIME / file)
        version = runtime_version(runtime)
        files = [path for path in folder.rglob("*") if path.is_file()]
        names = sorted([SETTINGS, *(path.relative_to(folder).as_posix() for path in files)])
        write_json(folder / SETTINGS, page | {"onnxruntime_web": version, "files": names})
    return Site(out, contract_path(out / MODEL / onnx.name), version)


def _write_page(folder: Path) -> None:
    local, scripts = "local.js", [FIRST, "local.js", *OTHERS]
    for name in (STYLE, FIRST, *OTHERS):
        shutil.copyfile(PAGE_TEMPLATES / name, folder / name)
    for name in (local, *MODULES):
        shutil.copyfile(TEMPLATES / name, folder / name)
    (folder / "sample.jpg").write_bytes(sample_photo())
    page = filled_page(
        {
            "head": f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            f'<link rel="stylesheet" href="{STYLE}">',
            "privacy": "They do not leave this machine:\nthe browser itself finds the landmarks.",
            "noscript": "It finds the landmarks with it.",
            "program": read_template("program.html", TEMPLATES).rstrip("\n"),
            "script": "\n".join(f'<script src="{name}"></script>' for name in scripts),
        }
    )
    (folder / "index.html").write_text(page, encoding="utf-8")


def settings(name: str, contract: Contract) -> dict[str, Any]:
    """What the scripts take from this package for a model, without the list of files."""
    corrections = default_corrections() | contract.box_corrections
    return {
        "format_version": FORMAT_VERSION,
        "model": name,
        "description": describe(name, contract, "onnxruntime-web"),
        "scheme": scheme_settings(contract.landmark_scheme),
        "attributes": {one: get_attribute(one).classes for one in contract.attribute_names},
        "corrections": {
            source: {"shift": corrections[source].shift, "scale": corrections[source].scale}
            for source in (LANDMARKS, BLAZEFACE)
        },
        "detector": {
            "source": BLAZEFACE,
            "sure_score": DETECTORS[BLAZEFACE].sure_score,
            **{
                network: {
                    "name": file,
                    "threshold": threshold,
                    "weights": face_boxes.weights_of(weights).tolist(),
                }
                for network, (file, weights, threshold) in NETWORKS.items()
            },
        },
        "constants": {
            constant: getattr(module, constant)
            for module, constants in CONSTANTS.items()
            for constant in constants
        },
    }


def scheme_settings(scheme: Scheme) -> dict[str, Any]:
    """A landmark scheme for `pose.js` and `expression.js`.

    `fit`: the points by which a pose is fitted, each as pairs of a landmark and its weight, and the
    same points of the mean face. `down`: weights of `stable` points that give the face's vertical.
    `mean_face`: all of it for a scheme that does not outline the face, else null. `expression`: the
    points by which a face is seen from the front, as `fit`; those that are measured, as pairs of a
    landmark and its weight, none where one is unknown; and their depth. null: none are measured.

    Raises:
      InputError: the mean face cannot be fitted to the scheme.
    """
    is_outline = can_convert(scheme.name, "300w_68")
    return {
        "name": scheme.name,
        "mirror": scheme.mirror,
        "fit": _fit_settings(scheme, STABLE_POINTS),
        "stable": STABLE_POINTS.tolist(),
        "down": roll.face_down().tolist(),
        "mean_face": None if is_outline else MEAN_FACE_3D.tolist(),
        "expression": _expression_settings(scheme) if expressions.can_measure(scheme) else None,
    }


def _fit_settings(scheme: Scheme, fitted: np.ndarray) -> dict[str, Any]:
    model = points_to_fit(np.zeros((scheme.points, 2)), scheme, 4, fitted)[1]
    parts = _parts(scheme, lambda points: points_to_fit(points, scheme, 4, fitted)[0])
    return {"parts": parts, "model": model.tolist()}


def _expression_settings(scheme: Scheme) -> dict[str, Any]:
    return {
        "fit": _fit_settings(scheme, expressions.FITTED_POINTS),
        "parts": _parts(scheme, lambda points: convert(points, scheme.name, expressions.SCHEME)),
        "depth": expressions.FRONTAL_DEPTH.tolist(),
    }


def _parts(
    scheme: Scheme, derived: Callable[[np.ndarray], np.ndarray]
) -> list[list[list[int | float]]]:
    """For each derived point, pairs of a landmark and its weight; none where it is unknown."""
    columns = []
    for landmark in range(scheme.points):
        points = np.zeros((scheme.points, 2))
        points[landmark, 0] = 1
        columns.append(np.nan_to_num(derived(points)[:, 0]))
    return [
        [[int(landmark), float(weights[landmark])] for landmark in np.flatnonzero(weights)]
        for weights in np.stack(columns, axis=1)
    ]
