"""Faces that a person should look at: what is wrong with each, most suspicious first."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from senet_landmark.data_tools.inspection.copies import equal_pairs, near_pairs
from senet_landmark.data_tools.inspection.survey import Survey
from senet_landmark.face.procrustes import threshold


@dataclass(frozen=True)
class Suspect:
    """One face under suspicion.

    Attributes:
      face: its number in the survey.
      kind: a key of `KINDS`.
      value: what the kind measures.
      why: the reason, for a person.
      partner: the other face, where it takes two; -1 otherwise.
      worst: landmarks that the reason is about.
    """

    face: int
    kind: str
    value: float
    why: str
    partner: int = -1
    worst: tuple[int, ...] = ()


LEAST_OFFSET = 0.07
"""From how far off a landmark is suspect, in sizes of the face, whatever the others' scatter."""
LEAST_SHAPE = 0.025
"""From which root mean square of all landmarks' offsets."""
FACES_ENOUGH = 50
"""Faces from which a landmark's own scatter counts more than that of all landmarks."""
FLAT = 5.0
"""Deviation of the grey levels below which a face is a blank."""
SMALL_SIDE = 32.0
"""Longer side of the face box in photo pixels below which a face is very small."""
OUTSIDE = 1 / 3
"""Share of the face box outside of the photo from which a face is mostly outside."""
NARROW = 0.25
"""Extent of the landmarks, over the box's side, below which they are in a tiny area."""


def _mirrored(survey: Survey) -> Iterable[Suspect]:
    for shape in survey.shapes:
        for n in np.flatnonzero(shape.mirrored):
            gain = float(shape.gain[n])
            why = (
                f"with its indices mirrored it is {1 / max(gain, 1e-3):.1f} times nearer to the "
                "mean face"
            )
            yield Suspect(int(shape.faces[n]), "mirrored", round(gain, 3), why)


def _points(survey: Survey) -> Iterable[Suspect]:
    for shape in survey.shapes:
        distance = np.abs(shape.offsets)
        if not np.isfinite(distance).any():
            continue
        # Few faces say little of a landmark's own scatter: all landmarks' is mixed in.
        share = FACES_ENOUGH / (FACES_ENOUGH + len(distance))
        together = share * threshold(distance, 8)
        limits = np.array([together + (1 - share) * threshold(d, 8) for d in distance.T])
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
            why = f"off, in shares of the face's size: {parts}"
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
        scores = survey.likeness[shape.faces]
        if not np.isfinite(scores).any():
            continue
        # The fewer the faces, the worse can they tell what a face looks like.
        limit = min(-3 / np.sqrt(len(scores)), -threshold(-scores, 3))
        for n in np.flatnonzero(scores < limit):
            face = int(shape.faces[n])
            if survey.looks.contrast[face] >= FLAT:
                why = f"likeness to a face in place {scores[n]:.2f}"
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
    for face in np.flatnonzero(survey.looks.contrast < FLAT):
        value = float(survey.looks.contrast[face])
        why = f"grey levels in the face box deviate by {value:.1f} of 255"
        yield Suspect(int(face), "blank", round(value, 2), why)


def _outside(survey: Survey) -> Iterable[Suspect]:
    boxes = np.stack([face.record.box for face in survey.faces]).astype(np.float64)
    photo = survey.looks.photo
    inside = np.minimum(boxes[:, 2:], photo[:, 2:]) - np.maximum(boxes[:, :2], photo[:, :2])
    share = np.maximum(inside, 0).prod(1) / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-9)
    for face in np.flatnonzero(1 - share > OUTSIDE):
        if survey.looks.contrast[face] >= FLAT:
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
    looks, faces = survey.looks, survey.faces
    lit = np.flatnonzero(looks.contrast >= FLAT)
    pairs = [(a, b, 1.0, "equal to the pixel") for a, b in equal_pairs(looks.digest[lit])]
    near = near_pairs(looks.signature[lit], looks.thumb[lit])
    pairs += [(a, b, alike, f"nearly equal, correlation {alike:.3f}") for a, b, alike in near]
    # Of many copies of one picture each is told once.
    told = DisjointSet({index for a, b, *_ in pairs for index in (a, b)})
    for a, b, alike, how in pairs:
        first, second = int(lit[a]), int(lit[b])
        apart = faces[first].split_in_folder != faces[second].split_in_folder
        if not apart and faces[first].record.identity == faces[second].record.identity:
            continue
        if not told.merge(a, b):
            continue
        where = _apart(survey, first, second)
        why = f"{how}: {faces[first].record.source}{where}"
        # Those on two sides of a split come first.
        yield Suspect(second, "copy", round(alike + apart, 4), why, partner=first)


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
            counts = ", ".join(f"{len(own)} in {survey.name_of(s)}" for s, own in sides.items())
            firsts = [own[0] for own in sides.values()]
            count = sum(len(own) for own in sides.values())
            why = f"faces of {identity}: {counts}"
            yield Suspect(firsts[0], "identity", float(count), why, partner=firsts[1])


