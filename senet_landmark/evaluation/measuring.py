"""Outputs of models on annotated faces -> metrics, for any kind of model and data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import normaliser
from senet_landmark.evaluation.output_metrics import (
    attribute_accuracy,
    depth_errors,
    nme_3d,
    pose_mae,
)
from senet_landmark.evaluation.statistics import bootstrap_interval, errors_by_face, summarise
from senet_landmark.face.attributes import get_attribute, predicted_classes
from senet_landmark.face.depth import landmarks_3d
from senet_landmark.face.pose import Pose
from senet_landmark.face.scheme_conversion import can_convert, convert
from senet_landmark.face.schemes import Scheme
from senet_landmark.io.files import write_json


@dataclass(frozen=True)
class AnnotatedFace:
    """One annotated face of an evaluation.

    Attributes:
      photo: RGB uint8 [H, W, 3].
      truth: ground truth, float32 [K, 2] in photo pixels; NaN where unknown.
      boxes: box source -> the box in photo pixels, float64 [4]; None where the source has no box,
        for example a detector that missed the face.
      source: path of the photo, which names the face.
      subset: the part of the data set that it belongs to; empty where there is none.
      pose: yaw, pitch, roll in degrees; None where unknown.
      depth: float32 [K], depth of the landmarks in photo pixels (`senet_landmark.face.depth`), NaN
        where unknown; None: the data set has none.
      attributes: name -> class; None where unknown.
      pixel: width and height of a pixel of `photo` in pixels of the photo that the data set has:
        where the photo here is a recorded crop, it was resized.
    """

    photo: np.ndarray
    truth: np.ndarray
    boxes: Mapping[str, np.ndarray | None]
    source: str = ""
    subset: str = ""
    pose: Pose | None = None
    depth: np.ndarray | None = None
    attributes: Mapping[str, str | None] = field(default_factory=dict)
    pixel: tuple[float, float] = (1.0, 1.0)

    @property
    def yaw(self) -> float | None:
        """Yaw in degrees; None where unknown."""
        return None if self.pose is None else self.pose[0]


@dataclass
class Measured:
    """The outputs of one model on the faces, with the boxes of one source.

    Attributes:
      name: name of the model.
      boxes: the box source.
      points: indices of the landmarks that the model predicts.
      attribute_names: the attributes that it predicts.
      faces: the measured faces; the caller may leave out their photos.
      predicted: [N, K, 2] in photo pixels.
      depths: [N, K] in photo pixels; empty where the model predicts none.
      poses: [N, 3], yaw, pitch, roll in degrees; empty where the model predicts none.
      probabilities: [N, C], of the classes of `attribute_names`; empty where it predicts none.
      missed: the faces without a box, or in which the model found nothing.
      unmeasured: the faces of which no known landmark is one that the model predicts.
    """

    name: str
    boxes: str
    points: tuple[int, ...]
    attribute_names: tuple[str, ...] = ()
    faces: list[AnnotatedFace] = field(default_factory=list)
    predicted: list[np.ndarray] = field(default_factory=list)
    depths: list[np.ndarray] = field(default_factory=list)
    poses: list[np.ndarray] = field(default_factory=list)
    probabilities: list[np.ndarray] = field(default_factory=list)
    missed: list[AnnotatedFace] = field(default_factory=list)
    unmeasured: list[AnnotatedFace] = field(default_factory=list)

    def add(self, face: AnnotatedFace, outputs: Mapping[str, np.ndarray]) -> None:
        """Adds one face.

        Args:
          face: the face with its ground truth.
          outputs: the model's outputs: `landmarks` [K, 2], and `depth` [K], `pose` [3] and
            `attributes` [C] of a model that predicts them. Without landmarks the face counts as
            missed.
        """
        if not np.isfinite(face.truth[list(self.points)]).all(axis=-1).any():
            self.unmeasured.append(face)
            return
        predicted = outputs.get("landmarks")
        if predicted is None or not np.isfinite(predicted[list(self.points)]).all():
            self.missed.append(face)
            return
        self.faces.append(face)
        self.predicted.append(predicted)
        if "depth" in outputs:
            self.depths.append(outputs["depth"])
        if "pose" in outputs:
            self.poses.append(outputs["pose"])
        if "attributes" in outputs:
            self.probabilities.append(outputs["attributes"])

    @property
    def mask(self) -> np.ndarray:
        """The landmarks that count, bool [N, K]: predicted by the model, and known."""
        truth = np.stack([face.truth for face in self.faces])
        mask = np.zeros(truth.shape[:2], bool)
        mask[:, list(self.points)] = True
        return mask & np.isfinite(truth).all(axis=-1)

    def in_photo_pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true landmarks, float64 [N, K, 2], in pixels of the data set's photos."""
        pixels = np.array([face.pixel for face in self.faces])[:, None]
        truth = np.stack([face.truth for face in self.faces])
        return np.stack(self.predicted) * pixels, truth * pixels

    def errors(self, scheme: Scheme) -> dict[str, np.ndarray]:
        """The measured faces' errors by the name of the figure, float64 [N]; N > 0.

        `nme_…` of each normaliser as shares, NaN for a face whose known landmarks do not give it;
        and those of `statistics.SQUARED`.
        """
        return errors_by_face(
            *self.in_photo_pixels(), scheme, self.mask, [face.source for face in self.faces]
        )


