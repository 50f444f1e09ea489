"""Crops of recorded faces as a model gets them: for parity checks, calibration and fitting."""

from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from senet_landmark.data.input_pipeline import RecordStore
from senet_landmark.data.records import Record, in_scheme, load_records_info, shard_paths
from senet_landmark.errors import InputError
from senet_landmark.face import geometry
from senet_landmark.face.scheme_conversion import can_convert

CACHE_MB = 1000
"""Megabytes of memory for decoded pictures."""


@dataclass(frozen=True)
class RecordedFaces:
    """The faces of one split of records, for models of one crop and input size.

    Attributes:
      store: the records of the faces.
      crop: how the canonical face box becomes the crop.
      size: (width, height) of the network's input in pixels.
    """

    store: RecordStore
    crop: geometry.CropSpec
    size: tuple[int, int]

    def crops(self, most: int) -> np.ndarray:
        """Crops of the first `most` faces, uint8 [N, H, W, 3], as the network gets them."""
        return np.stack([self._crop(index)[0] for index in range(min(most, len(self.store)))])

    def landmarks(self, most: int) -> np.ndarray:
        """The true landmarks of `crops`, [N, K, 2], normalised by the crop; NaN where unknown."""
        landmarks = []
        for index in range(min(most, len(self.store))):
            points = geometry.apply(self._pixels(index), self.store.record(index).landmarks)
            landmarks.append(geometry.apply(self._crop(index)[1], points))
        return np.stack(landmarks)

    def crops_beside(self, most: int) -> np.ndarray:
        """Crops that show no whole face, uint8 [N, H, W, 3]: examples of a box whose face is lost.

        They alternate: a third of a face's crop, moved at random, and a crop that is moved by 0.7
        to 1.2 of its side in a random direction.
        """
        generator = np.random.default_rng(0)
        crops = []
        for index in range(min(most, len(self.store))):
            angle, distance = generator.uniform(0, 2 * np.pi), generator.uniform(0.7, 1.2)
            if index % 2:
                move = distance * np.array([np.cos(angle), np.sin(angle)])
                crops.append(self._crop(index, 1, move)[0])
            else:
                crops.append(self._crop(index, 1 / 3, generator.uniform(-1, 1, 2))[0])
        return np.stack(crops)

    def _pixels(self, index: int) -> np.ndarray:
        """From normalised coordinates of a recorded picture to its pixels."""
        height, width = self.store.image(index).shape[:2]
        return geometry.to_pixels((width, height))

    def _crop(
        self, index: int, scale: float = 1, shift: np.ndarray | tuple[float, float] = (0, 0)
    ) -> tuple[np.ndarray, np.ndarray]:
        """`geometry.crop_face` for a face's box with a moved centre and scaled sides."""
        spec = self.crop
        if np.any(shift):  # a moved box may lie outside the picture
            spec = replace(spec, clip=False)
        corners = self.store.record(index).box.reshape(2, 2)
        box = geometry.apply(self._pixels(index), corners).ravel()
        moved = geometry.BoxCorrection((float(shift[0]), float(shift[1])), (scale, scale))
        return geometry.crop_face(
            self.store.image(index), geometry.correct_box(box, moved), spec, self.size
        )


def recorded_faces(
    folder: Path,
    scheme: str,
    crop: geometry.CropSpec,
    size: tuple[int, int],
    split: str | None = None,
    without: Set[str] = frozenset(),
) -> RecordedFaces:
    """The faces of a split of the records in `folder`; None: of the held-out split.

    Faces of the identities `without` are left out. Landmarks of another scheme are converted; what
    the conversion does not tell is NaN.

    Raises:
      InputError: the records are absent, their landmarks have a scheme that cannot be converted,
        they are of faces and the model takes whole photos or the reverse, or no face is left.
    """
    info = load_records_info(folder)
    if not can_convert(info.scheme, scheme):
        raise InputError(
            f"{folder}: has scheme {info.scheme}, the model has {scheme}, and one cannot be "
            "converted to the other."
        )
    if info.crop.of != crop.of:
        kinds = {"face": "crops of faces", "photo": "whole photos"}
        raise InputError(
            f"{folder}: has {kinds[info.crop.of]}, the model takes {kinds[crop.of]}. Give records "
            "with the crop of those that it was trained on."
        )
    paths = shard_paths(folder, info, split or info.held_out)

    def adapt(_: Path, record: Record) -> Record | None:
        return None if record.identity in without else in_scheme(record, scheme)

    store = RecordStore(paths, CACHE_MB, adapt=adapt)
    return RecordedFaces(store, crop, size)
