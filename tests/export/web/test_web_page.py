"""The folder in a browser, beside the predictor: real photos, turned faces, sizes, the camera."""

import http.server
import itertools
import json
import re
import shutil
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest

from axe import violations
from browsers import chromium
from pages import (
    camera,
    choose,
    dispatch,
    downloaded,
    error,
    filmed,
    green_share,
    opened,
    pixels,
    status,
    write,
)
from schema import check_results
from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.inference.writers import face_json
from senet_landmark.export.web.site import write_site
from senet_landmark.face.geometry import CropSpec, box_from_landmarks, expand
from senet_landmark.frozen.contract import load_contract, save_contract
from senet_landmark.frozen.models import DEFAULT_MODEL, find_model, shipped_models
from senet_landmark.io.images import read_photo
from served import PHOTO
from sites import runtime_files, served_folder
from turned_photos import turned_photo

pytestmark = pytest.mark.slow

TOLERANCE = 0.5
"""Pixels of the photo."""


@pytest.fixture(scope="module")
def predictor():
    return Predictor(DEFAULT_MODEL)


def answered(page, photo, count):
    """The page's answer to a file once it is there."""
    choose(page, photo)
    status(page, f"{count} face{'s' * (count != 1)}.")
    return downloaded(page)[1]


def agrees(page, predictor, photo):
    """The number of a photo's faces, whose landmarks are the predictor's."""
    expected = [face_json(face) for face in predictor.predict(photo)]
    answer = answered(page, photo, len(expected))
    check_results(answer)
    assert answer["image"] == photo.name and len(answer["faces"]) == len(expected)
    for ours, theirs in zip(answer["faces"], expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ("landmarks", "box", "detector_box", "uncertainty", "depth"):
            if name in theirs:
                np.testing.assert_allclose(ours[name], theirs[name], atol=TOLERANCE, err_msg=name)
        for name in ("score", "confidence"):
            assert ours[name] == pytest.approx(theirs[name], abs=0.01)
        for pose in theirs.keys() & {"pose", "pose_3d"}:
            assert ours[pose] == pytest.approx(theirs[pose], abs=1)
        assert ours.get("expression") == pytest.approx(theirs.get("expression"), abs=0.02)
        for name, attribute in theirs.get("attributes", {}).items():
            assert ours["attributes"][name]["class"] == attribute["class"]
    return len(expected)


def test_photos_of_people_get_the_predictors_landmarks(page, predictor, shared_data):
    """HELEN's test photos, groups, profiles, large photos."""
    helen = sorted(shared_data("300w", "helen", "testset").glob("*.jpg"))[::66]
    groups = sorted(shared_data("groups").glob("*.jpg"))
    london = sorted(shared_data("london").glob("*.jpg"))[::50]
    poses = sorted(shared_data("aflw2000_3d").glob("*.jpg"))[::150]
    counts = [agrees(page, predictor, path) for path in (*helen, *groups, *london, *poses)]
    assert sum(counts) > len(counts) > 12


def test_turned_faces_and_other_sizes(page, predictor, tmp_path, shared_data):
    """By any angle, upside down; small in a large photo; a face of 700 pixels."""
    photo, _ = portrait()
    helen = sorted(shared_data("300w", "helen", "testset").glob("*.jpg"))[7]
    paths = []
    for degrees in (35, 90, 180, 250):
        turned, _ = turned_photo(read_photo(helen), np.zeros((1, 2)), degrees)
        paths.append(write(tmp_path / f"{degrees}.png", turned))
    wide = np.full((900, 1600, 3), 90, np.uint8)
    for left, top in ((0, 0), (500, 300), (1080, 380)):
        wide[top : top + 512, left : left + 512] = photo
    paths.append(write(tmp_path / "wide.png", wide))
    face = cv2.resize(photo[30:240, 120:330], (1600, 1600), interpolation=cv2.INTER_CUBIC)
    paths.append(write(tmp_path / "large.png", face))
    counts = [agrees(page, predictor, path) for path in paths]
    assert counts == [1, 1, 1, 1, 3, 1]


@pytest.mark.parametrize("name", shipped_models()[1:])
def test_other_models_give_what_they_predict(browser, tmp_path, name):
    """Attributes, no maps, other outputs: whatever the contract names."""
    out = tmp_path / "page"
    files = ["--out", str(out), "--onnxruntime-web", str(runtime_files())]
    assert main(["convert", "--model", name, "--to", "web", *files]) == 0
    path = write(tmp_path / "turned.png", turned_photo(*portrait(), 40)[0])
    with served_folder(out) as url, opened(browser, url) as page:
        assert agrees(page, Predictor(name), path) == 1


@pytest.mark.parametrize(
    "crop",
    [
        CropSpec((0.0, 0.0, 0.0, 0.0), of="photo"),
        CropSpec((0.2, 0.1, 0.2, 0.15), square=False, clip=True),
    ],
    ids=["photo", "clipped"],
)
def test_other_crops_give_what_they_predict(browser, tmp_path, crop):
    """A model of whole photos, which has no detector; and crops that end at the photo's border."""
    onnx = shutil.copy(find_model(DEFAULT_MODEL).with_suffix(".onnx"), tmp_path / "m.onnx")
    contract = replace(load_contract(find_model(DEFAULT_MODEL)), crop=crop)
    save_contract(onnx, contract)
    site = write_site(onnx, contract, tmp_path / "page", runtime_files())
    photo, points = portrait()
    left, top, right, bottom = expand(box_from_landmarks(points), 0.125).round().astype(int)
    near = photo[top:bottom, left:right] if crop.of == "photo" else photo[:280, 90:360]
    path = write(tmp_path / "face.png", near)
    with served_folder(site.folder) as url, opened(browser, url) as page:
        assert agrees(page, Predictor(onnx), path) == 1


def test_a_given_box_is_looked_into(page, predictor):
    """As one that is dragged, or of the last frame; the answer tells where to look next."""
    photo, points = portrait()
    answer = page.evaluate(
        """async box => {
          const {predictor, answer} = await loading;
          const photo = await pixelsOf(await (await fetch("sample.jpg")).blob());
          return answer(predictor, photo, {places: [{box}], name: "sample.jpg", follow: true});
        }""",
        [*points.min(0).tolist(), *points.max(0).tolist()],
    )
    box = np.concatenate([points.min(0), points.max(0)])[None]
    (expected,) = predictor.predict(photo, box)
    check_results(answer)
    np.testing.assert_allclose(answer["faces"][0]["landmarks"], expected.landmarks, atol=TOLERANCE)
    assert "score" not in answer["faces"][0]
    (follow,) = answer["follow"]
    np.testing.assert_allclose(
        follow["box"], predictor.canonical_box(expected.landmarks), atol=TOLERANCE
    )
    assert follow["roll"] == pytest.approx(predictor.roll(expected.landmarks), abs=1)


def test_photos_that_are_dropped_are_drawn(page):
    dispatch(page, "drop", ("portrait.jpg", PHOTO))
    status(page, "1 face.")
    name, answer = downloaded(page)
    assert name == "portrait_landmarks.json"
    assert green_share(pixels(page), answer["faces"][0]["landmarks"]) == 1
    dispatch(page, "drop", ("notes.txt", b"no photo"))
    error(page, "notes.txt is not a photo that this browser can open")
    status(page, "1 face.")  # the last photo stays


def test_sample_and_rejected_photo(page, tmp_path):
    page.get_by_role("button", name="Try a sample").click()
    status(page, "1 face.")
    choose(page, write(tmp_path / "grey.png", np.full((80, 90, 3), 99, np.uint8)))
    status(page, "No face found.")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_no_serious_violation(browser, site_url, width, scheme):
    viewport = {"width": width, "height": 800}
    with opened(browser, site_url, viewport=viewport, color_scheme=scheme) as page:
        choose(page)
        status(page, "1 face.")
        page.get_by_text("In a page of your own").click()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


# --- nothing leaves the machine ------------------------------------------------------------------


def test_page_can_ask_no_other_server(browser, site_url):
    """Neither by fetch nor by a picture, a script or a form; its own code runs all the same."""
    asked = []

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()

        do_POST = do_GET

    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=other.serve_forever)
    thread.start()
    page = browser.new_page()
    try:
        address = f"http://127.0.0.1:{other.server_port}/"
        page.goto(site_url)
        page.get_by_label("Model").locator("option").first.wait_for(state="attached")
        refused = page.evaluate(
            """async address => {
              const failed = await fetch(address + "fetch").then(() => false, () => true);
              const loads = ["img", "script"].map(kind => new Promise(done => {
                const element = document.createElement(kind);
                element.onload = () => done(false);
                element.onerror = () => done(true);
                element.src = address + kind;
                document.body.append(element);
              }));
              navigator.sendBeacon(address + "beacon", "data");
              return [failed, ...await Promise.all(loads)];
            }""",
            address,
        )
        assert refused == [True, True, True] and asked == []
        page.goto(address + "alive")  # it would have been heard
        assert "/alive" in asked
    finally:
        page.close()
        other.shutdown()
        thread.join()
        other.server_close()


