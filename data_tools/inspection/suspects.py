"""Finds faces that a person should check: what may be wrong with each, most suspicious first."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from senet_landmark.data_tools.inspection.survey import Survey
from senet_landmark.data_tools.records.copies import equal_pairs, near_pairs
from senet_landmark.face.procrustes import threshold


@dataclass(frozen=True)
class Suspect:
    """One suspect face.

    Attributes:
      face: number of the face in the survey.
      kind: kind of suspicion, a key of `KINDS`.
      value: the value that the kind measures.
      why: the reason, for a person.
      partner: number of the other face if the kind is about two faces, else -1.
      worst: indices of the landmarks that cause the suspicion.
    """

    face: int
    kind: str
    value: float
    why: str
    partner: int = -1
    worst: tuple[int, ...] = ()


LEAST_OFFSET = 0.07
"""Smallest offset of a suspect landmark, in sizes of the face, even if others hardly scatter."""
LEAST_SHAPE = 0.025
"""Smallest root mean square of all offsets of a suspect face, in sizes of the face."""
FACES_ENOUGH = 50
"""With more faces than this, the scatter of a single landmark counts more than that of all."""
FLAT = 5.0
"""A picture is blank if the standard deviation of its grey levels is below this."""
SMALL_SIDE = 32.0
"""A face is very small if the longer side of its box is below this, in pixels of the photo."""
OUTSIDE = 1 / 3
"""A face is mostly outside if more than this share of its box is outside of the photo."""
NARROW = 0.25
"""Landmarks are in a tiny area if their extent is below this share of the box's side."""


def _mirrored(survey: Survey) -> Iterable[Suspect]:
    for shape in survey.shapes:
        for n in np.flatnonzero(shape.mirrored):
            gain = float(shape.gain[n])
            why = (
                f"with left and right exchanged it is {1 / max(gain, 1e-3):.1f} times nearer to "
                "the mean face"
            )
            yield Suspect(int(shape.faces[n]), "mirrored", round(gain, 3), why)


def _points(survey: Survey) -> Iterable[Suspect]:
    for shape in survey.shapes:
        distance = np.abs(shape.offsets)
        if not np.isfinite(distance).any():
            continue
        # With few faces the scatter of a single landmark is uncertain: the scatter of all landmarks
        # is mixed in.
        share = FACES_ENOUGH / (FACES_ENOUGH + len(distance))
        common = share * threshold(distance, 8)
        limits = np.array([common + (1 - share) * threshold(d, 8) for d in distance.T])
        limits = np.maximum(limits, LEAST_OFFSET)
        size = np.sqrt(np.nanmean(distance**2, axis=1))
        limit = max(LEAST_SHAPE, threshold(size, 6))
        ratios = np.nan_to_num(distance / limits)
        for n in range(len(size)):
            value = max(float(ratios[n].max()), float(size[n]) / limit)
            if value <= 1:
                continue
            order = np.argsort(-ratios[n])
            worst = [int(k) for k in order if ratios[n, k] > 1] or [int(order[0])]
            parts = ", ".join(
                f"{k} ({_group(shape.scheme.groups, k)}) by {100 * distance[n, k]:.0f}%"
                for k in worst[:4]
            )
            why = f"off, in percent of the face's size: {parts}"
            if len(worst) > 4:
                why += f" and {len(worst) - 4} more"
            if size[n] > limit:
                why += f"; all points by {100 * size[n]:.1f}% (root mean square)"
            yield Suspect(
                int(shape.faces[n]), "points", round(value, 3), why, worst=tuple(worst[:4])
            )


def _group(groups: dict[str, tuple[int, ...]], point: int) -> str:
    return next(name for name, members in groups.items() if point in members)


def _picture(survey: Survey) -> Iterable[Suspect]:
    for shape in survey.shapes:
        scores = survey.similarity[shape.faces]
        if not np.isfinite(scores).any():
            continue
        # With fewer faces the similarity is less certain, so the limit is lower.
        limit = min(-3 / np.sqrt(len(scores)), -threshold(-scores, 3))
        for n in np.flatnonzero(scores < limit):
            face = int(shape.faces[n])
            if survey.stats.contrast[face] >= FLAT:
                why = f"similarity to a face at its points {scores[n]:.2f}"
                yield Suspect(face, "picture", round(float(scores[n]), 3), why)


