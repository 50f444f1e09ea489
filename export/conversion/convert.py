"""`.pb` -> ONNX, TFLite, SavedModel, Triton, or a page for browsers, compared with the `.pb`."""

import contextlib
import importlib.util
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.conversion import quantise, triton
from senet_landmark.export.conversion.formats import NAMES, SUFFIXES, Format, default_path
from senet_landmark.export.conversion.onnx_model import write_onnx
from senet_landmark.export.conversion.photo_parity import photo_difference
from senet_landmark.export.conversion.saved_model import (
    CONTRACT,
    check_folder,
    saved_model_engine,
    saved_model_written_whole,
)
from senet_landmark.export.engines.interface import Engine, EngineName
from senet_landmark.export.engines.registry import ENGINES, load_engine
from senet_landmark.export.freezing.parity import Outputs, differences
from senet_landmark.export.freezing.recorded_faces import recorded_faces
from senet_landmark.export.web.site import check_site_folder, ready_onnx, write_site
from senet_landmark.face import geometry
from senet_landmark.frozen.contract import Contract, contract_path, load_contract, save_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.io.files import folder_written_whole, read_json, sha256, written_whole

RUN_BY: dict[str, tuple[EngineName, ...]] = {
    ".onnx": ("onnxruntime", "opencv"),
    ".tflite": ("tflite",),
}
"""Suffix -> the engines whose outputs must equal those of the `.pb`."""

CHECKED = 32
"""Largest number of crops for the parity check."""


@dataclass(frozen=True)
class Conversion:
    """The result of a conversion, and of its parity check.

    Attributes:
      path: the file, or the folder of a SavedModel, of a page or of a model of Triton's.
      contract: the `.json` that goes with it.
      megabytes: size of the file, or of all files of the folder (10^6 bytes).
      differences: output -> the largest difference from the `.pb` over the crops, in the unit of
        `parity.TOLERANCES`.
      crops: number of crops that were compared; 0 for a page with an `.onnx` that was there, as it
        was compared when it was made.
      checked_in: the engines that ran the new file.
      quantised: what 8 bits cost and gain; None for the other formats.
      photos: SavedModel with a signature for photos: the largest difference of its landmarks from
        the predictor's on a photo, as a share of the crop's side; None for the others.
    """

    path: Path
    contract: Path
    megabytes: float
    differences: dict[str, float]
    crops: int
    checked_in: tuple[EngineName, ...]
    quantised: quantise.Cost | None = None
    photos: float | None = None


def convert(
    model: Path | str,
    to: Format,
    out: Path | str | None = None,
    *,
    records: Path | str | None = None,
    onnxruntime_web: Path | str | None = None,
) -> Conversion:
    """Converts a frozen model.

    A file beside the `.pb` with the same name shares the `.json` of the `.pb`. From then on whoever
    loads the `.pb` may get this file (`choose_engine`). Any other file gets a `.json` for itself
    beside it; a SavedModel has the contract inside (`assets.extra/contract.json`), and a model in a
    repository of Triton's beside its `config.pbtxt`.

    Args:
      model: a `.pb` with its `.json`, or the name of one that ships.
      to: the format. `tflite-int8` has 8-bit weights and activations except in its last layers, and
        float32 input and outputs.
      out: the file or folder to write; None: `MODEL.onnx`, `MODEL.tflite`, `MODEL-int8.tflite` or
        the folder `MODEL_savedmodel` or `MODEL_web` beside the model; for a model that ships, in
        the current folder. `triton`: the model repository, which gets a folder `MODEL`; None:
        `MODEL_triton`.
      records: records for the check; by default varied crops of the embedded portrait.
        `tflite-int8` needs records: it is calibrated on their training split and measured on their
        held-out split.
      onnxruntime_web: for `web`: the folder `dist` of this npm package; None: that of
        `node_modules` in the current folder, or else npm fetches it.

    Returns:
      The conversion. An older file at `out` is replaced only after the check.

    Raises:
      InputError: the model, its `.json` or the records are absent, damaged or do not go together;
        the format is unknown; the file's name does not fit the format; the converter is not
        installed or fails; or the new file differs from the `.pb` by more than `parity.TOLERANCES`
        (8 bits: its NME is more than `quantise.TOLERANCE` times that of the `.pb`).
    """
    if to not in NAMES:
        raise InputError(f"Unknown format {to!r}. Known: {', '.join(NAMES)}.")
    if onnxruntime_web is not None and to != "web":
        raise InputError(f"--onnxruntime-web goes with --to web; {to} does not need it.")
    pb = find_model(model)
    if pb.suffix != ".pb":
        raise InputError(f"{pb}: give the .pb that `senet-landmark freeze` wrote.")
    contract = load_contract(pb)
    out = Path(out) if out is not None else default_path(model, pb, to)
    new_contract = contract
    if to == "web":
        return _page(pb, contract, out, records, onnxruntime_web)
    if to == "savedmodel":
        check_folder(out)
    elif to == "triton":
        triton.check_model_folder(out / pb.stem)
    else:
        new_contract = _contract_at(out, pb, contract, to)
    if to == "tflite-int8" and records is None:
        raise InputError(
            "tflite-int8 needs --records: it is calibrated on their training faces and measured on "
            "their held-out ones. Make some with `senet-landmark build-records`."
        )
    if to == "savedmodel":
        return _saved_model(pb, contract, out, real_crops(contract, records))
    if to == "triton":
        return _triton(pb, contract, out / pb.stem, real_crops(contract, records))
    return _file(pb, contract, new_contract, out, to, records)


