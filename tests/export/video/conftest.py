"""People, a background, and a predictor whose detector knows the truth."""

import numpy as np
import pytest

from followed import HEIGHT, WIDTH, Watcher
from made_clips import (
    crop_head,
    made_background,
)
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.schemes import get_scheme


@pytest.fixture(scope="module")
def people():
    """Three who look different: the portrait, its mirror image in other colours, and in others."""
    photo, points = portrait()
    mirror = get_scheme("300w_68").mirror_index
    turned = ((photo.shape[1] - 1, 0) + points * (-1, 1))[mirror]
    return [
        crop_head(photo, points),
        crop_head(np.ascontiguousarray(photo[:, ::-1, ::-1]), turned),
        crop_head(np.ascontiguousarray(photo[..., [1, 2, 0]]), points),
    ]


@pytest.fixture(scope="module")
def background():
    return made_background(WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def watcher():
    return Watcher()


@pytest.fixture(scope="module")
def predictor(watcher):
    return Predictor(engine="opencv", detector=watcher)
