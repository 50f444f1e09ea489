"""The contract of a frozen face detector: the `.json` beside its `.pb` and `.onnx`."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from senet_landmark.config import from_json
from senet_landmark.errors import InputError
from senet_landmark.frozen.contract import FORMAT_VERSION, TensorSpec, contract_path
from senet_landmark.io.files import read_json, sha256


@dataclass(frozen=True)
class DetectorContract:
    """What a program must know to use a frozen detector of anchors.

    Attributes:
      sha256: SHA-256 of the `.pb`.
      network: name of the network.
      input: float32 [N, S, S, 3], RGB, 0 to 255: the photo, kept in proportion, with black beside.
      boxes: float32 [N, A, 16], in pixels of the input, relative to the anchor's centre: centre x
        and y, width and height of the box; then x and y of the points.
      scores: float32 [N, A], logits of the probability of a face.
      strides: stride of each map of anchors, in pixels.
      anchors: anchors in each cell of these maps.
      points: names of the points; left and right are the person's.
      score_threshold: smallest probability of a face.
      nms_iou: detections whose IoU with a better one is above this are merged with it.
      smallest, largest: side of the faces that it finds reliably, as a share of the input's.
      colour_order: order of the input's channels.
      value_range: smallest and largest value of the input.
      origin: where the weights come from.
      licence: licence of the weights.
      conversions: suffix of a file that the `.pb` was converted to (`.onnx`) -> its SHA-256.
      project_version: version of senet_landmark that froze it.
      format_version: version of this file's layout.
    """

    sha256: str
    network: str
    input: TensorSpec
    boxes: TensorSpec
    scores: TensorSpec
    strides: tuple[int, ...]
    anchors: tuple[int, ...]
    points: tuple[str, ...]
    score_threshold: float
    nms_iou: float
    smallest: float
    largest: float
    colour_order: str = "RGB"
    value_range: tuple[float, float] = (0.0, 255.0)
    origin: str = ""
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
        """Name of an output -> its tensor."""
        return {"boxes": self.boxes, "scores": self.scores}


def load_detector_contract(model: Path | str) -> DetectorContract:
    """Reads and checks the contract of a detector's `.pb` or `.onnx`.

    Raises:
      InputError: the model or its contract is absent or unreadable, has another format version, or
        the contract belongs to another file.
    """
    model = Path(model)
    path = contract_path(model)
    for file in (model, path):
        if not file.is_file():
            raise InputError(f"{file}: absent. A detector needs its .json beside it; copy both.")
    values = read_json(path)
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(f"{path}: format version {version}, this program reads {FORMAT_VERSION}.")
    try:
        contract = from_json(DetectorContract, values, str(path))
    except TypeError as error:  # a field without default is missing
        raise InputError(f"{path}: is incomplete ({error}).") from error
    expected = contract.sha256 if model.suffix == ".pb" else contract.conversions.get(model.suffix)
    if expected != sha256(model):
        raise InputError(f"{path}: belongs to another file than {model.name} (SHA-256 differs).")
    return contract


def anchor_centres(contract: DetectorContract) -> np.ndarray:
    """The centres of the anchors in pixels of the input, float32 [A, 2], in the outputs' order."""
    width, height = contract.size
    maps = []
    for stride, count in zip(contract.strides, contract.anchors, strict=True):
        y, x = np.mgrid[: height // stride, : width // stride]
        cells = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride
        maps.append(np.repeat(cells, count, axis=0))
    return np.concatenate(maps).astype(np.float32)
