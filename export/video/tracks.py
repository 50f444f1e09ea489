"""The state of a tracked face over time, and the rules that tell faces apart.

A track continues while the model finds a face where the motion leads, and this face looks like the
track's (`appearance.py`). So a face that passes in front of another does not take over its identity
(no ID switch). A lost face that comes back gets its identity again if it looks similar.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from senet_landmark.export.inference.face import Face
from senet_landmark.export.video import appearance
from senet_landmark.export.video.smoothing import OneEuro, Smoothed, smooth, start_smoothing
from senet_landmark.face import geometry

SURE = 0.9
"""Smallest confidence of a face whose look is learnt."""

COAST = 0.5
"""Seconds for which a lost face is searched where its motion would have taken it."""

RESTART = 0.2
"""After this number of seconds without the face its smoothing restarts."""

JUMP = 0.6
"""Largest distance of a face from its predicted position, in face sizes."""

GROWTH = 1.6
"""Largest factor by which a face may grow or shrink from one frame to the next."""

LEAST_SIZE = 12.0
"""Smallest size of a face in pixels; a smaller one shows no details."""

SAME_FACE = 0.3
"""Below this mean distance, in face sizes, two sets of landmarks are on one face."""

SIMILAR = 0.65
"""Smallest similarity at which a followed face is still the same, or a lost face is back near its
expected position. `benchmarks/accuracy/tracking.py --ytf` measures how often faces of two
people, and of one person, reach it."""

SIMILAR_ANYWHERE = 0.75
"""Smallest similarity at which a lost face is re-identified anywhere in the frame."""

NEAR = 1.0
"""A position is near the expected one within this distance, in face sizes; after a second without
the face twice this distance, and so on up to three times."""

DISSIMILAR = 0.5
"""Below this similarity two faces do not look alike."""

DOUBT = 0.1
"""A larger difference of similarity decides between two tracks."""

PROOF = 0.4
"""Seconds for which a face must be clearly visible, and unlike all lost ones, to count as new."""

LONGEST_DOUBT = 2.0
"""After this number of seconds it counts as new in any case."""

HEAD = 0.3
"""How far a head, which may cover another face, reaches beyond its box, as a share of its size."""


@dataclass(frozen=True, eq=False)
class Sighting:
    """A face in a frame, before its identity is known.

    Attributes:
      face: the face; its box is the tight box of the landmarks.
      chip: how it looks (`appearance.face_chip`).
    """

    face: Face
    chip: np.ndarray


@dataclass(frozen=True, eq=False)
class Track:
    """A face over time.

    Attributes:
      identity: 1, 2, …; 0: not decided yet.
      born: time at which it was seen first, in seconds.
      seen: time at which it was seen last, in seconds.
      face: the face in the last frame that showed it.
      path: its smoothed landmarks.
      look: how it looks.
      plain: time at which it was first clearly visible, in seconds; infinity: never yet.
    """

    identity: int
    born: float
    seen: float
    face: Face
    path: Smoothed
    look: appearance.Look
    plain: float = np.inf

    def landmarks_at(self, time: float) -> np.ndarray:
        """The landmarks at a time if the motion goes on, float64 [K, 2] in pixels."""
        gap = min(time - self.seen, COAST)
        shift = self.path.velocity.mean(axis=0) * size_of(self.face.box) * gap
        return np.asarray(self.path.points + shift)


def new_track(sighting: Sighting, everyone: Sequence[Sighting], time: float) -> Track:
    """The track of a face seen for the first time; `everyone`: all sightings in the frame."""
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
    """The track with its face in this frame; `everyone`: all sightings in the frame."""
    face = sighting.face
    if time - track.seen > RESTART:
        path = start_smoothing(face.landmarks, time)
    else:
        path = smooth(track.path, face.landmarks, time, size_of(face.box), settings)
    look = replace(track.look, last=sighting.chip)
    return _learnt(replace(track, seen=time, face=face, path=path, look=look), sighting, everyone)


def revived(face: Track, old: Track) -> Track:
    """The track of `face`, which turned out to be the lost face `old`."""
    look = replace(old.look, last=face.look.last)
    return replace(face, identity=old.identity, born=old.born, look=look)


def _learnt(track: Track, sighting: Sighting, everyone: Sequence[Sighting]) -> Track:
    """The track with its look updated, if the face is clearly visible in this frame."""
    face = sighting.face
    chip_box = geometry.expand(face.box, appearance.MARGIN)
    covered = any(
        geometry.iou(chip_box, geometry.expand(other.face.box, HEAD)) > 0
        for other in everyone
        if other is not sighting
    )
    if covered or face.confidence < SURE:
        return track
    look = appearance.learn(track.look, sighting.chip, face.pose)
    return replace(track, look=look, plain=min(track.plain, track.seen))


def settle(
    tracks: list[Track], followed: dict[int, Sighting]
) -> tuple[list[Track], dict[int, Sighting]]:
    """Resolves two tracks on one face: the face belongs to the track to which it is more similar.

    If it is similar to both, and the newer track began only after the older one was lost, both are
    tracks of one face: the older track continues, and the newer one is forgotten.

    Args:
      tracks: all tracks.
      followed: index of a track -> its sighting in this frame.

    Returns:
      The tracks and sightings that remain, as the arguments.
    """
    followed, forgotten = dict(followed), set()
    order = sorted(followed, key=lambda index: (not tracks[index].identity, tracks[index].born))
    for older in order:
        for newer in order[order.index(older) + 1 :]:
            if not {older, newer} <= followed.keys():
                continue
            if not are_same_face(followed[older].face, followed[newer].face):
                continue
            similarities = [
                appearance.similarity(tracks[index].look, followed[index].chip)
                for index in (older, newer)
            ]
            if (
                abs(similarities[0] - similarities[1]) <= DOUBT
                and tracks[older].seen <= tracks[newer].born
            ):
                forgotten.add(newer)
                del followed[newer]
            else:
                del followed[newer if similarities[0] >= similarities[1] else older]
    remaining = [index for index in range(len(tracks)) if index not in forgotten]
    new_index = {index: position for position, index in enumerate(remaining)}
    return [tracks[i] for i in remaining], {
        new_index[i]: sighting for i, sighting in followed.items()
    }


def without_mistaken(
    tracks: Sequence[Track], followed: dict[int, Sighting], last: float
) -> dict[int, Sighting]:
    """Leaves out sightings that are more similar to a lost face than to their own track.

    A face that appears in the place of another may be similar enough to it; but if a lost face is
    more similar, it is more likely that one.

    Args:
      tracks: all tracks.
      followed: index of a track -> the sighting near its expected position.
      last: time of the last frame, in seconds.

    Returns:
      The sightings that remain, as `followed`.
    """
    others = [t for index, t in enumerate(tracks) if index not in followed and t.identity]
    confirmed = {}
    for index, sighting in followed.items():
        similarity_to_own = appearance.similarity(tracks[index].look, sighting.chip)
        # A track that was seen in the last frame keeps its face more easily.
        margin = DOUBT if tracks[index].seen >= last else 0.0
        if all(
            appearance.similarity(t.look, sighting.chip) <= similarity_to_own + margin
            for t in others
        ):
            confirmed[index] = sighting
    return confirmed


def reidentified(
    faces: Sequence[Track], lost: Sequence[Track], time: float
) -> list[tuple[Track, Track]]:
    """Pairs of a new face and the lost face that it is, the most similar pair first."""
    pairs = []
    for face in faces:
        for old in lost:
            score = similarity(old, face)
            distance = np.linalg.norm(
                face.path.points.mean(axis=0) - old.landmarks_at(time).mean(axis=0)
            )
            near = NEAR * (1 + min(time - old.seen, 2)) * size_of(old.face.box)
            least = SIMILAR if distance <= near else SIMILAR_ANYWHERE
            if old.seen < face.born and score >= least:
                pairs.append((score, face, old))
    chosen: list[tuple[Track, Track]] = []
    for _, face, old in sorted(pairs, key=lambda pair: -pair[0]):
        if all(face is not a and old is not b for a, b in chosen):
            chosen.append((face, old))
    return chosen


def similarity(track: Track, face: Track) -> float:
    """How similar a face, as it looks now or has looked, is to a track; -1 to 1."""
    return max(
        appearance.similarity(track.look, face.look.last),
        appearance.similarity_of_looks(track.look, face.look),
    )


def is_new(face: Track, lost: Sequence[Track], time: float) -> bool:
    """Whether a face without identity counts as new: it is none of the lost faces."""
    if not lost or time - face.born >= LONGEST_DOUBT:
        return True
    return time - face.plain >= PROOF and all(similarity(old, face) < DISSIMILAR for old in lost)


def size_of(box: np.ndarray) -> float:
    """The square root of a box's area, in pixels."""
    return float(np.sqrt((box[2:] - box[:2]).prod()))


def is_plausible_move(expected: np.ndarray, box: np.ndarray) -> bool:
    """Whether a face with this box may be the one that was expected: no jump, no change of size."""
    size = size_of(expected)
    jump = np.linalg.norm((box[:2] + box[2:] - expected[:2] - expected[2:]) / 2) / size
    return bool(jump <= JUMP and 1 / GROWTH <= size_of(box) / size <= GROWTH)


def are_same_face(a: Face, b: Face) -> bool:
    """Whether two sets of landmarks are on one face."""
    distance = np.linalg.norm(a.landmarks - b.landmarks, axis=1).mean()
    return bool(distance < SAME_FACE * min(size_of(a.box), size_of(b.box)))
