"""The skin tone of a face in its photo: known colours, every scheme, what is unknown."""

import cv2
import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.face.schemes import SCHEMES, get_scheme
from senet_landmark.face.skin import TONE_NAMES, TONES, skin_tone, tone_classes

SCHEME = get_scheme("mtfl_5")
POINTS = np.array([[40, 40], [80, 40], [60, 60], [45, 90], [75, 90]], float)


def coloured(lightness, red, yellow):
    """120x120 pixels of one colour of CIELAB."""
    lab = np.full((120, 120, 3), (lightness, red, yellow), np.float32)
    return np.round(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("colour", "angle"),
    [((70, 12, 20), 45.0), ((50, 15, 18), 0.0), ((30, 12, 20), -45.0), ((60, 20, -5), 90.0)],
)
def test_known_colours_have_their_angle(colour, angle):
    assert skin_tone(coloured(*colour), POINTS, SCHEME) == pytest.approx(angle, abs=2)


def test_the_lighter_cheek_counts_and_nothing_but_cheeks():
    image = coloured(35, 12, 20)
    image[:, 60:] = coloured(65, 12, 20)[:, 60:]  # lit from one side
    lit = skin_tone(image, POINTS, SCHEME)
    assert lit == pytest.approx(np.degrees(np.arctan2(15, 20)), abs=2)
    for x, y in POINTS.astype(int):
        image[y - 3 : y + 4, x - 3 : x + 4] = 255  # eyes, teeth
    image[100:] = 0
    assert skin_tone(image, POINTS, SCHEME) == lit
    assert skin_tone(image[:, ::-1], (119 - POINTS[:, 0])[:, None] * [1, 0] + POINTS * [0, 1],
                     SCHEME) == pytest.approx(lit, abs=1)  # fmt: skip


def test_of_the_portrait_in_other_light():
    photo, points = portrait()
    scheme = get_scheme("300w_68")
    tones = [skin_tone((photo * light).astype(np.uint8), points, scheme) for light in (1, 0.6, 0.3)]
    assert tones == sorted(tones, reverse=True) and tones[0] > 28 and tones[2] < -20
    small = cv2.resize(photo, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    assert skin_tone(small, (points + 0.5) / 4 - 0.5, scheme) == pytest.approx(tones[0], abs=3)


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_with_eyes_and_mouth(name):
    scheme = SCHEMES[name]
    points = np.full((scheme.points, 2), np.nan)
    for eye, place in zip(scheme.eyes, POINTS[:2], strict=True):
        points[list(eye)] = place
    mouth = list(scheme.groups["mouth"])
    points[mouth] = np.linspace(POINTS[3], POINTS[4], len(mouth))
    assert skin_tone(coloured(70, 12, 20), points, scheme) == pytest.approx(45, abs=2)
    points[list(scheme.eyes[0])] = np.nan
    assert np.isnan(skin_tone(coloured(70, 12, 20), points, scheme))


def test_what_cannot_be_told_is_unknown():
    image = coloured(70, 12, 20)
    assert np.isnan(skin_tone(coloured(70, 0, 0), POINTS, SCHEME))  # a grey photo
    assert np.isnan(skin_tone(image, POINTS + 500, SCHEME))
    assert np.isnan(skin_tone(image, POINTS - 500, SCHEME))
    assert np.isnan(skin_tone(image, np.full((5, 2), np.nan), SCHEME))
    assert np.isnan(skin_tone(image, np.full((5, 2), 50.0), SCHEME))
    assert np.isfinite(skin_tone(image, POINTS / 40, SCHEME))  # a face of a pixel


def test_classes_are_between_their_bounds():
    angles = np.array([np.nan, -90, -30.1, -30, 9.9, 28, 54.9, 55, 90])
    assert tone_classes(angles).tolist() == [-1, 0, 0, 1, 1, 3, 4, 5, 5]
    assert len(TONE_NAMES) == len(TONES) + 1