def _saved_model(pb: Path, contract: Contract, out: Path, crops: np.ndarray) -> Conversion:
    expected = load_engine(pb, contract, "tensorflow")(crops)
    photos = None
    with saved_model_written_whole(out, pb, replace(contract, conversions={})) as folder:
        outputs = saved_model_engine(folder, contract)(crops)
        largest = differences(outputs, expected, f"{out}: not written. It differs from {pb}")
        if contract.input.shape[0] < 1:
            photos = photo_difference(folder, pb, contract, f"{out}: not written")
    return Conversion(
        out, out / CONTRACT, _megabytes(out), largest, len(crops), ("tensorflow",), photos=photos
    )


def _triton(pb: Path, contract: Contract, out: Path, crops: np.ndarray) -> Conversion:
    """Writes the model's folder `out` in a repository."""
    expect = load_engine(pb, contract, "tensorflow")
    with folder_written_whole(out) as folder:
        path = folder / triton.MODEL
        path.parent.mkdir(parents=True)
        with _converter_errors(out, pb):
            write_onnx(pb, contract, path)
        checked = replace(contract, conversions={path.suffix: sha256(path)})
        problem = f"{out}: not written. It differs from {pb}"
        largest, engines = _compared(path, checked, crops, expect, problem)
        triton.write_around_onnx(folder, out.name, contract)
    return Conversion(out, out / triton.CONTRACT, _megabytes(out), largest, len(crops), engines)


@contextlib.contextmanager
def _converter_errors(out: Path, pb: Path) -> Iterator[None]:
    """Turns what a converter raises into an InputError."""
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:  # a converter may raise any exception
        raise InputError(
            f"{out}: not written. {pb} cannot be converted ({type(error).__name__}: {error})."
        ) from error


def _page(
    pb: Path,
    contract: Contract,
    out: Path,
    records: Path | str | None,
    onnxruntime_web: Path | str | None,
) -> Conversion:
    check_site_folder(out)
    runtime = None if onnxruntime_web is None else Path(onnxruntime_web)
    made: Conversion | None = None
    with tempfile.TemporaryDirectory() as temporary:
        onnx = ready_onnx(pb, contract)
        if onnx is None:
            onnx = Path(temporary, f"{pb.stem}.onnx")
            made = _file(pb, contract, replace(contract, conversions={}), onnx, "onnx", records)
            contract = load_contract(onnx)
        path = write_site(onnx, contract, out, runtime).contract
    if made:
        return replace(made, path=out, contract=path, megabytes=_megabytes(out))
    return Conversion(out, path, _megabytes(out), {}, 0, ())


def _file(
    pb: Path,
    contract: Contract,
    new_contract: Contract,
    out: Path,
    to: Format,
    records: Path | str | None,
) -> Conversion:
    """Writes the file and its contract: `new_contract` with the file's digest and metrics."""
    expect = load_engine(pb, contract, "tensorflow")
    crops = real_crops(contract, records)
    cost: quantise.Cost | None = None
    beside: dict[str, str] = {}
    with written_whole(out) as temporary:
        with _converter_errors(out, pb):
            if to == "onnx":
                write_onnx(pb, contract, temporary)
            elif to == "tflite":
                quantise.write_tflite(pb, contract, temporary)
            else:
                cost = quantise.write_int8(pb, contract, temporary, Path(str(records)), expect)
        problem: str | None = f"{out}: not written. It differs from {pb}"
        if cost:
            quantise.check_cost(cost, f"{out}: not written. {pb}")
            new_contract, problem = (
                replace(new_contract, metrics={**new_contract.metrics, **cost.metrics}),
                None,
            )
        checked = replace(new_contract, conversions={out.suffix: sha256(temporary)})
        largest, engines = _compared(temporary, checked, crops, expect, problem)
        # At no time does the contract hold the digest of a file that is not there.
        if others := _beside(out):
            beside = {
                suffix: digest
                for suffix, digest in new_contract.conversions.items()
                if out.with_suffix(suffix).name in others
            }
            save_contract(out, replace(new_contract, conversions=beside))
        else:
            contract_path(out).unlink(missing_ok=True)
    save_contract(out, replace(new_contract, conversions={**beside, **checked.conversions}))
    path = contract_path(out)
    return Conversion(out, path, _megabytes(out), largest, len(crops), engines, cost)


