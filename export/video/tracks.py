"""What a tracker knows of a face over time, and how it tells faces apart.

A face goes on being itself while the model sees one, where its motion leads, and as long as it
looks as it did (`appearance.py`): so a face that passes in front of another does not take its
identity along. A face that was lost gets its identity back if it looks alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from senet_landmark.export.inference.predictor import Face
from senet_landmark.export.video import appearance
from senet_landmark.export.video.smoothing import OneEuro, Smoothed, smooth, start_smoothing
from senet_landmark.face import geometry

SURE = 0.9
"""The model's probability of a face from which its look is learnt."""

COAST = 0.5
"""Seconds for which a lost face is looked for where its motion would have taken it."""

RESTART = 0.2
"""Seconds without a face after which its smoothing begins anew."""

JUMP = 0.6
"""Face sizes by which a face may miss its predicted place."""

GROWTH = 1.6
"""Factor by which a face may have grown or shrunk against the last frame."""

LEAST_SIZE = 12.0
"""Size of a face in pixels below which it is none: nothing is to be seen of it."""

SAME_FACE = 0.3
"""Mean distance of two faces' landmarks, in face sizes, below which they are on one face."""

KEPT = 0.65
"""Likeness from which a followed face is still itself, or a lost one is back where it should be.
`benchmarks/tracking.py --ytf` says how often faces of two people reach it, and those of one."""

FAR_LIKE = 0.75
"""Likeness from which a lost face is known again anywhere."""

NEAR = 1.0
"""How near it should be, in face sizes; lost for a second, twice that, and so on up to 3."""

UNLIKE = 0.5
"""Likeness below which a face does not look like another."""

DOUBT = 0.1
"""Difference of likeness above which it decides whose a face is."""

PROOF = 0.4
"""Seconds for which a face must be plain to see, and look like no lost one, to be a new one."""

LONGEST_DOUBT = 2.0
"""Seconds after which it is a new one though it was never plain to see, or is a little alike."""

HEAD = 0.3
"""How far a head, which may cover another face, reaches beyond its box, as a share of its size."""


@dataclass(frozen=True, eq=False)
class Sighting:
    """A face in a frame, whoever's it is.

    Attributes:
      face: its box is the tight one of its landmarks.
      chip: its look (`appearance.face_chip`).
    """

    face: Face
    chip: np.ndarray


@dataclass(frozen=True, eq=False)
class Track:
    """A face over time.

    Attributes:
      identity: 1, 2, …; 0: it has not been given any yet.
      born, seen: when it was seen first and last, in seconds.
      face: as it was seen last.
      path: its smoothed landmarks.
      look: how it looks.
      plain: when it was first plain to see, in seconds; infinity: never yet.
    """

    identity: int
    born: float
    seen: float
    face: Face
    path: Smoothed
    look: appearance.Look
    plain: float = np.inf

    def landmarks_at(self, time: float) -> np.ndarray:
        """Where its landmarks are at a time if its motion goes on: float64 [K, 2]."""
        gap = min(time - self.seen, COAST)
        shift = self.path.velocity.mean(axis=0) * size_of(self.face.box) * gap
        return np.asarray(self.path.points + shift)


def new_track(sighting: Sighting, everyone: Sequence[Sighting], time: float) -> Track:
    """The track of a face seen for the first time, among all that are seen in the frame."""
    path = start_smoothing(sighting.face.landmarks, time)
    track = Track(0, time, time, sighting.face, path, appearance.Look(sighting.chip))
    return _learnt(track, sighting, everyone)


def continued(
    track: Track,
    sighting: Sighting,
    everyone: Sequence[Sighting],
    time: float,
    settings: OneEuro,
) -> Track:
    """The track with its face of this frame; `everyone` is all that are seen in it."""
    face = sighting.face
    if time - track.seen > RESTART:
        path = start_smoothing(face.landmarks, time)
    else:
        path = smooth(track.path, face.landmarks, time, size_of(face.box), settings)
    look = replace(track.look, last=sighting.chip)
    return _learnt(replace(track, seen=time, face=face, path=path, look=look), sighting, everyone)