def test_own_files_name_no_address(site):
    for path in [*site.glob("*.js"), *site.glob("*.html"), *site.glob("*.css")]:
        hosts = set(re.findall(r"https?://([^/\s\"'`]+)", path.read_text(encoding="utf-8")))
        assert hosts <= {"127.0.0.1:8000"}, path


# --- a folder that is not whole, or not as it was ------------------------------------------------


def change(site, tmp_path, damage):
    shutil.copytree(site, tmp_path / "page")
    damage(tmp_path / "page")
    return tmp_path / "page"


def edited(name, **values):
    def damage(folder):
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps(content | values), encoding="utf-8")

    return damage


CONTRACT = f"model/{DEFAULT_MODEL}.json"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "page.json").unlink(), "page.json is not beside the page"),
        (lambda folder: (folder / "page.json").write_text("{"), "page.json is no JSON"),
        (edited("page.json", format_version=9), "page.json is of another version"),
        (edited(CONTRACT, format_version=9), f"{CONTRACT} has format version 9, this page reads 1"),
        (edited(CONTRACT, conversions={}), f"{CONTRACT} belongs to another model"),
        (
            edited(CONTRACT, scheme="wflw_98"),
            f"{CONTRACT} has the scheme wflw_98, page.json has 300w_68",
        ),
        (
            lambda folder: (folder / "detector" / "blazeface-short.onnx").unlink(),
            "detector/blazeface-short.onnx is not beside the page. Copy the whole folder.",
        ),
    ],
    ids=["no_settings", "no_json", "version", "contract", "digest", "scheme", "no_detector"],
)
def test_what_is_wrong_with_a_folder_is_told(browser, site, tmp_path, damage, words):
    with served_folder(change(site, tmp_path, damage)) as url:
        page = browser.new_page()
        page.goto(url)
        error(page, words)
        page.close()