def _upside_down(survey: Survey) -> Iterable[Suspect]:
    for shape in survey.shapes:
        rolls = -np.degrees(np.angle(shape.aligned.turn))
        for n, face in enumerate(shape.faces):
            annotated = survey.faces[face].record.pose[2]
            for roll, whose in ((rolls[n], "of the landmarks"), (annotated, "annotated")):
                if abs(roll) > 90:
                    why = f"roll {whose}: {roll:.0f} degrees"
                    yield Suspect(int(face), "upside_down", round(float(abs(roll)), 1), why)
                    break


def _blank(survey: Survey) -> Iterable[Suspect]:
    for face in np.flatnonzero(survey.stats.contrast < FLAT):
        value = float(survey.stats.contrast[face])
        why = f"grey levels in the face box deviate by {value:.1f} of 255"
        yield Suspect(int(face), "blank", round(value, 2), why)


def _outside(survey: Survey) -> Iterable[Suspect]:
    boxes = np.stack([face.record.box for face in survey.faces]).astype(np.float64)
    photo = survey.stats.photo
    inside = np.minimum(boxes[:, 2:], photo[:, 2:]) - np.maximum(boxes[:, :2], photo[:, :2])
    share = np.maximum(inside, 0).prod(1) / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-9)
    for face in np.flatnonzero(1 - share > OUTSIDE):
        if survey.stats.contrast[face] >= FLAT:
            value = float(1 - share[face])
            why = f"{100 * value:.0f}% of the face box lie outside of the photo"
            yield Suspect(int(face), "outside", round(value, 3), why)


def _small(survey: Survey) -> Iterable[Suspect]:
    for index, face in enumerate(survey.faces):
        if face.side < SMALL_SIDE:
            why = f"the face box is {face.side:.0f} pixels of the photo"
            yield Suspect(index, "small", round(face.side, 1), why)


def _tiny_area(survey: Survey) -> Iterable[Suspect]:
    for index, face in enumerate(survey.faces):
        points = face.points[np.isfinite(face.points).all(axis=1)]
        extent = float(np.ptp(points, axis=0).max()) / max(face.side, 1e-9) if len(points) else 0.0
        if extent < NARROW:
            why = f"the landmarks extend over {100 * extent:.0f}% of the face box"
            yield Suspect(index, "tiny_area", round(extent, 3), why)


def _copies(survey: Survey) -> Iterable[Suspect]:
    stats, faces = survey.stats, survey.faces
    lit = np.flatnonzero(stats.contrast >= FLAT)
    pairs = [(a, b, 1.0, "equal to the pixel") for a, b in equal_pairs(stats.digest[lit])]
    near = near_pairs(stats.signature[lit], stats.thumb[lit])
    pairs += [(a, b, c, f"nearly equal, correlation {c:.3f}") for a, b, c in near]
    joined = {
        (number, source): group
        for number, folder in enumerate(survey.folders)
        for group in folder.report.get("joined", [])
        for source in group
    }
    # Of several copies of one picture each one is reported once.
    copies = DisjointSet({index for a, b, *_ in pairs for index in (a, b)})
    for a, b, correlation, how in pairs:
        first, second = int(lit[a]), int(lit[b])
        apart = faces[first].split_in_folder != faces[second].split_in_folder
        if not apart and faces[first].record.identity == faces[second].record.identity:
            group = joined.get((faces[first].folder, faces[first].record.source))
            # One person may look the same twice; photos that the builder joined are copies.
            if group is None or faces[second].record.source not in group:
                continue
        if not copies.merge(a, b):
            continue
        where = _apart(survey, first, second)
        why = f"{how}: {faces[first].record.source}{where}"
        # Copies in different splits come first, as their value is 1 higher.
        yield Suspect(second, "copy", round(correlation + apart, 4), why, partner=first)


