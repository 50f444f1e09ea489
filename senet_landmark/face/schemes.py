"""Landmark schemes: number of points, facial parts, mirror permutation, eyes."""

from dataclasses import dataclass, replace

import numpy as np

from senet_landmark.errors import InputError


@dataclass(frozen=True)
class Scheme:
    """A landmark scheme.

    Attributes:
      name: key in `SCHEMES`.
      points: number of landmarks, K.
      mirror: K indices; point i of a mirrored face is point mirror[i] of the original.
      groups: name of a facial part -> indices of its points; every point is in one group.
      outer_eye_corners: the two points whose distance is the inter-ocular distance, the one at the
        image's left first. A scheme without eye corners (MTFL) has its eye centres here: by
        convention its errors are normalised by the inter-pupil distance.
      eyes: indices of the points of the eye at the image's left, and of the eye at its right. Their
        mean is the pupil: one point where the scheme has the pupil or eye centre, else the outline.
      lips: indices of the 12 points of the outer and of the 8 points of the inner contour of the
        lips, each from the corner at the image's left over the upper lip; None without them.

    "Left" in names of points means the image's left, as in AFLW and MTFL.
    """

    name: str
    points: int
    mirror: tuple[int, ...]
    groups: dict[str, tuple[int, ...]]
    outer_eye_corners: tuple[int, int]
    eyes: tuple[tuple[int, ...], tuple[int, ...]]
    lips: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    @property
    def mirror_index(self) -> np.ndarray:
        """`mirror` as an int64 array [K]."""
        return np.array(self.mirror, dtype=np.int64)


def _mirror(points: int, pairs: dict[int, int]) -> tuple[int, ...]:
    permutation = list(range(points))
    for left, right in pairs.items():
        permutation[left], permutation[right] = right, left
    return tuple(permutation)


# Sagonas et al., "300 Faces in-the-Wild Challenge" (ICCVW 2013), figure 1; 0-based here.
_PAIRS_68 = (
    {i: 16 - i for i in range(8)}  # jaw
    | {17 + i: 26 - i for i in range(5)}  # brows
    | {31: 35, 32: 34}  # nostrils
    | {36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46}  # eyes
    | {48: 54, 49: 53, 50: 52, 60: 64, 61: 63, 59: 55, 58: 56, 67: 65}  # mouth
)

# Zhang et al., "Facial Landmark Detection by Deep Multi-task Learning" (ECCV 2014), readme.txt of
# MTFL: centre of the left eye, of the right eye, tip of the nose, left and right mouth corner.
_PAIRS_5 = {0: 1, 3: 4}

# Koestinger et al., "Annotated Facial Landmarks in the Wild" (ICCVW 2011), 21 points by feature id:
# left brow (left, centre, right), right brow (the same), left eye, right eye (the same), left ear,
# nose (left, centre, right), right ear, mouth (left, centre, right), chin. Papers normalise its
# errors by the face box, because many of its faces are profiles.
_PAIRS_21 = (
    {i: 5 - i for i in range(3)} | {6 + i: 11 - i for i in range(3)} | {12: 16, 13: 15, 17: 19}
)

# The 19 points without ears: Zhu et al., "Unconstrained Face Alignment via Cascaded Compositional
# Learning" (CVPR 2016).
_PAIRS_19 = {i: 5 - i for i in range(3)} | {6 + i: 11 - i for i in range(3)} | {12: 14, 15: 17}

# Burgos-Artizzu et al., "Robust face landmark estimation under occlusion" (ICCV 2013). Brows: outer
# ends 0, 1, inner ends 2, 3, upper and lower middle 4, 5 and 6, 7. Eyes: outer corners 8, 9, inner
# 10, 11, upper and lower lid 12, 13 and 14, 15, pupils 16, 17. Nose: wings 18, 19, tip 20, base 21.
# Mouth: corners 22, 23, then the lips downwards 24-27. Chin 28. Pairs, and the outer eye corners as
# the norm, as in HRNet-Facial-Landmark-Detection (MATCHED_PARTS, 1-based).
_PAIRS_29 = {
    **{0: 1, 2: 3, 4: 6, 5: 7},  # brows
    **{8: 9, 10: 11, 12: 14, 13: 15, 16: 17},  # eyes
    **{18: 19, 22: 23},  # nose, mouth
}

# Wu et al., "Look at Boundary" (CVPR 2018), and its page; pairs as in MATCHED_PARTS of
# HRNet-Facial-Landmark-Detection.
_PAIRS_98 = (
    {i: 32 - i for i in range(16)}  # jaw
    | {33 + i: 46 - i for i in range(5)}  # upper edge of the brows
    | {38 + i: 50 - i for i in range(4)}  # lower edge
    | {55: 59, 56: 58}  # nostrils
    | {60 + i: 72 - i for i in range(5)}  # eyes, upper lid
    | {65: 75, 66: 74, 67: 73}  # lower lid
    | {76: 82, 77: 81, 78: 80, 87: 83, 86: 84}  # mouth, outer
    | {88: 92, 89: 91, 95: 93}  # inner
    | {96: 97}  # pupils
)

