"""Faces of a video followed from frame to frame, each with an identity that stays.

A face's landmarks say where to look for it in the next frame; the detector, which takes far longer,
is asked now and then, and when a face is lost. A face is given up for the frame where the model
sees none, where it jumps, or where it no longer looks as it did (`appearance.py`): so a face that
passes in front of another does not take its identity along. A face that was lost gets its identity
back if it looks alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_tools import face_boxes
from export import appearance
from export.predictor import Face, Predictor, check_rgb
from export.smoothing import OneEuro, Smoothed, smooth, start_smoothing
from senet_landmark import geometry

LEAST_CONFIDENCE = 0.5
"""The model's probability of a face from which it is one."""

SURE = 0.9
"""That from which its look is learnt."""

COAST = 0.5
"""Seconds for which a lost face is looked for where its motion would have taken it."""

RESTART = 0.2
"""Seconds without a face after which its smoothing begins anew."""

JUMP = 0.6
"""Face sizes by which a face may miss its predicted place."""

GROWTH = 1.6
"""Factor by which a face may have grown or shrunk against the last frame."""

SAME_FACE = 0.3
"""Mean distance of two faces' landmarks, in face sizes, below which they are on one face."""

KEPT = 0.65
"""Likeness from which a followed face is still itself."""

NEAR_LIKE, FAR_LIKE = 0.65, 0.75
"""Likeness from which a lost face is known again: near the place where it would be, and anywhere.
Of pairs of different people's YouTube Faces frames 5% and 0.2% reach it."""

NEAR = 1.0
"""What is near: face sizes; for a face lost for a second, twice that, and so on up to 3."""

DOUBT = 0.1
"""Difference of likeness above which it decides whose a face is."""

PROOF = 0.4
"""Seconds for which a face must be plain to see, and look like no lost one, to be a new one."""

UNLIKE = 0.5
"""Likeness below which it does not look like it."""

LONGEST_DOUBT = 2.0
"""Seconds after which it is a new one though it was never plain to see, or is a little alike."""

HEAD = 0.3
"""How far a head, which may cover another face, reaches beyond its box, as a share of its size."""

MOST_TRACKS = 64
"""Faces that are remembered at once, lost ones included."""


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


@dataclass(frozen=True, eq=False)
class _Sighting:
    """A face in a frame, whoever's it is."""

    face: Face
    chip: np.ndarray


@dataclass(frozen=True, eq=False)
class _Track:
    """A face over time; `identity` 0: it has not been given any yet."""

    identity: int
    born: float
    seen: float
    face: Face
    path: Smoothed
    look: appearance.Look
    plain: float = np.inf  # when it was first plain to see

    def moved(self, time: float) -> np.ndarray:
        """Where its landmarks are at a time if its motion goes on: [K, 2]."""
        gap = min(time - self.seen, COAST)
        return self.path.points + self.path.velocity.mean(axis=0) * _size(self.face.box) * gap