def _apart(survey: Survey, first: int, second: int) -> str:
    one, other = survey.faces[first], survey.faces[second]
    if one.folder != other.folder:
        return f", in another folder ({survey.side_name(first)})"
    if one.split != other.split:
        return f", in another split ({one.split})"
    return ""


def _identities(survey: Survey) -> Iterable[Suspect]:
    where: dict[str, dict[tuple[int, str], list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, face in enumerate(survey.faces):
        where[face.record.identity][face.split_in_folder].append(index)
    for identity, sides in where.items():
        if len(sides) > 1:
            counts = ", ".join(f"{len(n)} in {survey.name_of(s)}" for s, n in sides.items())
            firsts = [numbers[0] for numbers in sides.values()]
            count = sum(len(numbers) for numbers in sides.values())
            why = f"faces of {identity}: {counts}"
            yield Suspect(firsts[0], "identity", float(count), why, partner=firsts[1])


@dataclass(frozen=True)
class Kind:
    """A kind of suspicion.

    Attributes:
      title: name of the kind, for a person.
      about: how such faces are found, and what the value means.
      find: finds the suspects, in any order.
      upwards: whether a higher value is more suspicious.
    """

    title: str
    about: str
    find: Callable[[Survey], Iterable[Suspect]]
    upwards: bool = True


KINDS = {
    "mirrored": Kind(
        "Left and right swapped",
        "The face fits the mean face much better if left and right landmarks are exchanged. The "
        "value is the distance to the mean face with the exchange, divided by that without.",
        _mirrored,
        upwards=False,
    ),
    "points": Kind(
        "Points far from a face's shape",
        "Some landmarks, or all of them together, are far from the position that the face's other "
        "landmarks and all other faces predict; turned and speaking faces are allowed for. Lines "
        "go from the annotated to the expected position. The value is in multiples of the "
        "threshold. With a scheme of 5 points the prediction is uncertain: extreme poses and open "
        "mouths are listed too.",
        _points,
    ),
    "picture": Kind(
        "Picture does not look like a face at its points",
        "The picture around the landmarks looks less like a face than like a picture around "
        "landmarks that were moved aside by half a face. Wrong landmarks come first, if there are "
        "any; covered, dark and unusual faces follow. The value is 1 for an average face and -1 "
        "for an average face with moved landmarks.",
        _picture,
        upwards=False,
    ),
    "upside_down": Kind(
        "Upside down",
        "The face is turned in the image plane by more than 90 degrees. The value is the angle.",
        _upside_down,
    ),
    "blank": Kind(
        "Blank pictures",
        "The face box shows nothing or almost nothing. The value is the standard deviation of its "
        "grey levels.",
        _blank,
        upwards=False,
    ),
    "outside": Kind(
        "Mostly outside of the photo",
        "A large part of the face box is black border outside the photo. The value is the share.",
        _outside,
    ),
    "small": Kind(
        "Very small faces",
        f"The face box is smaller than {SMALL_SIDE:.0f} pixels in the photo; the crop is enlarged, "
        "and its landmarks are inexact. The value is the longer side of the box.",
        _small,
        upwards=False,
    ),
    "tiny_area": Kind(
        "Landmarks in a tiny area",
        "The landmarks fill only a small part of the face box. The value is the share of its side.",
        _tiny_area,
        upwards=False,
    ),
    "copy": Kind(
        "Duplicate pictures",
        "The crops of two faces with different identities, or in different splits, are equal or "
        "nearly equal. Copies in different splits or folders come first: they make test results "
        "too good. The value is the correlation, plus 1 if the splits differ.",
        _copies,
    ),
    "identity": Kind(
        "Identities in several splits or folders",
        "One person, or views of one photo, are in several splits: the test results are then too "
        "good. The value is the number of these faces.",
        _identities,
    ),
}


def find_suspects(survey: Survey) -> dict[str, list[Suspect]]:
    """Kind -> its suspects, the most suspicious first; kinds without suspects are included."""
    suspects: dict[str, list[Suspect]] = {}
    for name, kind in KINDS.items():
        sign = -1 if kind.upwards else 1
        suspects[name] = sorted(kind.find(survey), key=lambda s: (sign * s.value, s.face))
    return suspects
