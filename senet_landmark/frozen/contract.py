"""The `.json` beside every `.pb`: how to feed the model, and which file it belongs to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from senet_landmark.config import from_json, to_json
from senet_landmark.errors import InputError
from senet_landmark.face.attributes import get_attribute
from senet_landmark.face.geometry import BoxCorrection, CropSpec
from senet_landmark.face.schemes import Scheme, get_scheme
from senet_landmark.io.files import read_json, sha256, write_json

FORMAT_VERSION = 1


@dataclass(frozen=True)
class TensorSpec:
    """An input or output tensor of the graph; -1 in `shape` is any length."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def operation(self) -> str:
        """The tensor's operation: its name without `:0`."""
        return self.name.partition(":")[0]


class FrozenTensors(Protocol):
    """What an engine must know of a frozen graph; every contract has it."""

    @property
    def input(self) -> TensorSpec:
        """The input, float32 [N, H, W, 3]."""

    @property
    def outputs(self) -> dict[str, TensorSpec]:
        """Name of an output -> its tensor."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the input in pixels."""


@dataclass(frozen=True)
class Confidence:
    """Calibration of the confidence: spread of a face's points -> probability that there is a face.

    1 / (1 + exp(slope * ln(spread / middle))), where `spread` is the mean spread of the points as a
    share of the crop's side (`export/inference/confidence.py`).

    Attributes:
      middle: the spread at which the probability is 1/2.
      slope: how steep the curve is there.
    """

    middle: float
    slope: float


@dataclass(frozen=True)
class ExpectedError:
    """Spread of a point -> its expected distance from the truth: scale * factor * spread^exponent.

    Spread and distance are shares of the crop's side (`export/inference/confidence.py`).

    Attributes:
      scale: for all points.
      exponent: how much the error grows with the spread.
      factors: of each point, 1 on average: with maps equally wide, a point of the contour is
        further from its true position than the corner of an eye. Empty: all are 1.
    """

    scale: float
    exponent: float
    factors: tuple[float, ...] = ()


