"""Faces of a video followed from frame to frame, each with an identity that stays.

A face's landmarks say where to look for it in the next frame; the detector, which takes far longer,
is asked now and then, and when a face is lost. `tracks.py` has what is known of a face, and what
decides whose it is.
"""

from dataclasses import dataclass, replace

import numpy as np

from senet_landmark.export.inference.predictor import Face, Predictor, check_rgb
from senet_landmark.export.video import appearance
from senet_landmark.export.video.smoothing import OneEuro
from senet_landmark.export.video.tracks import (
    COAST,
    KEPT,
    LEAST_SIZE,
    Sighting,
    Track,
    are_one,
    continued,
    is_new,
    is_reached,
    known_again,
    new_track,
    revived,
    settle,
    size_of,
    unmistaken,
)
from senet_landmark.face import geometry
from senet_landmark.face.boxes import LANDMARKS

LEAST_CONFIDENCE = 0.5
"""The model's probability of a face from which it is one."""

MOST_LOST = 64
"""Lost faces that are remembered at once."""


@dataclass(frozen=True)
class TrackedFace:
    """A face of a frame.

    Attributes:
      identity: 1, 2, … in order of appearance; the same in all frames.
      face: as the model sees it in this frame; its box is the tight one of its landmarks, its score
        the detector's where it was detected in this frame, else NaN.
      smoothed: float32 [K, 2], the landmarks after the One-Euro filter, in pixels; as they are
        where smoothing is off.
    """

    identity: int
    face: Face
    smoothed: np.ndarray


class Tracker:
    """Follows the faces of one video, frame by frame; holds what it knows of them, and no frame.

    A face that might be a lost one, but is not plain to see, is shown only when that is settled.
    An identity is never given to another face; where a face was taken for new that turns out to be
    a lost one, it gets the older identity back, and the younger is never used again.

    Args:
      predictor: finds landmarks and, by its detector, faces.
      smooth: settings of the filter; None: the landmarks stay as they are.
      every: seconds from one detection to the next while no face is lost.
      memory: seconds for which a lost face's identity is kept for it.
      detection_side: frames with a longer side are reduced to it for the detector, in pixels; with
        dlib's, which finds faces of 40 pixels, those of a twelfth of the longer side and more.
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
          time: in seconds, later than that of the last frame; the steps may be of any length.

        Raises:
          InputError: the frame is not RGB uint8, or the detector's boxes have no area.
          ValueError: `time` is not later than before.
        """
        check_rgb(frame)
        if not time > self._time:
            raise ValueError(f"time must grow: {time} s comes after {self._time} s")
        memory = {True: self._memory, False: COAST}
        tracks = [t for t in self._tracks if time - t.seen <= memory[t.identity > 0]]
        found = unmistaken(tracks, self._follow(tracks, frame, time), self._time)
        tracks, found = settle(tracks, found)
        new: list[Sighting] = []
        if self._detection_due(tracks, found, time):
            self._detected = time
            new = self._detect(frame, list(found.values()))
        self._tracks = self._named(self._joined(tracks, found, new, time), time)
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
        """Index of a track -> its face in this frame, where that is found where it should be."""
        places: dict[int, np.ndarray] = {}
        for index, track in enumerate(tracks):
            box = self._predictor.canonical_box(track.landmarks_at(time))
            if time - track.seen <= COAST and box is not None and _is_within(box, frame):
                places[index] = box
        if not places:
            return {}
        sightings = self._look(frame, np.stack(list(places.values())), LANDMARKS)
        found = {}
        for (index, box), sighting in zip(places.items(), sightings, strict=True):
            if sighting is None or not is_reached(box, sighting.face.box):
                continue
            if appearance.likeness(tracks[index].look, sighting.chip) >= KEPT:
                found[index] = sighting
        return found

    def _detection_due(self, tracks: list[Track], found: dict[int, Sighting], time: float) -> bool:
        """Whether to detect: at once when a face is lost, then ever less often, and regularly."""
        wait = self._every if found else self._every / 2
        for index, track in enumerate(tracks):
            if index not in found:
                wait = min(wait, (time - track.seen) / 2)
        return time - self._detected >= wait

    def _detect(self, frame: np.ndarray, known: list[Sighting]) -> list[Sighting]:
        """The faces that the detector finds, without those that are known already."""
        small, factor = geometry.shrink(frame, self._detection_side)
        boxes, scores = self._predictor.detect(small)
        boxes = (boxes + 0.5) / factor - 0.5
        taken = {geometry.best_match(boxes, sighting.face.box) for sighting in known}
        left = [index for index in range(len(boxes)) if index not in taken]
        source = self._predictor.detector_source
        found: list[Sighting] = []
        for sighting in self._look(frame, boxes[left], source, scores[left]):
            if sighting is not None and not any(
                are_one(sighting.face, other.face) for other in [*known, *found]
            ):
                found.append(sighting)
        return found

    def _look(
        self,
        frame: np.ndarray,
        boxes: np.ndarray,
        source: str | None,
        scores: np.ndarray | None = None,
    ) -> list[Sighting | None]:
        """The face in each box; None where there is none."""
        seen: list[Sighting | None] = []
        for face in self._predictor.faces(frame, boxes, source, scores):
            box = self._predictor.canonical_box(face.landmarks)
            if (
                box is None
                or not _is_within(box, frame)
                or size_of(box) < LEAST_SIZE
                or face.confidence < LEAST_CONFIDENCE
            ):
                seen.append(None)
            else:
                chip = appearance.face_chip(frame, face.landmarks, self._predictor.scheme)
                seen.append(Sighting(replace(face, box=box), chip))
        return seen

    def _joined(
        self,
        tracks: list[Track],
        found: dict[int, Sighting],
        new: list[Sighting],
        time: float,
    ) -> list[Track]:
        """The tracks with this frame's faces; what is new goes to the lost face that it is like."""
        everyone = [*found.values(), *new]
        settings = self._smooth or OneEuro()  # the path also says where to look next
        seen = [continued(tracks[i], s, everyone, time, settings) for i, s in found.items()]
        seen += [new_track(sighting, everyone, time) for sighting in new]
        lost = [track for index, track in enumerate(tracks) if index not in found]
        unnamed = [track for track in seen if not track.identity]
        for face, old in known_again(unnamed, [t for t in lost if t.identity], time):
            seen[seen.index(face)] = revived(face, old)
            lost.remove(old)
        return [*seen, *sorted(lost, key=lambda track: -track.seen)[:MOST_LOST]]

    def _named(self, tracks: list[Track], time: float) -> list[Track]:
        """Gives an identity to those that are new."""
        lost = [track for track in tracks if track.identity and track.seen < time]
        named = []
        for track in tracks:
            if not track.identity and track.seen == time and is_new(track, lost, time):
                self._identities += 1
                track = replace(track, identity=self._identities)
            named.append(track)
        return named


def _is_within(box: np.ndarray, frame: np.ndarray) -> bool:
    """Whether a box's centre is in the frame."""
    x, y = (box[:2] + box[2:]) / 2
    return bool(0 <= x < frame.shape[1] and 0 <= y < frame.shape[0])
