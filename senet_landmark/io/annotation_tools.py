"""Names in the files of annotation tools, as `predict` writes them and data sets read them."""

import numpy as np

COCO = "landmarks.coco.json"
LABEL_STUDIO = "landmarks.label_studio.json"
LABEL_STUDIO_LABELS = "landmarks.label_studio.xml"
CVAT = "landmarks.cvat.xml"
CVAT_LABELS = "landmarks.cvat_labels.json"

PREDICTED = (COCO, LABEL_STUDIO, CVAT)
"""Files of predictions: where another file has the same photo, that one was mended."""

FACE = "face"
"""Category of a face in COCO, label of its rectangle in Label Studio; with the scheme behind it
label of its skeleton in CVAT."""

SCHEME = "scheme"
"""Key of the scheme's name in a category of COCO and in the data of a task of Label Studio."""

PHOTO = "photo"
"""Key in the data of a task of Label Studio: the photo's path, relative to the file's folder."""

IMAGE, LANDMARK, VISIBILITY = "image", "landmark", "visibility"
"""Names of the tags in Label Studio: the photo, the points, and the choice at a point."""

HIDDEN = "hidden"
"""Label Studio's choice at a point that cannot be seen."""

LOCAL_FILES = "/data/local-files/"
"""Where Label Studio serves files of its own machine; `?d=` has the path below its root."""


def from_corner(pixels: np.ndarray) -> np.ndarray:
    """Coordinates whose integers are the borders of pixels, as ours, with integers at the centres.

    Tools that draw on a canvas, and boxes of COCO, count from the photo's corner: the centre of the
    first pixel is (0.5, 0.5) there.
    """
    return np.asarray(pixels, np.float64) - 0.5


def to_corner(pixels: np.ndarray) -> np.ndarray:
    """The inverse of `from_corner`."""
    return np.asarray(pixels, np.float64) + 0.5