def test_page_of_a_file_says_how_to_serve_it(browser, site):
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    error(page, "python3 -m http.server 8000")
    page.close()


# --- the camera ----------------------------------------------------------------------------------


def test_camera_follows_a_face_and_finds_it_again(driver, site_url, predictor, tmp_path, capsys):
    """A second of the portrait, then half a second of grey, over and over."""
    grey = cv2.imencode(".jpg", np.full((512, 512, 3), 128, np.uint8))[1].tobytes()
    film = filmed(tmp_path, PHOTO * 30 + grey * 15)
    truth = predictor.predict(PHOTO)[0].landmarks
    with chromium(driver, *camera(film)) as browser, opened(browser, site_url) as page:
        page.evaluate(
            """() => {
              window.seen = [];
              const before = ask;
              window.ask = async (...given) => {
                const answer = await before(...given), [face] = answer.faces;
                const now = performance.now();
                seen.push([given[2].length, answer.faces.length, face?.landmarks, now]);
                return answer;
              };
            }"""
        )
        page.get_by_role("button", name="Use the camera").click()
        page.wait_for_function(
            """() => seen.some(([given, found]) => given && found) &&
              seen.some(([given, found]) => !given && !found) && seen.length > 20""",
            timeout=120_000,
        )
        page.get_by_role("button", name="Stop the camera").click()
        status(page, "The camera is off.")
        seen = page.evaluate("seen")
    span = (seen[-1][3] - seen[5][3]) / 1000
    with capsys.disabled():
        print(f"\nThe camera in the browser: {(len(seen) - 6) / span:.1f} frames a second "
              "(20 or more on an idle machine)")  # fmt: skip
    for (_, found, *_), (given, *_) in itertools.pairwise(seen):
        assert not (given and not found)  # after a frame without a face the detector looks
    followed = [np.array(points) for given, found, points, _ in seen if given and found]
    errors = [np.linalg.norm(points - truth, axis=1).mean() for points in followed]
    assert np.median(errors) < 1.5  # the camera's video is not the photo, pixel by pixel
