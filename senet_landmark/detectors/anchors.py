"""A frozen detector of anchors: pictures -> boxes, scores and points; merging of detections.

Decoding and weighted non-maximum suppression as in MediaPipe's calculators
(`tensors_to_detections_calculator`, `non_max_suppression_calculator`).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from senet_landmark.face import geometry
from senet_landmark.frozen.detector import (
    DetectorContract,
    anchor_centres,
    load_detector_contract,
)
from senet_landmark.frozen.runtimes import onnx_run


class Candidates(NamedTuple):
    """Faces with their points, best score first.

    Attributes:
      corners: float64 [N, 2 + P, 2], (x, y) in pixels: left top and right bottom of the box, then
        the contract's `points`.
      scores: float64 [N], the probability of a face, 0 to 1.
    """

    corners: np.ndarray
    scores: np.ndarray

    def take(self, index: np.ndarray) -> "Candidates":
        """The candidates that an index of NumPy selects, in its order."""
        return Candidates(self.corners[index], self.scores[index])


class AnchorDetector(NamedTuple):
    """A frozen detector, loaded.

    Attributes:
      contract: its contract.
      run: pictures uint8 [N, S, S, 3] -> candidates of each, in pixels of the picture, merged.
    """

    contract: DetectorContract
    run: Callable[[np.ndarray], list[Candidates]]


def load_anchor_detector(
    model: Path,
    threshold: float | None = None,
    face_boxes: Callable[[np.ndarray], np.ndarray] = lambda corners: corners,
) -> AnchorDetector:
    """Loads a detector from its `.onnx`, which has its contract beside it.

    Args:
      model: the `.onnx`.
      threshold: smallest probability of a face; None: the contract's.
      face_boxes: corners [N, 2 + P, 2] -> the same with other boxes, after the merging.

    Raises:
      InputError: a file is absent or damaged, or they do not belong together.
    """
    contract = load_detector_contract(model)
    if threshold is not None:
        contract = replace(contract, score_threshold=threshold)
    forward = onnx_run(model, contract)
    centres = anchor_centres(contract)

    def run(pictures: np.ndarray) -> list[Candidates]:
        outputs = forward(pictures)
        pairs = zip(outputs["boxes"], outputs["scores"], strict=True)
        decodings = [decoded(boxes, logits, centres, contract) for boxes, logits in pairs]
        merged = [suppressed(candidates, contract.nms_iou) for candidates in decodings]
        return [Candidates(face_boxes(faces.corners), faces.scores) for faces in merged]

    return AnchorDetector(contract, run)


def decoded(
    boxes: np.ndarray, logits: np.ndarray, centres: np.ndarray, contract: DetectorContract
) -> Candidates:
    """The candidates above the contract's threshold, best first.

    Args:
      boxes: float32 [A, 16], as the graph gives them.
      logits: float32 [A].
      centres: float32 [A, 2], `anchor_centres`.
      contract: the detector's.
    """
    threshold = contract.score_threshold
    chosen = np.flatnonzero(logits > np.log(threshold / (1 - threshold)))
    chosen = chosen[np.argsort(-logits[chosen], kind="stable")]
    corners = boxes[chosen].reshape(len(chosen), boxes.shape[1] // 2, 2).astype(np.float64)
    half = corners[:, 1] / 2
    corners += centres[chosen][:, None]
    middle = corners[:, 0].copy()
    corners[:, 0], corners[:, 1] = middle - half, middle + half
    corners -= 0.5  # from the continuous axis of the input to 0-based centres of pixels
    scores = 1 / (1 + np.exp(-np.clip(logits[chosen].astype(np.float64), -80, 80)))
    is_box = (half > 0).all(axis=1)
    return Candidates(corners[is_box], scores[is_box])


def suppressed(candidates: Candidates, iou: float) -> Candidates:
    """Merges overlapping candidates into the best of each group, weighted by their scores.

    Args:
      candidates: best score first.
      iou: overlap with the best one from which a candidate belongs to its group.
    """
    corners, scores = [], []
    while len(candidates.scores):
        overlaps = overlaps_with(candidates.corners[0], candidates.corners)
        group = overlaps > iou
        group[0] = True
        weights = candidates.scores[group]
        # `np.average` would take as long as all the rest.
        weighted = candidates.corners[group] * weights[:, None, None]
        corners.append(weighted.sum(axis=0) / weights.sum())
        scores.append(candidates.scores[0])
        candidates = candidates.take(~group)
    if not corners:
        return candidates
    return Candidates(np.stack(corners), np.array(scores))


def overlaps_with(one: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The IoU of the box of a candidate [2 + P, 2] with the boxes of [N, 2 + P, 2]; float64 [N]."""
    low, high = np.maximum(one[0], corners[:, 0]), np.minimum(one[1], corners[:, 1])
    shared = np.maximum(high - low, 0).prod(axis=1)
    areas = (corners[:, 1] - corners[:, 0]).prod(axis=1)
    return np.asarray(shared / ((one[1] - one[0]).prod() + areas - shared))


def letterboxed(
    photo: np.ndarray, size: tuple[int, int], region: geometry.Box | None = None, turn: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """A square region of a photo as a detector's input.

    Args:
      photo: RGB uint8 [H, W, 3].
      size: (width, height) of the input in pixels.
      region: the square; None: the smallest one with the whole photo. Black beyond the photo.
      turn: degrees by which the picture is turned counter-clockwise about the region's centre, so
        that a head that leans clockwise by them becomes upright.

    Returns:
      The input, uint8 [height, width, 3], and the affine [2, 3] from its pixels to the photo's.
    """
    if region is None:
        half = max(photo.shape[:2]) / 2
        x, y = (photo.shape[1] - 1) / 2, (photo.shape[0] - 1) / 2
        region = np.array([x - half, y - half, x + half, y + half])
    transform = geometry.to_crop(region)
    if turn:
        angle = -np.radians(turn)
        linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = (region[:2] + region[2:]) / 2
        about = np.concatenate([linear, (middle - linear @ middle)[:, None]], axis=1)
        transform = geometry.compose(transform, about)
    picture = geometry.warp(photo, transform, size)
    return picture, geometry.invert(geometry.compose(geometry.to_pixels(size), transform))
