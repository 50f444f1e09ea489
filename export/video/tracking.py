"""Tracking: the faces of a video are followed from frame to frame, each with a lasting identity.

The landmarks of a face give its box in the next frame. The detector, which takes far longer, runs
only now and then, and when a face is lost. `tracks.py` holds the state of a face and the rules that
decide which identity a face has.
"""

from dataclasses import dataclass, replace

import numpy as np

from senet_landmark.export.inference.face import Face
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video import appearance
from senet_landmark.export.video.smoothing import OneEuro
from senet_landmark.export.video.tracks import (
    COAST,
    LEAST_SIZE,
    SIMILAR,
    Sighting,
    Track,
    are_same_face,
    continued,
    is_new,
    is_plausible_move,
    new_track,
    reidentified,
    revived,
    settle,
    size_of,
    without_mistaken,
)
from senet_landmark.face import geometry
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.io.images import check_rgb

LEAST_CONFIDENCE = 0.5
"""Smallest confidence of a face; below it a box shows no face."""

MOST_LOST = 64
"""Largest number of lost faces that are remembered."""


@dataclass(frozen=True)
class TrackedFace:
    """A face in a frame, with its identity.

    Attributes:
      identity: 1, 2, … in order of appearance; the same in all frames.
      face: the model's results in this frame. Its box is the tight box of the landmarks. Its score
        is the detector's if the detector found it in this frame, else NaN.
      smoothed: float32 [K, 2], the landmarks after the One-Euro filter, in pixels; not smoothed if
        smoothing is off.
    """

    identity: int
    face: Face
    smoothed: np.ndarray