class Tracker:
    """Follows the faces of one video, frame by frame; holds what it knows of them, and no frame.

    Args:
      predictor: finds landmarks and, by its detector, faces.
      smooth: settings of the filter; None: the landmarks stay as they are.
      every: seconds from one detection to the next while no face is lost.
      memory: seconds for which a lost face's identity is kept for it.
      detection_side: frames with a longer side are reduced to it for the detector, in pixels.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        smooth: OneEuro | None = OneEuro(),
        every: float = 0.5,
        memory: float = 30.0,
        detection_side: int = 640,
    ):
        self._predictor = predictor
        self._smooth = smooth
        self._every = every
        self._memory = memory
        self._detection_side = detection_side
        self._tracks: list[_Track] = []
        self._identities = 0
        self._detected = -np.inf
        self._time = -np.inf

    def update(self, frame: np.ndarray, time: float) -> list[TrackedFace]:
        """The faces of the next frame, by identity.

        Args:
          frame: RGB uint8 [H, W, 3].
          time: in seconds, later than that of the last frame; the steps may be of any length.

        Raises:
          InputError: the frame is not RGB uint8.
          ValueError: `time` is not later than before.
        """
        check_rgb(frame)
        if not time > self._time:
            raise ValueError(f"time must grow: {time} s comes after {self._time} s")
        memory = {True: self._memory, False: COAST}
        tracks = [t for t in self._tracks if time - t.seen <= memory[t.identity > 0]]
        found = self._follow(tracks, frame, time)
        tracks, found = _settle(tracks, found)
        new: list[_Sighting] = []
        if self._detection_due(tracks, found, time):
            self._detected = time
            new = self._detect(frame, list(found.values()))
        self._tracks = self._name(self._join(tracks, found, new, time), time)
        self._time = time
        present = [t for t in self._tracks if t.seen == time and t.identity]
        return [
            TrackedFace(
                track.identity,
                track.face,
                track.face.landmarks
                if self._smooth is None
                else track.path.points.astype(np.float32),
            )
            for track in sorted(present, key=lambda track: track.identity)
        ]

    def _follow(
        self, tracks: list[_Track], frame: np.ndarray, time: float
    ) -> dict[int, _Sighting]:
        """Index of a track -> its face in this frame, where that is found where it should be."""
        places: dict[int, np.ndarray] = {}
        for index, track in enumerate(tracks):
            box = self._predictor.canonical_box(track.moved(time))
            if time - track.seen <= COAST and box is not None and _is_within(box, frame):
                places[index] = box
        if not places:
            return {}
        sightings = self._look(frame, np.stack(list(places.values())), face_boxes.LANDMARKS)
        found = {}
        for (index, box), sighting in zip(places.items(), sightings, strict=True):
            if sighting is None or not _is_reached(box, sighting.face.box):
                continue
            least = KEPT if tracks[index].seen == self._time else NEAR_LIKE
            if appearance.likeness(tracks[index].look, sighting.chip) >= least:
                found[index] = sighting
        return found

    def _detection_due(
        self, tracks: list[_Track], found: dict[int, _Sighting], time: float
    ) -> bool:
        """Whether to detect: at once when a face is lost, then ever less often, and regularly."""
        wait = self._every if found else self._every / 2
        for index, track in enumerate(tracks):
            if index not in found:
                wait = min(wait, (time - track.seen) / 2)
        return time - self._detected >= wait

    def _detect(self, frame: np.ndarray, known: list[_Sighting]) -> list[_Sighting]:
        """The faces that the detector finds, without those that are known already."""
        small, factor = geometry.shrink(frame, self._detection_side)
        boxes, scores = self._predictor.detect(small)
        boxes = (boxes + 0.5) / factor - 0.5
        taken = set(face_boxes.assign(boxes, [s.face.box for s in known]).values())
        left = [index for index in range(len(boxes)) if index not in taken]
        source = self._predictor.detector_source
        found: list[_Sighting] = []
        for sighting in self._look(frame, boxes[left], source, scores[left]):
            if sighting is not None and not any(
                _are_one(sighting.face, other.face) for other in [*known, *found]
            ):
                found.append(sighting)
        return found

    def _look(
        self,
        frame: np.ndarray,
        boxes: np.ndarray,
        source: str | None,
        scores: np.ndarray | None = None,
    ) -> list[_Sighting | None]:
        """The face in each box; None where there is none."""
        seen: list[_Sighting | None] = []
        for face in self._predictor.faces(frame, boxes, source, scores):
            box = self._predictor.canonical_box(face.landmarks)
            if box is None or not _is_within(box, frame) or face.confidence < LEAST_CONFIDENCE:
                seen.append(None)
            else:
                chip = appearance.face_chip(frame, face.landmarks, self._predictor.scheme)
                seen.append(_Sighting(replace(face, box=box), chip))
        return seen

    def _join(
        self,
        tracks: list[_Track],
        found: dict[int, _Sighting],
        new: list[_Sighting],
        time: float,
    ) -> list[_Track]:
        """The tracks with this frame's faces; what is new goes to the lost face that it is like."""
        everyone = [*found.values(), *new]
        joined: list[_Track] = []
        unnamed: list[_Track] = []
        for index, sighting in found.items():
            track = self._continued(tracks[index], sighting, everyone, time)
            (joined if track.identity else unnamed).append(track)
        for sighting in new:
            path = start_smoothing(sighting.face.landmarks, time)
            look = appearance.Look(sighting.chip)
            track = _Track(0, time, time, sighting.face, path, look)
            unnamed.append(_learnt(track, sighting, everyone))
        lost = [track for index, track in enumerate(tracks) if index not in found]
        for back, old in _known_again(unnamed, [t for t in lost if t.identity], time):
            unnamed.remove(back)
            lost.remove(old)
            look = replace(old.look, last=back.look.last)
            joined.append(replace(back, identity=old.identity, born=old.born, look=look))
        lost.sort(key=lambda track: track.seen)
        return [*joined, *unnamed, *lost[-MOST_TRACKS:]]

    def _continued(
        self, track: _Track, sighting: _Sighting, everyone: list[_Sighting], time: float
    ) -> _Track:
        """The track with its face of this frame."""
        face = sighting.face
        if time - track.seen > RESTART:
            path = start_smoothing(face.landmarks, time)
        else:
            settings = self._smooth or OneEuro()
            path = smooth(track.path, face.landmarks, time, _size(face.box), settings)
        look = replace(track.look, last=sighting.chip)
        track = replace(track, seen=time, face=face, path=path, look=look)
        return _learnt(track, sighting, everyone)

    def _name(self, tracks: list[_Track], time: float) -> list[_Track]:
        """Gives an identity to those who are new: at once if no lost face could be theirs."""
        lost = [track for track in tracks if track.identity and track.seen < time]
        named = []
        for track in tracks:
            if not track.identity and track.seen == time:
                proven = time - track.plain >= PROOF and all(
                    _likeness(old, track) < UNLIKE for old in lost
                )
                if not lost or proven or time - track.born >= LONGEST_DOUBT:
                    self._identities += 1
                    track = replace(track, identity=self._identities)
            named.append(track)
        return named


