"""`.pb` -> ONNX, TFLite or SavedModel, each checked against the `.pb` before it is written."""

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.conversion import quantise
from senet_landmark.export.conversion.formats import NAMES, SUFFIXES, Format
from senet_landmark.export.conversion.onnx_model import write_onnx
from senet_landmark.export.conversion.saved_model import (
    CONTRACT,
    check_place,
    saved_model_engine,
    saved_model_written_whole,
)
from senet_landmark.export.engines.interface import Engine, EngineName
from senet_landmark.export.engines.registry import ENGINES, load_engine
from senet_landmark.export.freezing.parity import Outputs, differences
from senet_landmark.export.freezing.recorded_faces import recorded_faces
from senet_landmark.face import geometry
from senet_landmark.frozen.contract import Contract, contract_path, load_contract, save_contract
from senet_landmark.frozen.models import find_model
from senet_landmark.io.files import read_json, sha256, written_whole

RUN_BY: dict[str, tuple[EngineName, ...]] = {
    ".onnx": ("onnxruntime", "opencv"),
    ".tflite": ("tflite",),
}
"""Suffix -> the engines that must give what the `.pb` gives."""

CHECKED = 32
"""Crops that the two forms are compared on, at most."""


@dataclass(frozen=True)
class Conversion:
    """What was made of a `.pb`, and how it was checked.

    Attributes:
      path: the file, or the folder of a SavedModel.
      contract: the `.json` that goes with it.
      megabytes: size of the file, or of all files of the folder (10^6 bytes).
      differences: output -> the largest difference to the `.pb` over the crops, in the unit of
        `parity.TOLERANCES`.
      crops: how many.
      checked_in: the engines that ran it.
      quantised: what the step to 8 bits costs and brings; None where there was none.
    """

    path: Path
    contract: Path
    megabytes: float
    differences: dict[str, float]
    crops: int
    checked_in: tuple[EngineName, ...]
    quantised: quantise.Cost | None = None


def convert(
    model: Path | str,
    to: Format,
    out: Path | str | None = None,
    *,
    records: Path | str | None = None,
) -> Conversion:
    """Converts a frozen model.

    A file beside the `.pb` under its name shares its `.json`, and the `.pb` stands for it from then
    on (`choose_engine`). Any other gets a `.json` of its own beside it, a SavedModel one inside
    (`assets.extra/contract.json`).

    Args:
      model: a `.pb` with its `.json`, or the name of one that ships.
      to: what to make. `tflite-int8` has 8-bit weights and activations but for its last layers, and
        float32 input and outputs.
      out: where; None: `MODEL.onnx`, `MODEL.tflite`, `MODEL-int8.tflite` or the folder
        `MODEL_savedmodel` beside the model, of one that ships in the current folder.
      records: records to check on, by default varied crops of the embedded portrait; `tflite-int8`
        needs them: it is calibrated on their training split and measured on their held-out one.

    Returns:
      What was made. What lay at `out` is replaced only after the check.

    Raises:
      InputError: the model, its `.json` or the records are absent, damaged or do not go together;
        an unknown format; a name that does not fit it; the converter is not installed or fails; or
        the outcome differs from the `.pb` by more than `parity.TOLERANCES`, of 8 bits: its NME by
        more than `quantise.TOLERANCE`.
    """
    if to not in NAMES:
        raise InputError(f"Unknown format {to!r}. Known: {', '.join(NAMES)}.")
    source = find_model(model)
    if source.suffix != ".pb":
        raise InputError(f"{source}: give the .pb that `senet-landmark freeze` wrote.")
    contract = load_contract(source)
    out = Path(out) if out is not None else _default_place(model, source, to)
    own = contract
    if to == "savedmodel":
        check_place(out)
    else:
        own = _contract_at(out, source, contract, to)
    if to == "tflite-int8" and records is None:
        raise InputError(
            "tflite-int8 needs --records: it is calibrated on their training faces and measured on "
            "their held-out ones. Make some with `senet-landmark build-records`."
        )
    if to == "savedmodel":
        return _saved_model(source, contract, out, real_crops(contract, records))
    return _file(source, contract, own, out, to, records)


def _saved_model(source: Path, contract: Contract, out: Path, crops: np.ndarray) -> Conversion:
    expected = load_engine(source, contract, "tensorflow")(crops)
    with saved_model_written_whole(out, source, replace(contract, conversions={})) as folder:
        found = saved_model_engine(folder, contract)(crops)
        largest = differences(found, expected, f"{out}: not written. It differs from {source}")
    return Conversion(out, out / CONTRACT, _megabytes(out), largest, len(crops), ("tensorflow",))


