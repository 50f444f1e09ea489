"""What every data set is read into."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Entry:
    """One annotated face of a data set, found but not read yet: small, so that millions fit.

    Attributes:
      photo: path of the photo.
      source: path of the photo below the data set's root, with slashes; names the sample.
      identity: what must stay on one side of a split: the person, or the source photo of views.
      annotations: candidate files with the annotation, the first that exists is read.
      options: the reader's options that `load` needs.
    """

    photo: Path
    source: str
    identity: str
    annotations: tuple[Path, ...]
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Sample:
    """One annotated face.

    Attributes:
      photo: path of the photo.
      source: path of the photo below the data set's root.
      identity: see `Entry`.
      scheme: landmark scheme, a key of `senet_landmark.schemes.SCHEMES`.
      landmarks: float32 [K, 2], 0-based pixels of the photo; may lie outside it.
      box: annotated face box, float64 [4]; None where the data set has none.
      pose: float32 [3], yaw, pitch, roll in degrees; NaN where unknown.
      attributes: float32 [A]; empty where the data set has none.
    """

    photo: Path
    source: str
    identity: str
    scheme: str
    landmarks: np.ndarray
    box: np.ndarray | None = None
    pose: np.ndarray = field(default_factory=lambda: np.full(3, np.nan, np.float32))
    attributes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
