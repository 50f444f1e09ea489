"""The interface through which landmark models are measured: this project's, and those of others."""

from typing import Protocol

import numpy as np

from senet_landmark.face.schemes import Scheme


class Landmarker(Protocol):
    """A model that finds landmarks in face boxes: a `Predictor`, or a `Peer`."""

    @property
    def name(self) -> str:
        """Its name in a report."""

    @property
    def scheme(self) -> Scheme:
        """The scheme of its landmarks."""

    @property
    def points(self) -> tuple[int, ...]:
        """Which landmarks of the scheme it predicts."""

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The attributes that it predicts."""

    @property
    def own_boxes(self) -> bool:
        """Whether it always corrects boxes to those that it was made for."""

    @property
    def note(self) -> str:
        """What a reader of its figures must know; may be empty."""

    def outputs(
        self, photo: np.ndarray, boxes: np.ndarray, box_source: str | None
    ) -> dict[str, np.ndarray]:
        """The model's outputs for the faces in the given boxes.

        Args:
          photo: RGB uint8 [H, W, 3].
          boxes: float64 [N, 4] in photo pixels.
          box_source: where the boxes come from: `landmarks`, `annotation` or a detector's name.
            None: use them as they are; only if `own_boxes` is false.

        Returns:
          `landmarks`, float32 [N, K, 2] in photo pixels, for the K landmarks of the scheme; NaN for
          landmarks that are not in `points`, and for a face that the model does not find. If the
          model has them, `depth`, float32 [N, K], that of the landmarks in photo pixels
          (`senet_landmark.face.depth`), `pose`, float32 [N, 3], yaw, pitch and roll in degrees, and
          `attributes`, float32 [N, C], probabilities of the classes of its `attribute_names`.

        Raises:
          InputError: the photo is not RGB uint8, the box source is unknown, or a box has no area.
        """