# Liu et al., "Grand Challenge of 106-Point Facial Landmark Localization" (ICMEW 2019), and LaPa
# (AAAI 2020); pairs as in configs/_base_/datasets/lapa.py of MMPose. These are not the 106 points
# of SenseTime or InsightFace, which have another numbering.
_PAIRS_106 = (
    {i: 32 - i for i in range(16)}  # jaw
    | {33 + i: 46 - i for i in range(5)}  # upper edge of the brows
    | {38 + i: 50 - i for i in range(4)}  # lower edge
    | {55 + i: 65 - i for i in range(5)}  # sides and base of the nose
    | {66 + i: 79 - i for i in range(5)}  # eyes, upper lid
    | {71: 82, 72: 81, 73: 80, 74: 83}  # lower lid, centre
    | {84: 90, 85: 89, 86: 88, 95: 91, 94: 92}  # mouth, outer
    | {96: 100, 97: 99, 103: 101}  # inner
    | {104: 105}  # pupils
)

SCHEMES = {
    "mtfl_5": Scheme(
        name="mtfl_5",
        points=5,
        mirror=_mirror(5, _PAIRS_5),
        groups={"eyes": (0, 1), "nose": (2,), "mouth": (3, 4)},
        outer_eye_corners=(0, 1),
        eyes=((0,), (1,)),
    ),
    "aflw_19": Scheme(
        name="aflw_19",
        points=19,
        mirror=_mirror(19, _PAIRS_19),
        groups={
            "brows": tuple(range(0, 6)),
            "eyes": tuple(range(6, 12)),
            "nose": (12, 13, 14),
            "mouth": (15, 16, 17),
            "chin": (18,),
        },
        outer_eye_corners=(6, 11),
        eyes=((7,), (10,)),
    ),
    "aflw_21": Scheme(
        name="aflw_21",
        points=21,
        mirror=_mirror(21, _PAIRS_21),
        groups={
            "brows": tuple(range(0, 6)),
            "eyes": tuple(range(6, 12)),
            "ears": (12, 16),
            "nose": (13, 14, 15),
            "mouth": (17, 18, 19),
            "chin": (20,),
        },
        outer_eye_corners=(6, 11),
        eyes=((7,), (10,)),
    ),
    "cofw_29": Scheme(
        name="cofw_29",
        points=29,
        mirror=_mirror(29, _PAIRS_29),
        groups={
            "brows": tuple(range(0, 8)),
            "eyes": tuple(range(8, 18)),
            "nose": tuple(range(18, 22)),
            "mouth": tuple(range(22, 28)),
            "chin": (28,),
        },
        outer_eye_corners=(8, 9),
        eyes=((16,), (17,)),
    ),
    "300w_68": Scheme(
        name="300w_68",
        points=68,
        mirror=_mirror(68, _PAIRS_68),
        groups={
            "jaw": tuple(range(0, 17)),
            "brows": tuple(range(17, 27)),
            "nose": tuple(range(27, 36)),
            "eyes": tuple(range(36, 48)),
            "mouth": tuple(range(48, 68)),
        },
        outer_eye_corners=(36, 45),
        eyes=(tuple(range(36, 42)), tuple(range(42, 48))),
        lips=(tuple(range(48, 60)), tuple(range(60, 68))),
    ),
    "wflw_98": Scheme(
        name="wflw_98",
        points=98,
        mirror=_mirror(98, _PAIRS_98),
        groups={
            "jaw": tuple(range(0, 33)),
            "brows": tuple(range(33, 51)),
            "nose": tuple(range(51, 60)),
            "eyes": (*range(60, 76), 96, 97),
            "mouth": tuple(range(76, 96)),
        },
        outer_eye_corners=(60, 72),
        eyes=((96,), (97,)),
        lips=(tuple(range(76, 88)), tuple(range(88, 96))),
    ),
    "jd_106": Scheme(
        name="jd_106",
        points=106,
        mirror=_mirror(106, _PAIRS_106),
        groups={
            "jaw": tuple(range(0, 33)),
            "brows": tuple(range(33, 51)),
            "nose": tuple(range(51, 66)),
            "eyes": (*range(66, 84), 104, 105),
            "mouth": tuple(range(84, 104)),
        },
        outer_eye_corners=(66, 79),
        eyes=((104,), (105,)),
        lips=(tuple(range(84, 96)), tuple(range(96, 104))),
    ),
}

TRUE_JAW = "300w_68_3d"
"""Name of the scheme of 300W-LP's `pts_3d`, AFLW2000-3D and fitted 3D faces: the 68 points of
`300w_68`, but those of the contour, 0 to 16, lie on the jaw also where it is turned away from the
camera. `300w_68` follows the visible cheek there. Zhu et al., "Face Alignment Across Large Poses",
CVPR 2016; Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment
problem?", ICCV 2017."""

SCHEMES[TRUE_JAW] = replace(SCHEMES["300w_68"], name=TRUE_JAW)


def get_scheme(name: str) -> Scheme:
    """The scheme called `name`. Raises InputError that lists the known ones."""
    if name not in SCHEMES:
        raise InputError(f"Unknown landmark scheme {name!r}. Known: {', '.join(sorted(SCHEMES))}.")
    return SCHEMES[name]