def _file(
    source: Path,
    contract: Contract,
    own: Contract,
    out: Path,
    to: Format,
    records: Path | str | None,
) -> Conversion:
    """Writes the file and its contract, `own` as far as it is known yet."""
    expect = load_engine(source, contract, "tensorflow")
    crops = real_crops(contract, records)
    cost: quantise.Cost | None = None
    beside: dict[str, str] = {}
    with written_whole(out) as temporary:
        try:
            if to == "onnx":
                write_onnx(source, contract, temporary)
            elif to == "tflite":
                quantise.write_tflite(source, contract, temporary)
            else:
                cost = quantise.write_int8(source, contract, temporary, Path(str(records)), expect)
        except InputError:
            raise
        except Exception as error:  # a converter raises what it likes
            raise InputError(
                f"{out}: not written. {source} cannot be converted "
                f"({type(error).__name__}: {error})."
            ) from error
        problem: str | None = f"{out}: not written. It differs from {source}"
        if cost:
            quantise.check_cost(cost, f"{out}: not written. {source}")
            own, problem = replace(own, metrics={**own.metrics, **cost.metrics}), None
        new = replace(own, conversions={out.suffix: sha256(temporary)})
        largest, engines = _compared(temporary, new, crops, expect, problem)
        # The contract never knows another file than the one that is there.
        if others := _beside(out):
            beside = {k: v for k, v in own.conversions.items() if out.with_suffix(k).name in others}
            save_contract(out, replace(own, conversions=beside))
        else:
            contract_path(out).unlink(missing_ok=True)
    save_contract(out, replace(own, conversions={**beside, **new.conversions}))
    path = contract_path(out)
    return Conversion(out, path, _megabytes(out), largest, len(crops), engines, cost)


def real_crops(contract: Contract, records: Path | str | None = None) -> np.ndarray:
    """Faces as the model is fed them, uint8 [N, H, W, 3]: of records' held-out split, or else the
    embedded portrait's in boxes that are moved and scaled, every second one mirrored.

    Raises:
      InputError: there are no such records, or their landmarks are of another scheme.
    """
    if records is not None:
        faces = recorded_faces(Path(records), contract.scheme, contract.crop, contract.size)
        return faces.crops(CHECKED)
    photo, truth = portrait()
    box = geometry.box_from_landmarks(truth)
    generator = np.random.default_rng(0)
    found = []
    for index in range(CHECKED):
        x, y, scale = generator.uniform((-0.1, -0.1, 0.8), (0.1, 0.1, 1.3))
        moved = geometry.correct_box(box, geometry.BoxCorrection((x, y), (scale, scale)))
        crop, _ = geometry.crop_face(photo, moved, contract.crop, contract.size)
        found.append(crop[:, ::-1] if index % 2 else crop)
    return np.stack(found)


def _default_place(model: Path | str, source: Path, to: Format) -> Path:
    by_name = not Path(model).is_file()  # what is installed is not the user's to add to
    return (Path() if by_name else source.parent) / f"{source.stem}{NAMES[to]}"


def _beside(out: Path) -> list[str]:
    """Names of the other model files that share the `.json` of `out`."""
    every = [out.with_suffix(suffix) for suffix in (".pb", ".onnx", ".tflite")]
    return [path.name for path in every if path != out and path.is_file()]


def _contract_at(out: Path, source: Path, contract: Contract, to: Format) -> Contract:
    """The contract that the `.json` beside `out` is to hold, but for the new file itself.

    Raises:
      InputError: the name does not fit the format, or that `.json` is another model's.
    """
    suffix = SUFFIXES[to]
    if out.suffix != suffix or out.is_dir():
        raise InputError(f"{out}: the name of a file for --to {to} ends in {suffix}.")
    mine = contract_path(out).resolve() == contract_path(source).resolve()
    if mine and to == "tflite-int8":
        # Who loads the .pb would get the 8 bits without having asked for them.
        raise InputError(
            f"{out}: {source.name} stands for the .tflite of its own name, and must not become "
            f"less exact by it. Give another name, as {source.stem}-int8.tflite."
        )
    if mine:
        return contract
    path = contract_path(out)
    if path.is_file() and "sha256" not in (read_json(path) or ()):
        raise InputError(
            f"{out}: would replace {path.name}, which is no model's. Give another name."
        )
    if not (others := _beside(out)):
        return replace(contract, conversions={})
    known = load_contract(out.with_name(others[0])) if path.is_file() else None
    exact = known is not None and not set(quantise.METRICS) & set(known.metrics)
    if known is None or known.sha256 != contract.sha256 or to == "tflite-int8" or not exact:
        raise InputError(
            f"{out}: would share {path.name} with {' and '.join(others)}, which it does not belong "
            "to. Give another name or folder."
        )
    return known


def _compared(
    path: Path, contract: Contract, crops: np.ndarray, expect: Engine, problem: str | None
) -> tuple[dict[str, float], tuple[EngineName, ...]]:
    """The largest differences of a file's outputs, by all its engines, and these.

    Of all crops at once and of the first alone, as some runtimes take one batch only.

    Args:
      path: the new file.
      contract: its own.
      crops: what it is run on.
      expect: the `.pb`'s engine.
      problem: see `differences`; None: any difference will do.
    """
    expected = expect(crops)
    largest: dict[str, float] = dict.fromkeys(expected, 0.0)
    engines = tuple(filter(_installed, RUN_BY[path.suffix]))
    for name in engines:
        run = load_engine(path, contract, name)
        for count in (len(crops), 1):
            found, wanted = run(crops[:count]), {k: v[:count] for k, v in expected.items()}
            if problem is None:
                each = _apart(found, wanted)
            else:
                each = differences(found, wanted, f"{problem} in {ENGINES[name].title}")
            largest = {key: max(value, each[key]) for key, value in largest.items()}
    return largest, engines


def _installed(name: EngineName) -> bool:
    # LiteRT is part of TensorFlow, too.
    return name != "onnxruntime" or importlib.util.find_spec("onnxruntime") is not None


def _apart(found: Outputs, expected: Outputs) -> dict[str, float]:
    return {name: float(np.abs(found[name] - expected[name]).max()) for name in expected}


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return round(sum(file.stat().st_size for file in files) / 1e6, 3)