def scheme_problem(model: str, predicted: str, truth: str) -> str | None:
    """Why a model cannot be measured on faces of another scheme; None where it can.

    Args:
      model: name of the model.
      predicted: name of the scheme of its landmarks.
      truth: name of the scheme of the faces.
    """
    if can_convert(predicted, truth):
        return None
    return (
        f"The model {model} predicts {predicted}, the faces have {truth}: no conversion from the "
        "one to the other is known."
    )


def as_truth(landmarks: np.ndarray, predicted: Scheme, truth: Scheme) -> np.ndarray:
    """Converts predicted landmarks [..., K, 2 or 3] to the scheme of the ground truth."""
    return convert(landmarks, predicted.name, truth.name)


def points_in_truth(points: Sequence[int], predicted: Scheme, truth: Scheme) -> tuple[int, ...]:
    """Landmarks of the ground truth's scheme that follow from `points` of the predicted scheme."""
    landmarks = np.full((predicted.points, 2), np.nan)
    landmarks[list(points)] = 0
    known = np.isfinite(as_truth(landmarks, predicted, truth)).all(axis=1)
    return tuple(np.flatnonzero(known).tolist())


def metrics_of(measured: Measured, scheme: Scheme) -> dict[str, Any]:
    """The metrics of one model.

    Returns:
      Those of `statistics.summarise`, and:
      unmeasured: names of the faces of which no known landmark is one that the model predicts.
      by_attribute: attribute -> class -> as `by_subset`; missed: names of the missed faces.
      depth_error: of the model's depth, in percent of the box's size (the square root of its area):
        `depth`, mean absolute error (`output_metrics.depth_errors`), and `nme_3d`, mean distance in
        three dimensions (`output_metrics.nme_3d`); `interval_95` has both too. Only if the model
        predicts the depth and that of a face is known.
      pose_mae: `yaw`, `pitch`, `roll` and their `mean` in degrees, from `output_metrics.pose_mae`;
        only if the model predicts a pose and the pose of a face is known.
      attribute_accuracy: attribute -> percent of the measured faces whose class is right; only
        for attributes that the model predicts and whose class is known for a face.

    Raises:
      InputError: no face, every face missed, schemes that differ, or a degenerate ground truth.
    """
    faces = measured.faces
    missed = len(measured.missed)
    if not faces:
        what = f"the detector missed all {missed} faces" if missed else "there is no face"
        if measured.unmeasured:
            what = "no known landmark of a face is one that the model predicts"
        raise InputError(f"Nothing to measure: {what}.")
    predicted, truth = measured.in_photo_pixels()
    names = [face.source for face in faces]

    def parts(labels: list[str | None]) -> dict[str, Any]:
        return summarise(
            predicted, truth, scheme, subsets=labels, points=measured.mask, names=names
        )["by_subset"]

    labelled = [name for face in faces for name, label in face.attributes.items() if label]
    attributes = list(dict.fromkeys(labelled))
    subsets = [face.subset for face in faces]
    figures = summarise(
        predicted,
        truth,
        scheme,
        yaw=[face.yaw for face in faces],
        subsets=subsets if any(subsets) else None,
        missed=missed,
        points=measured.mask,
        names=names,
    )
    depth_figures, intervals = _depth_figures(measured, scheme)
    figures["interval_95"] |= intervals
    return {
        **figures,
        "by_attribute": {n: parts([face.attributes.get(n) for face in faces]) for n in attributes},
        "missed": [face.source for face in measured.missed],
        "unmeasured": [face.source for face in measured.unmeasured],
        **depth_figures,
        **_pose_figures(measured),
        **_attribute_figures(measured),
    }