@dataclass(frozen=True)
class Kind:
    """A kind of suspicion.

    Attributes:
      title: its name, for a person.
      about: how such a face is found, and what it may mean.
      find: finds them, in any order.
      upwards: whether a higher value is more suspicious.
    """

    title: str
    about: str
    find: Callable[[Survey], Iterable[Suspect]]
    upwards: bool = True


KINDS = {
    "mirrored": Kind(
        "Left and right swapped",
        "The face fits the mean shape much better once its indices are permuted as by a mirror. "
        "The value is the distance with over that without the permutation.",
        _mirrored,
        upwards=False,
    ),
    "points": Kind(
        "Points far from a face's shape",
        "Some landmark, or all of them together, are far from where the face's other landmarks and "
        "all other faces would have them: turned and speaking faces allowed for. Lines go from the "
        "annotated to the expected place. The value is in multiples of the threshold. A scheme of "
        "5 points holds little to judge by: extreme poses and open mouths come up too.",
        _points,
    ),
    "picture": Kind(
        "Picture does not look like a face at its points",
        "The picture about the landmarks looks more like those of this set whose landmarks were "
        "moved aside by half a face than like the others. Wrong points are at the top where there "
        "are any; covered, dark and unusual faces follow. The value is 1 for a usual face and -1 "
        "for a usual moved one.",
        _picture,
        upwards=False,
    ),
    "upside_down": Kind(
        "Upside down",
        "Turned in the picture by more than 90 degrees. The value is the angle.",
        _upside_down,
    ),
    "blank": Kind(
        "Blank pictures",
        "Nothing, or next to nothing, is to be seen in the face box. The value is the deviation of "
        "its grey levels.",
        _blank,
        upwards=False,
    ),
    "outside": Kind(
        "Mostly outside of the photo",
        "A large part of the face box is black border, beyond the photo. The value is that part.",
        _outside,
    ),
    "small": Kind(
        "Very small faces",
        f"The face box is under {SMALL_SIDE:.0f} pixels in the photo; the crop is enlarged, and "
        "its landmarks are coarse. The value is the box's longer side.",
        _small,
        upwards=False,
    ),
    "tiny_area": Kind(
        "Landmarks in a tiny area",
        "The landmarks fill a small part of the face box. The value is that part of its side.",
        _tiny_area,
        upwards=False,
    ),
    "copy": Kind(
        "Duplicate pictures",
        "Two faces of different identity, or in different splits, whose crops are equal or nearly "
        "so; those in different splits or folders first: they make scores too good. The value is "
        "the correlation, and 1 more across splits.",
        _copies,
    ),
    "identity": Kind(
        "Identities in several splits or folders",
        "A person, or the views of one photo, on two sides: scores on one are then too good. The "
        "value is the number of their faces.",
        _identities,
    ),
}


def find_suspects(survey: Survey) -> dict[str, list[Suspect]]:
    """Kind -> its suspects, most suspicious first; every kind is there."""
    found: dict[str, list[Suspect]] = {}
    for name, kind in KINDS.items():
        sign = -1 if kind.upwards else 1
        found[name] = sorted(kind.find(survey), key=lambda s: (sign * s.value, s.face))
    return found