class Tracker:
    """Follows the faces of one video, frame by frame; it keeps their tracks, but no frames.

    A face that may be a lost one, but is not clearly visible, is returned only after this is
    decided. An identity is never given to another face. If a face got a new identity and then turns
    out to be a lost one, it gets the older identity back, and the newer one is never used again.

    Args:
      predictor: finds landmarks and, with its detector, faces.
      smooth: settings of the One-Euro filter; None: no smoothing.
      every: seconds from one detection to the next while no face is lost.
      memory: seconds for which the identity of a lost face is remembered.
      detection_side: frames with a longer side are reduced to this side, in pixels, for the
        detector. dlib's detector, which needs 40 pixels, then finds faces from a twelfth of the
        longer side on.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        smooth: OneEuro | None = OneEuro(),
        every: float = 0.5,
        memory: float = 30.0,
        detection_side: int = 480,
    ):
        self._predictor = predictor
        self._smooth = smooth
        self._every = every
        self._memory = memory
        self._detection_side = detection_side
        self._tracks: list[Track] = []
        self._identities = 0
        self._detected = -np.inf
        self._time = -np.inf

    def update(self, frame: np.ndarray, time: float) -> list[TrackedFace]:
        """The faces of the next frame, by identity.

        Args:
          frame: RGB uint8 [H, W, 3].
          time: in seconds, later than that of the last frame; steps may have any length.

        Raises:
          InputError: the frame is not RGB uint8, or a box of the detector has no area.
          ValueError: `time` is not later than that of the last frame.
        """
        check_rgb(frame)
        if not time > self._time:
            raise ValueError(f"time must grow: {time} s comes after {self._time} s")
        memory = {True: self._memory, False: COAST}
        tracks = [t for t in self._tracks if time - t.seen <= memory[t.identity > 0]]
        followed = without_mistaken(tracks, self._follow(tracks, frame, time), self._time)
        tracks, followed = settle(tracks, followed)
        new: list[Sighting] = []
        if self._detection_due(tracks, followed, time):
            self._detected = time
            new = self._detect(frame, list(followed.values()))
        self._tracks = self._named(self._joined(tracks, followed, new, time), time)
        self._time = time
        present = [t for t in self._tracks if t.seen == time and t.identity]
        return [
            TrackedFace(track.identity, track.face, self._output(track))
            for track in sorted(present, key=lambda track: track.identity)
        ]

    def _output(self, track: Track) -> np.ndarray:
        points = track.face.landmarks if self._smooth is None else track.path.points
        return points.astype(np.float32)

    def _follow(self, tracks: list[Track], frame: np.ndarray, time: float) -> dict[int, Sighting]:
        """Index of a track -> its face in this frame, if the face is near its expected position."""
        expected: dict[int, np.ndarray] = {}
        rolls = []
        for index, track in enumerate(tracks):
            landmarks = track.landmarks_at(time)
            box = self._predictor.canonical_box(landmarks)
            if time - track.seen <= COAST and box is not None and is_within(box, frame):
                expected[index] = box
                rolls.append(self._predictor.roll(landmarks))
        if not expected:
            return {}
        boxes = np.stack(list(expected.values()))
        sightings = self._sightings(frame, boxes, LANDMARKS, roll=np.array(rolls))
        followed = {}
        for (index, box), sighting in zip(expected.items(), sightings, strict=True):
            if sighting is None or not is_plausible_move(box, sighting.face.box):
                continue
            if appearance.similarity(tracks[index].look, sighting.chip) >= SIMILAR:
                followed[index] = sighting
        return followed

    def _detection_due(
        self, tracks: list[Track], followed: dict[int, Sighting], time: float
    ) -> bool:
        """Whether to run the detector: at once when a face is lost, then less and less often."""
        wait = self._every if followed else self._every / 2
        for index, track in enumerate(tracks):
            if index not in followed:
                wait = min(wait, (time - track.seen) / 2)
        return time - self._detected >= wait

    def _detect(self, frame: np.ndarray, followed: list[Sighting]) -> list[Sighting]:
        """The faces that the detector finds, without those that are followed already."""
        small, factor = geometry.shrink(frame, self._detection_side)
        detections = self._predictor.detect(small)
        boxes, scores = (detections.boxes + 0.5) / factor - 0.5, detections.scores
        roll = detections.roll
        matched = {geometry.best_match(boxes, sighting.face.box) for sighting in followed}
        remaining = [index for index in range(len(boxes)) if index not in matched]
        box_source = self._predictor.detector_source
        new: list[Sighting] = []
        roll = None if roll is None else roll[remaining]
        sightings = self._sightings(frame, boxes[remaining], box_source, scores[remaining], roll)
        for sighting in sightings:
            if sighting is None or not self._predictor.is_verified(sighting.face):
                continue
            if not any(are_same_face(sighting.face, other.face) for other in [*followed, *new]):
                new.append(sighting)
        return new

    def _sightings(
        self,
        frame: np.ndarray,
        boxes: np.ndarray,
        box_source: str | None,
        scores: np.ndarray | None = None,
        roll: np.ndarray | None = None,
    ) -> list[Sighting | None]:
        """The face in each box after a forward pass; None where the box shows no face."""
        sightings: list[Sighting | None] = []
        for face in self._predictor.faces(frame, boxes, box_source, scores, roll):
            box = self._predictor.canonical_box(face.landmarks)
            if (
                box is None
                or not is_within(box, frame)
                or size_of(box) < LEAST_SIZE
                or face.confidence < LEAST_CONFIDENCE
            ):
                sightings.append(None)
            else:
                chip = appearance.face_chip(frame, face.landmarks, self._predictor.scheme)
                sightings.append(Sighting(replace(face, box=box), chip))
        return sightings

    def _joined(
        self,
        tracks: list[Track],
        followed: dict[int, Sighting],
        new: list[Sighting],
        time: float,
    ) -> list[Track]:
        """The tracks with this frame's faces; a new face may continue the track of a lost one."""
        everyone = [*followed.values(), *new]
        settings = self._smooth or OneEuro()  # the path also predicts the next position
        visible = [continued(tracks[i], s, everyone, time, settings) for i, s in followed.items()]
        visible += [new_track(sighting, everyone, time) for sighting in new]
        lost = [track for index, track in enumerate(tracks) if index not in followed]
        unnamed = [track for track in visible if not track.identity]
        for face, old in reidentified(unnamed, [t for t in lost if t.identity], time):
            visible[visible.index(face)] = revived(face, old)
            lost.remove(old)
        return [*visible, *sorted(lost, key=lambda track: -track.seen)[:MOST_LOST]]

    def _named(self, tracks: list[Track], time: float) -> list[Track]:
        """The tracks, with an identity for each new face."""
        lost = [track for track in tracks if track.identity and track.seen < time]
        named = []
        for track in tracks:
            if not track.identity and track.seen == time and is_new(track, lost, time):
                self._identities += 1
                track = replace(track, identity=self._identities)
            named.append(track)
        return named


def is_within(box: np.ndarray, frame: np.ndarray) -> bool:
    """Whether a box's centre is in the frame."""
    x, y = (box[:2] + box[2:]) / 2
    return bool(0 <= x < frame.shape[1] and 0 <= y < frame.shape[0])