@dataclass(frozen=True)
class Contract:
    """What a program must know to use a frozen model.

    Attributes:
      sha256: SHA-256 of the `.pb`; a mismatch means that the two files do not belong together.
      network: name of the network in the registry.
      scheme: landmark scheme of the output.
      input: float32 [N, H, W, 3], colour order and range below.
      landmarks: float32 [N, K, 2], normalised by the crop's width and height.
      crop: how a canonical face box becomes a crop.
      box_corrections: box source -> correction to the canonical box.
      variance: float32 [N, K], variance of each landmark's heatmap about the landmark, x and y
        added, in squares of the crop's side; None: the model has no heatmaps.
      depth: float32 [N, K], the landmarks' depth in units of the face box
        (`senet_landmark.face.depth`); None: the model has no such output.
      pose: float32 [N, 3], yaw, pitch and roll in degrees (`senet_landmark.face.pose`); None: the
        model has no such output.
      attributes: float32 [N, C], the probabilities of the classes of each attribute, one attribute
        after the other (`senet_landmark.face.attributes`); None: the model has no such output.
      attribute_names: names of the attributes, in that order.
      confidence: calibration of the faces' confidence; None: it was not fitted.
      expected_error: calibration of the points' expected error; None: it was not fitted.
      colour_order: order of the input's channels.
      value_range: smallest and largest value of the input.
      training: data set, box source, preset, steps and minutes of the run.
      metrics: metrics on the held-out split during training, in percent.
      licence: licence of the weights.
      conversions: suffix of a file that the `.pb` was converted to (`.onnx`) -> its SHA-256.
      project_version: version of senet_landmark that froze the model.
      format_version: version of this file's layout.
    """

    sha256: str
    network: str
    scheme: str
    input: TensorSpec
    landmarks: TensorSpec
    crop: CropSpec
    box_corrections: dict[str, BoxCorrection]
    variance: TensorSpec | None = None
    depth: TensorSpec | None = None
    pose: TensorSpec | None = None
    attributes: TensorSpec | None = None
    attribute_names: tuple[str, ...] = ()
    confidence: Confidence | None = None
    expected_error: ExpectedError | None = None
    colour_order: str = "RGB"
    value_range: tuple[float, float] = (0.0, 255.0)
    training: dict[str, object] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    licence: str = ""
    conversions: dict[str, str] = field(default_factory=dict)
    project_version: str = ""
    format_version: int = FORMAT_VERSION

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the input in pixels."""
        return self.input.shape[2], self.input.shape[1]

    @property
    def outputs(self) -> dict[str, TensorSpec]:
        """Name of an output -> its tensor: `landmarks`, and the others that the model has."""
        tensors = {
            "landmarks": self.landmarks,
            "variance": self.variance,
            "depth": self.depth,
            "pose": self.pose,
            "attributes": self.attributes,
        }
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}

    @property
    def landmark_scheme(self) -> Scheme:
        """The landmark scheme that `scheme` names."""
        return get_scheme(self.scheme)


def contract_path(model: Path | str) -> Path:
    """`MODEL.pb` -> `MODEL.json`."""
    return Path(model).with_suffix(".json")


def save_contract(model: Path | str, contract: Contract) -> None:
    """Writes the contract beside the model, whole or not at all."""
    write_json(contract_path(model), to_json(contract))


def load_contract(model: Path | str) -> Contract:
    """Reads and checks the contract of a `.pb`.

    Raises:
      InputError: the model or its contract is absent or unreadable, has another format version, or
        the contract belongs to another `.pb`.
    """
    model = Path(model)
    if not model.is_file():
        raise InputError(f"{model}: no such model file. Make one with `senet-landmark freeze`.")
    path = contract_path(model)
    if not path.is_file():
        raise InputError(
            f"{path}: absent. A model needs the .json that `senet-landmark freeze` wrote beside "
            "it: it says how to crop and feed. Copy both files together."
        )
    values = read_json(path)
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: format version {version}, this program reads {FORMAT_VERSION}. "
            "Freeze the model again, or use the version of senet_landmark that made it."
        )
    try:
        contract = from_json(Contract, values, str(path))
    except TypeError as error:  # a field without default is missing
        raise InputError(f"{path}: is incomplete ({error}).") from error
    get_scheme(contract.scheme)
    _check_attributes(contract, path)
    _check_factors(contract, path)
    check_digest(model, contract)
    return contract


def check_digest(model: Path, contract: Contract) -> None:
    """Raises InputError unless a `.pb`, or a file converted from it, has the contract's SHA-256."""
    expected = contract.sha256 if model.suffix == ".pb" else contract.conversions.get(model.suffix)
    if expected != sha256(model):
        raise InputError(
            f"{contract_path(model)}: belongs to another model than {model.name} (SHA-256 "
            "differs). Copy the files of one model together, or freeze or convert the "
            "model again."
        )


def _check_attributes(contract: Contract, path: Path) -> None:
    """Raises InputError unless the output `attributes` has the classes of `attribute_names`."""
    expected = sum(len(get_attribute(name).classes) for name in contract.attribute_names)
    classes = contract.attributes.shape[-1] if contract.attributes else 0
    if expected != classes:
        raise InputError(
            f"{path}: its attributes {list(contract.attribute_names)} have {expected} classes, its "
            f"model's output has {classes}. Freeze the model again."
        )


def _check_factors(contract: Contract, path: Path) -> None:
    """Raises InputError unless the expected error has no factors, or one for each landmark."""
    factors = contract.expected_error.factors if contract.expected_error else ()
    points = contract.landmark_scheme.points
    if len(factors) not in (0, points):
        raise InputError(
            f"{path}: its expected_error has {len(factors)} factors for {points} landmarks. Freeze "
            "the model again."
        )