def _learnt(track: _Track, sighting: _Sighting, everyone: Sequence[_Sighting]) -> _Track:
    """The track with what this frame tells of its look, where the face is plain to see."""
    face = sighting.face
    wide = geometry.expand(face.box, appearance.MARGIN)
    covered = any(
        geometry.iou(wide, geometry.expand(other.face.box, HEAD)) > 0
        for other in everyone
        if other is not sighting
    )
    if covered or face.confidence < SURE:
        return track
    look = appearance.learn(track.look, sighting.chip, face.pose)
    return replace(track, look=look, plain=min(track.plain, track.seen))


def _settle(
    tracks: list[_Track], found: dict[int, _Sighting]
) -> tuple[list[_Track], dict[int, _Sighting]]:
    """Leaves no two tracks on one face: it is that of the track which it is more like.

    Where it is like both, and the younger appeared only after the older was lost, both are of one
    face: the older goes on, and the younger is forgotten.
    """
    found, forgotten = dict(found), set()
    order = sorted(found, key=lambda index: (not tracks[index].identity, tracks[index].born))
    for older in order:
        for younger in order[order.index(older) + 1 :]:
            if not {older, younger} <= found.keys():
                continue
            if not _are_one(found[older].face, found[younger].face):
                continue
            likes = [
                appearance.likeness(tracks[index].look, found[index].chip)
                for index in (older, younger)
            ]
            if abs(likes[0] - likes[1]) <= DOUBT and tracks[older].seen <= tracks[younger].born:
                forgotten.add(younger)
                del found[younger]
            else:
                del found[younger if likes[0] >= likes[1] else older]
    left = [index for index in range(len(tracks)) if index not in forgotten]
    places = {index: place for place, index in enumerate(left)}
    return [tracks[i] for i in left], {places[i]: sighting for i, sighting in found.items()}


def _known_again(
    faces: Sequence[_Track], lost: Sequence[_Track], time: float
) -> list[tuple[_Track, _Track]]:
    """Pairs of a face and the lost one that it is, the most alike first."""
    pairs = []
    for face in faces:
        for old in lost:
            alike = _likeness(old, face)
            away = np.linalg.norm(face.path.points.mean(axis=0) - old.moved(time).mean(axis=0))
            near = NEAR * (1 + min(time - old.seen, 2)) * _size(old.face.box)
            if old.seen < face.born and alike >= (NEAR_LIKE if away <= near else FAR_LIKE):
                pairs.append((alike, face, old))
    chosen: list[tuple[_Track, _Track]] = []
    for _, face, old in sorted(pairs, key=lambda pair: -pair[0]):
        if all(face is not a and old is not b for a, b in chosen):
            chosen.append((face, old))
    return chosen


def _likeness(known: _Track, face: _Track) -> float:
    """How like a known face another one is, as it looks now or has looked."""
    return max(
        appearance.likeness(known.look, face.look.last),
        appearance.likeness_of_looks(known.look, face.look),
    )


def _size(box: np.ndarray) -> float:
    """The root of a box's area, in pixels."""
    return float(np.sqrt((box[2:] - box[:2]).prod()))


def _is_within(box: np.ndarray, frame: np.ndarray) -> bool:
    """Whether a box's centre is in the frame."""
    x, y = (box[:2] + box[2:]) / 2
    return 0 <= x < frame.shape[1] and 0 <= y < frame.shape[0]


def _is_reached(expected: np.ndarray, box: np.ndarray) -> bool:
    """Whether a face may be here that was expected there: neither jumped nor shrunk."""
    size = _size(expected)
    jump = np.linalg.norm((box[:2] + box[2:] - expected[:2] - expected[2:]) / 2) / size
    return bool(jump <= JUMP and 1 / GROWTH <= _size(box) / size <= GROWTH)


def _are_one(a: Face, b: Face) -> bool:
    """Whether two sets of landmarks are on one face."""
    distance = np.linalg.norm(a.landmarks - b.landmarks, axis=1).mean()
    return bool(distance < SAME_FACE * min(_size(a.box), _size(b.box)))
