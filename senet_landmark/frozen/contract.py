"""The `.json` beside every `.pb`: how to feed the model, and which file it belongs to."""

from dataclasses import dataclass, field
from pathlib import Path

from senet_landmark.config import from_json, to_json
from senet_landmark.errors import InputError
from senet_landmark.face.attributes import get_attribute
from senet_landmark.face.geometry import BoxCorrection, CropSpec
from senet_landmark.face.schemes import Scheme, get_scheme
from senet_landmark.io.files import read_json, sha256, write_json

FORMAT_VERSION = 1


@dataclass(frozen=True)
class TensorSpec:
    """A tensor at the graph's boundary; -1 is any length."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def operation(self) -> str:
        """The tensor's operation: its name without `:0`."""
        return self.name.partition(":")[0]


@dataclass(frozen=True)
class Confidence:
    """From the spread of a face's points to the probability that there is a face.

    1 / (1 + exp(slope * ln(spread / middle))), of the mean spread of the points as a share of the
    crop's side (`export/inference/confidence.py`).

    Attributes:
      middle: the spread at which a face is as probable as none.
      slope: how steep the curve is there.
    """

    middle: float
    slope: float


@dataclass(frozen=True)
class ExpectedError:
    """From the spread of a point to its expected distance from the truth: scale spread^exponent.

    Both are shares of the crop's side (`export/inference/confidence.py`).
    """

    scale: float
    exponent: float


@dataclass(frozen=True)
class Contract:
    """What a program must know to use a frozen model.

    Attributes:
      sha256: of the `.pb`; a mismatch means that the two files do not belong together.
      network: name of the network in the registry.
      scheme: landmark scheme of the output.
      input: float32 [N, H, W, 3], colour order and range below.
      landmarks: float32 [N, K, 2], normalised by the crop's width and height.
      crop: from canonical face box to crop.
      box_corrections: source of a face box -> correction to the canonical box.
      variance: float32 [N, K], of each landmark's map about it, x and y added, in squares of the
        crop's side; None: the model has no maps.
      pose: float32 [N, 3], yaw, pitch and roll in degrees (`senet_landmark.face.pose`); None: the
        model has no such output.
      attributes: float32 [N, C], the probabilities of the classes of each attribute, one attribute
        after the other (`senet_landmark.face.attributes`); None as with `pose`.
      attribute_names: which attributes, in that order.
      confidence: of faces; None: it was not fitted.
      expected_error: of points; None: it was not fitted.
      colour_order: of the input's channels.
      value_range: of the input's values.
      training: data set, box source, preset, steps and minutes of the run.
      metrics: figures measured on the held-out split while training, in percent.
      licence: terms of the weights.
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
        """Name of an output -> its tensor: `landmarks`, and those of the others that are there."""
        every = {
            "landmarks": self.landmarks,
            "variance": self.variance,
            "pose": self.pose,
            "attributes": self.attributes,
        }
        return {name: tensor for name, tensor in every.items() if tensor is not None}

    @property
    def landmark_scheme(self) -> Scheme:
        """The scheme itself."""
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
      InputError: the model or its contract is absent or unreadable, is of a later format, or
        belongs to another `.pb`.
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
            "Freeze the model anew, or use the version of senet_landmark that made it."
        )
    try:
        contract = from_json(Contract, values, str(path))
    except TypeError as error:  # a field without default is missing
        raise InputError(f"{path}: is incomplete ({error}).") from error
    get_scheme(contract.scheme)
    _check_attributes(contract, path)
    check_digest(model, contract)
    return contract


def check_digest(model: Path, contract: Contract) -> None:
    """Raises InputError unless a `.pb`, or what it was converted to, is the contract's own."""
    known = contract.sha256 if model.suffix == ".pb" else contract.conversions.get(model.suffix)
    if known != sha256(model):
        raise InputError(
            f"{contract_path(model)}: belongs to another model than {model.name} (SHA-256 "
            "differs). Copy the files of one model together, or freeze or convert anew."
        )


def _check_attributes(contract: Contract, path: Path) -> None:
    """Raises InputError unless the output `attributes` has the classes of `attribute_names`."""
    known = sum(len(get_attribute(name).classes) for name in contract.attribute_names)
    given = contract.attributes.shape[-1] if contract.attributes else 0
    if known != given:
        raise InputError(
            f"{path}: its attributes {list(contract.attribute_names)} have {known} classes, its "
            f"model's output has {given}. Freeze the model anew."
        )