def _depth_figures(measured: Measured, scheme: Scheme) -> tuple[dict[str, Any], dict[str, Any]]:
    """`depth_error` of `metrics_of`, and the intervals of its figures; empty without any depth."""
    points, truth = measured.in_photo_pixels()
    widths = np.array([[face.pixel[0]] for face in measured.faces])
    unknown = np.full(scheme.points, np.nan)
    depths = [unknown if face.depth is None else face.depth for face in measured.faces]
    true_depth = np.where(measured.mask, np.stack(depths), np.nan) * widths
    if not measured.depths or not np.isfinite(true_depth).any():
        return {}, {}
    depth = np.stack(measured.depths) * widths
    size = normaliser(truth, scheme, "bbox_size", strict=False)
    errors = {
        "depth": depth_errors(depth, true_depth) / size,
        "nme_3d": nme_3d(landmarks_3d(points, depth), landmarks_3d(truth, true_depth), scheme),
    }
    known = {name: values[~np.isnan(values)] for name, values in errors.items()}
    ends = {name: bootstrap_interval(values) for name, values in known.items() if len(values)}
    return (
        {"depth_error": {name: round(100 * float(known[name].mean()), 4) for name in ends}},
        {name: pair and [round(100 * end, 4) for end in pair] for name, pair in ends.items()},
    )


def _pose_figures(measured: Measured) -> dict[str, Any]:
    unknown = (np.nan,) * 3
    truth = [unknown if face.pose is None else face.pose for face in measured.faces]
    if not measured.poses or not np.isfinite(truth).any():
        return {}
    errors = pose_mae(np.stack(measured.poses), truth)
    return {"pose_mae": {name: round(angle, 4) for name, angle in errors.items()}}


def _attribute_figures(measured: Measured) -> dict[str, Any]:
    labelled = {n for face in measured.faces for n, label in face.attributes.items() if label}
    names = [name for name in measured.attribute_names if name in labelled]
    if not names:
        return {}
    columns = [measured.attribute_names.index(name) for name in names]
    classes = predicted_classes(np.stack(measured.probabilities), measured.attribute_names)
    truth = [[_class_number(face, name) for name in names] for face in measured.faces]
    shares = attribute_accuracy(classes[:, columns], truth, names)
    return {"attribute_accuracy": {name: round(100 * share, 4) for name, share in shares.items()}}


def _class_number(face: AnnotatedFace, name: str) -> float:
    label = face.attributes.get(name)
    return np.nan if label is None else get_attribute(name).classes.index(label)


def write_metrics(out: Path | str, metrics: dict[str, Any]) -> Path:
    """Writes `OUT/metrics.json`, whole or not at all, and returns its path."""
    path = Path(out) / "metrics.json"
    write_json(path, metrics)
    return path