def revived(face: Track, old: Track) -> Track:
    """The track of a face that turned out to be a lost one."""
    look = replace(old.look, last=face.look.last)
    return replace(face, identity=old.identity, born=old.born, look=look)


def _learnt(track: Track, sighting: Sighting, everyone: Sequence[Sighting]) -> Track:
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


def settle(
    tracks: list[Track], found: dict[int, Sighting]
) -> tuple[list[Track], dict[int, Sighting]]:
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
            if not are_one(found[older].face, found[younger].face):
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


def unmistaken(
    tracks: Sequence[Track], found: dict[int, Sighting], last: float
) -> dict[int, Sighting]:
    """Leaves out the faces that are rather somebody's else who is lost.

    Where one face turns up in the place of another, or through it, the first is not far from alike;
    but who is known to be like it is the likelier one.

    Args:
      tracks: all that are known.
      found: index of a track -> the face that was found where it should be.
      last: time of the last frame, in seconds.
    """
    others = [t for index, t in enumerate(tracks) if index not in found and t.identity]
    kept = {}
    for index, sighting in found.items():
        own = appearance.likeness(tracks[index].look, sighting.chip)
        # One that was there in the last frame is given up less easily.
        margin = DOUBT if tracks[index].seen >= last else 0.0
        if all(appearance.likeness(t.look, sighting.chip) <= own + margin for t in others):
            kept[index] = sighting
    return kept


def known_again(
    faces: Sequence[Track], lost: Sequence[Track], time: float
) -> list[tuple[Track, Track]]:
    """Pairs of a face and the lost one that it is, the most alike first."""
    pairs = []
    for face in faces:
        for old in lost:
            alike = likeness(old, face)
            away = np.linalg.norm(
                face.path.points.mean(axis=0) - old.landmarks_at(time).mean(axis=0)
            )
            near = NEAR * (1 + min(time - old.seen, 2)) * size_of(old.face.box)
            if old.seen < face.born and alike >= (KEPT if away <= near else FAR_LIKE):
                pairs.append((alike, face, old))
    chosen: list[tuple[Track, Track]] = []
    for _, face, old in sorted(pairs, key=lambda pair: -pair[0]):
        if all(face is not a and old is not b for a, b in chosen):
            chosen.append((face, old))
    return chosen


def likeness(known: Track, face: Track) -> float:
    """How like a known face another one is, as it looks now or has looked."""
    return max(
        appearance.likeness(known.look, face.look.last),
        appearance.likeness_of_looks(known.look, face.look),
    )


def is_new(face: Track, lost: Sequence[Track], time: float) -> bool:
    """Whether a face without identity may be taken for somebody new: it is none of the lost."""
    if not lost or time - face.born >= LONGEST_DOUBT:
        return True
    return time - face.plain >= PROOF and all(likeness(old, face) < UNLIKE for old in lost)


def size_of(box: np.ndarray) -> float:
    """The root of a box's area, in pixels."""
    return float(np.sqrt((box[2:] - box[:2]).prod()))


def is_reached(expected: np.ndarray, box: np.ndarray) -> bool:
    """Whether a face may be here that was expected there: neither jumped nor shrunk."""
    size = size_of(expected)
    jump = np.linalg.norm((box[:2] + box[2:] - expected[:2] - expected[2:]) / 2) / size
    return bool(jump <= JUMP and 1 / GROWTH <= size_of(box) / size <= GROWTH)


def are_one(a: Face, b: Face) -> bool:
    """Whether two sets of landmarks are on one face."""
    distance = np.linalg.norm(a.landmarks - b.landmarks, axis=1).mean()
    return bool(distance < SAME_FACE * min(size_of(a.box), size_of(b.box)))