def real_crops(contract: Contract, records: Path | str | None = None) -> np.ndarray:
    """Crops of faces for the parity check, uint8 [N, H, W, 3].

    They come from the held-out split of the records. Without records they show the embedded
    portrait in moved and scaled boxes, every second one mirrored.

    Raises:
      InputError: the records are absent, or their landmarks have another scheme.
    """
    if records is not None:
        faces = recorded_faces(Path(records), contract.scheme, contract.crop, contract.size)
        return faces.crops(CHECKED)
    photo, truth = portrait()
    size = (photo.shape[1], photo.shape[0])
    box = geometry.crop_source(geometry.box_from_landmarks(truth), contract.crop, size)
    generator = np.random.default_rng(0)
    crops = []
    for index in range(CHECKED):
        x, y, scale = generator.uniform((-0.1, -0.1, 0.8), (0.1, 0.1, 1.3))
        moved = geometry.correct_box(box, geometry.BoxCorrection((x, y), (scale, scale)))
        crop, _ = geometry.crop_face(photo, moved, contract.crop, contract.size)
        crops.append(crop[:, ::-1] if index % 2 else crop)
    return np.stack(crops)


def _beside(out: Path) -> list[str]:
    """Names of the other model files that share the `.json` of `out`."""
    files = [out.with_suffix(suffix) for suffix in (".pb", ".onnx", ".tflite")]
    return [path.name for path in files if path != out and path.is_file()]


def _contract_at(out: Path, pb: Path, contract: Contract, to: Format) -> Contract:
    """The contract for the `.json` beside `out`, without the digest of the new file.

    Raises:
      InputError: the name does not fit the format, or that `.json` belongs to another model.
    """
    suffix = SUFFIXES[to]
    if out.suffix != suffix or out.is_dir():
        raise InputError(f"{out}: the name of a file for --to {to} ends in {suffix}.")
    same_json = contract_path(out).resolve() == contract_path(pb).resolve()
    if same_json and to == "tflite-int8":
        # Otherwise whoever loads the .pb would get 8 bits without asking for them.
        raise InputError(
            f"{out}: whoever loads {pb.name} would run this less exact file in its place. Give "
            f"another name, as {pb.stem}-int8.tflite."
        )
    if same_json:
        return contract
    path = contract_path(out)
    if path.is_file() and "sha256" not in (read_json(path) or ()):
        raise InputError(
            f"{out}: would replace {path.name}, which is no model's. Give another name."
        )
    if not (others := _beside(out)):
        return replace(contract, conversions={})
    present = load_contract(out.with_name(others[0])) if path.is_file() else None
    exact = present is not None and not set(quantise.METRICS) & set(present.metrics)
    if present is None or present.sha256 != contract.sha256 or to == "tflite-int8" or not exact:
        raise InputError(
            f"{out}: would share {path.name} with {' and '.join(others)}, which it does not belong "
            "to. Give another name or folder."
        )
    return present


def _compared(
    path: Path, contract: Contract, crops: np.ndarray, expect: Engine, problem: str | None
) -> tuple[dict[str, float], tuple[EngineName, ...]]:
    """The largest differences of a file's outputs from the `.pb`'s, and the engines that ran it.

    Each engine runs all crops at once, and then the first crop alone: some runtimes accept only one
    batch size.

    Args:
      path: the new file.
      contract: its contract.
      crops: uint8 [N, H, W, 3].
      expect: the `.pb`'s engine.
      problem: see `differences`; None: a difference of any size is accepted.
    """
    expected = expect(crops)
    largest: dict[str, float] = dict.fromkeys(expected, 0.0)
    engines = tuple(filter(_installed, RUN_BY[path.suffix]))
    for name in engines:
        run = load_engine(path, contract, name)
        for count in (len(crops), 1):
            outputs, wanted = run(crops[:count]), {k: v[:count] for k, v in expected.items()}
            if problem is None:
                each = _distances(outputs, wanted)
            else:
                each = differences(outputs, wanted, f"{problem} in {ENGINES[name].title}")
            largest = {key: max(value, each[key]) for key, value in largest.items()}
    return largest, engines


def _installed(name: EngineName) -> bool:
    # TensorFlow brings LiteRT along.
    return name != "onnxruntime" or importlib.util.find_spec("onnxruntime") is not None


def _distances(outputs: Outputs, expected: Outputs) -> dict[str, float]:
    return {name: float(np.abs(outputs[name] - expected[name]).max()) for name in expected}


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return round(sum(file.stat().st_size for file in files) / 1e6, 3)
