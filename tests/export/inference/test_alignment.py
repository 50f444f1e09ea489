"""Upright chips, and the similarity that makes them."""

import cv2
import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.inference import predictor as predictor_module
from senet_landmark.export.inference.align import TEMPLATE
from senet_landmark.face import geometry
from senet_landmark.face.scheme_conversion import convert
from senet_landmark.face.schemes import get_scheme


def test_chip_is_upright_wherever_the_face_is(shipped):
    """Turned, scaled and mirrored in place: the five points are where the template has them."""
    photo, truth = portrait()
    scheme = get_scheme("300w_68")
    middle = truth.mean(0)
    plain = shipped.align(photo, shipped.predict(photo)[0])
    assert plain.shape == (112, 112, 3)
    for angle, scale, size in ((40, 0.8, 112), (-75, 1.3, 224), (180, 1, 64)):
        matrix = cv2.getRotationMatrix2D(tuple(middle.tolist()), angle, scale)
        turned = cv2.warpAffine(photo, matrix, (512, 512))
        box = geometry.box_from_landmarks(geometry.apply(matrix, truth))
        (face,) = shipped.predict(turned, box[None])
        chip = predictor_module.align_face(turned, geometry.apply(matrix, truth), scheme, size)
        assert chip.shape == (size, size, 3)
        own = predictor_module.align_face(photo, truth, scheme, size)
        inner = slice(size // 5, -size // 5)
        difference = np.abs(chip[inner, inner].astype(int) - own[inner, inner]).mean()
        assert difference < 8, (angle, difference)
        del face
    to_template = geometry.similarity_transform(convert(truth, "300w_68", "mtfl_5"), TEMPLATE)
    found = geometry.apply(to_template, convert(truth, "300w_68", "mtfl_5"))
    assert np.abs(found - TEMPLATE).max() < 6  # a face is no template
    with pytest.raises(InputError, match="at least 8 pixels"):
        shipped.align(photo, shipped.predict(photo)[0], 4)


def test_similarity_is_found_exactly():
    generator = np.random.default_rng(1)
    points = generator.normal(0, 30, (7, 2))
    turn = np.array([[1.2, -0.7, 5.0], [0.7, 1.2, -8.0]])
    np.testing.assert_allclose(
        geometry.similarity_transform(points, geometry.apply(turn, points)), turn, atol=1e-9
    )
    # Of a mirrored copy: the best without a mirror, so worse than any small change of it.
    target = points * (-1, 1) + generator.normal(0, 1, points.shape)
    best = geometry.similarity_transform(points, target)

    def error(transform):
        return np.square(geometry.apply(transform, points) - target).sum()

    for change in np.eye(4) * 1e-3:
        a, b, x, y = change
        for sign in (-1, 1):
            other = best + sign * np.array([[a, -b, x], [b, a, y]])
            assert error(other) > error(best)
    with pytest.raises(InputError, match="coincide"):
        geometry.similarity_transform(np.ones((5, 2)), points[:5])
