"""`measure_photos`: real detectors and a real model; no figure of time is asserted."""

import numpy as np
import pytest

from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.detectors.registry import DETECTORS
from senet_landmark.errors import InputError
from senet_landmark.export.speed import whole_photo
from senet_landmark.export.speed.whole_photo import measure_photos, photo_table
from senet_landmark.face.geometry import shrink
from senet_landmark.frozen.models import find_model
from senet_landmark.io.images import write_picture


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with a face and a photo without one."""
    folder = tmp_path_factory.mktemp("photos")
    write_picture(folder / "a.png", shrink(portrait()[0], 400)[0])
    write_picture(folder / "b.png", np.full((150, 200, 3), 128, np.uint8))
    return folder


@pytest.fixture(scope="module")
def measured(photos):
    """In a process of its own, as `bench` does it."""
    return measure_photos([find_model("senet-68-small")], [photos], 1)


def test_every_detector_that_can_run_is_measured(measured):
    assert measured["photos"] == 2 and measured["sides"] == [200, whole_photo.SIDE]
    (model,) = measured["models"]
    assert model["model"] == "senet-68-small" and set(model["detectors"]) == set(DETECTORS)
    for name in ("blazeface", "dlib"):
        figures = model["detectors"][name]
        assert figures["faces"] == 1  # of two photos
        assert figures["ms"] > 0 and figures["detection"] > 0 and figures["cpu"] > 0
    for name in ("dlib_cnn", "yunet"):
        assert "needs --detector-model" in model["detectors"][name]["error"]


def test_ratios_are_of_the_figures_beside_them(measured):
    detectors = measured["models"][0]["detectors"]
    others = {f"over_{name}": peer.get("ms") for name, peer in measured["peers"].items()}
    others["over_detector_dlib"] = detectors["dlib"]["ms"]
    for figures in (detectors["blazeface"], detectors["dlib"]):
        assert {key for key in figures if key.startswith("over_")} == {
            title for title, ms in others.items() if ms
        }
        for title, ms in others.items():
            if ms:
                assert figures[title] == pytest.approx(figures["ms"] / ms, abs=1e-3)


def test_peers_are_measured_or_say_why_not(measured):
    assert set(measured["peers"]) == {"mediapipe", "dlib"}
    for peer in measured["peers"].values():
        assert "Get it" in str(peer) or "Install" in str(peer) or peer["faces"] == 1


def test_table_has_a_line_for_each_that_ran(measured):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines_of(measured)]
    ran = [peer for peer in measured["peers"].values() if "error" not in peer]
    assert [row[1] for row in rows[2 + len(ran) :]] == ["BlazeFace", "dlib's HOG detector"]
    assert len({len(row) for row in rows}) == 1
    assert rows[-1][-1] == "1 in 2"


def lines_of(result):
    return photo_table(result).splitlines()


def test_every_photo_is_run_equally_often(monkeypatch):
    """Also where there are fewer rounds than photos; and photos stay as they are on request."""
    runs = []

    def count(predictor, photo):
        runs.append(photo.shape)
        return 1

    monkeypatch.setattr(whole_photo, "_predict", count)
    monkeypatch.setattr(whole_photo, "_detect", lambda predictor, photo: 0)
    monkeypatch.setattr(whole_photo, "DETECTORS", {"blazeface": DETECTORS["blazeface"]})
    photos = [np.zeros((20, side, 3), np.uint8) for side in (30, 40, 50)]
    result = whole_photo._measure([find_model("senet-68-small")], photos, 4, {}, None)
    # Once for the number of faces, then twice in each of two rounds.
    assert [runs.count(photo.shape) for photo in photos] == [5, 5, 5]
    assert result["models"][0]["detectors"]["blazeface"]["faces"] == 3
    assert result["sides"] == [30, 50]


def test_bad_input_is_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="Unknown detectors"):
        measure_photos([find_model()], [], 1, detector_models={"hog": tmp_path})
    (tmp_path / "a.jpg").write_bytes(b"no photo")
    with pytest.raises(InputError, match=r"a\.jpg"):
        measure_photos([find_model()], [tmp_path], 1)
    assert main(["bench", "--detector-models", "yunet", "--out", str(tmp_path / "out")]) == 2
    assert "DETECTOR=FILE" in capsys.readouterr().err
