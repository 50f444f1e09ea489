"""dlib's interface, with a model of this project as the shape predictor.

`from senet_landmark.compat import dlib` in place of `import dlib`: `shape_predictor` is the class
below, and every other name (`get_frontal_face_detector`, `rectangle`, `get_face_chip`, …) is dlib's
own.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from senet_landmark.compat.images import grey_as_rgb
from senet_landmark.detectors.dlib_hog import boxes_of
from senet_landmark.detectors.interface import whole_photo
from senet_landmark.detectors.registry import DLIB
from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import EngineName
from senet_landmark.export.inference.predictor import PASSES, Predictor
from senet_landmark.export.inference.writers import full_object_detection
from senet_landmark.face.boxes import check_boxes
from senet_landmark.frozen.models import DEFAULT_MODEL, shipped_models


class DlibError(InputError, RuntimeError):
    """An `InputError` where dlib raises RuntimeError: programs that catch that one go on."""


class shape_predictor:
    """`dlib.shape_predictor` with a model of this project; several threads may use it at once.

    Args:
      model: the name of a model that ships, or the path of a model as `Predictor` takes it; None:
        the default model. dlib's own `.dat` files are none.
      engine, passes: as `Predictor` has them.

    Raises:
      DlibError: there is no such model, or it is damaged.
    """

    def __init__(
        self,
        model: Path | str | None = None,
        *,
        engine: EngineName | None = None,
        passes: int = PASSES,
    ):
        if model is not None and Path(model).suffix == ".dat":
            raise DlibError(
                f"{model}: is a file of dlib's, whose predictor reads it. Name a model of this "
                f'package: shape_predictor("{DEFAULT_MODEL}") ({", ".join(shipped_models())}), or '
                "the path of a .pb."
            )
        self._arguments = (model, engine, passes)
        try:  # no detector: the caller has the rectangles
            self._predictor = Predictor(model, engine, detector=whole_photo, passes=passes)
        except InputError as error:
            raise DlibError(str(error)) from error

    def __call__(self, image: np.ndarray, box: dlib.rectangle) -> dlib.full_object_detection:
        """The landmarks of the face in a rectangle.

        Args:
          image: RGB uint8 [H, W, 3], or grey uint8 [H, W] or [H, W, 1].
          box: where dlib's detectors see the face. It may reach beyond the image.

        Returns:
          dlib's own object: `rect` is `box`, and `part(i)` the landmark i in whole pixels, in the
          order of the model's scheme, which is that of dlib's model of 68 points.

        Raises:
          TypeError: the image is no array, or the box no rectangle of dlib's, as with dlib.
          DlibError: the array is no 8-bit image, or the box is smaller than 4 pixels or outside of
            the image, where dlib gives points of nothing.
        """
        if not isinstance(image, np.ndarray):
            raise TypeError(
                f"An image is a NumPy array, not {type(image).__name__}; dlib.load_rgb_image reads "
                "a file."
            )
        if not isinstance(box, dlib.rectangle):
            raise TypeError(
                f"A box is a dlib.rectangle, not {type(box).__name__}; of a detection of dlib's "
                "CNN detector take .rect."
            )
        pixels = grey_as_rgb(image)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise DlibError(
                "Unsupported image type, must be 8bit gray or RGB image: it is "
                f"{image.dtype} {list(image.shape)}."
            )
        boxes = boxes_of([box], 1.0)
        try:
            check_boxes(boxes, (pixels.shape[1], pixels.shape[0]), "The image")
        except InputError as error:
            raise DlibError(str(error)) from error
        (face,) = self._predictor.faces(pixels, boxes, DLIB)
        # A model of whole photos has the photo's rectangle for its box.
        return full_object_detection(replace(face, box=boxes[0]))

    def __reduce__(self) -> tuple[Any, ...]:
        model, engine, passes = self._arguments
        return _load, (model, engine, passes)


def _load(model: Path | str | None, engine: EngineName | None, passes: int) -> shape_predictor:
    """A predictor again, in the process that gets it: the engines themselves cannot be sent."""
    return shape_predictor(model, engine=engine, passes=passes)


def __getattr__(name: str) -> Any:
    """What is not here is dlib's own (PEP 562)."""
    if name.startswith("__") and name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(dlib, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(dlib)})
