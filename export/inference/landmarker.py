"""What a model of landmarks is to those who measure it: this project's, or someone else's."""

from typing import Protocol

import numpy as np

from senet_landmark.face.schemes import Scheme


class Landmarker(Protocol):
    """A model that finds landmarks in face boxes: a `Predictor`, or a `Peer` of an evaluation."""

    @property
    def name(self) -> str:
        """What a report calls it."""

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
        """Whether it always brings boxes to those that it was made for."""

    @property
    def note(self) -> str:
        """What a reader of its figures must know; empty where there is nothing."""

    def outputs(
        self, photo: np.ndarray, boxes: np.ndarray, source: str | None
    ) -> dict[str, np.ndarray]:
        """What the model says of the faces in given boxes.

        Args:
          photo: RGB uint8 [H, W, 3].
          boxes: float64 [N, 4] in photo pixels.
          source: what the boxes are from: `landmarks`, `annotation` or a detector's name. None:
            take them as they are, where `own_boxes` is false.

        Returns:
          `landmarks`, float32 [N, K, 2] in photo pixels, K landmarks of the scheme; NaN at those
          that are not in `points`, and for a face where the model finds nothing. Where the model
          has them `pose`, float32 [N, 3], yaw, pitch and roll in degrees, and `attributes`, float32
          [N, C], probabilities of the classes of its `attribute_names`.

        Raises:
          InputError: the photo is not RGB uint8, the source is unknown, or a box has no area.
        """
