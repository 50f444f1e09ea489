"""The service, asked over HTTP as a program would: answers, and every kind of bad input."""

import http.client
import io
import itertools
import json
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image

from schema import check_results
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.page.lines import LINES
from senet_landmark.export.service.input import Limits
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.face.schemes import SCHEMES
from senet_landmark.frozen.models import DEFAULT_MODEL
from senet_landmark.io.images import encode_png
from served import (
    JPEG,
    NARROW,
    PHOTO,
    ask,
    ask_form,
    faces_of,
    refused,
    running,
    with_detector,
)

LIMITS = Limits(megabytes=2, megapixels=20, workers=2, queue=60, seconds=1)


@pytest.fixture(scope="module")
def url(models):
    with running(models, LIMITS) as address:
        yield address


def test_answer_is_the_predictors(url, portrait_faces):
    answer = ask(url).json()
    check_results(answer)
    assert {"engine", "milliseconds"} <= set(answer) and "follow" not in answer
    assert (answer["image"], answer["width"], answer["height"]) == (None, 512, 512)
    assert (answer["model"], answer["scheme"]) == (DEFAULT_MODEL, "300w_68")
    assert answer["faces"] == portrait_faces[DEFAULT_MODEL]
    times = answer["milliseconds"]
    assert all(value > 0 for value in times.values())
    parts = times["decode"] + times["detect"] + times["landmarks"]
    assert times["total"] == pytest.approx(parts, abs=0.01)
    found = np.array(answer["faces"][0]["landmarks"])
    truth = portrait()[1]
    eyes = np.linalg.norm(truth[36] - truth[45])
    assert np.linalg.norm(found - truth, axis=1).mean() < 0.06 * eyes


def test_photo_comes_in_any_of_the_forms(url, portrait_faces):
    faces = portrait_faces[DEFAULT_MODEL]
    assert ask(url, headers={"Content-Type": "application/octet-stream"}).json()["faces"] == faces
    assert ask(url, headers={}).json()["faces"] == faces
    assert ask(url, iter([PHOTO[:1000], PHOTO[1000:]])).json()["faces"] == faces  # chunked
    form = {"photo": ("a.jpg", PHOTO, "image/jpeg"), "other": ("b.txt", b"left alone")}
    assert ask_form(url, form).json()["faces"] == faces
    png = encode_png(portrait()[0])
    assert ask(url, png, {"Content-Type": "image/png"}).json()["faces"] == faces


def test_model_and_boxes_are_the_askers_choice(url, models, portrait_faces):
    answer = ask(url, params={"model": NARROW}).json()
    assert answer["model"] == NARROW and answer["faces"] == portrait_faces[NARROW]
    assert portrait_faces[NARROW] != portrait_faces[DEFAULT_MODEL]
    boxes = np.round([box_from_landmarks(portrait()[1]), [60, 60, 180, 200]], 1)
    narrow, default = (
        np.array([face["landmarks"] for face in faces_of(name, models, PHOTO, boxes)])
        for name in (NARROW, DEFAULT_MODEL)
    )
    assert np.abs(narrow - default).max() > 1  # the two models can be told apart
    text = ";".join(",".join(map(str, box)) for box in boxes)
    answer = ask(url, params={"boxes": text}).json()
    assert answer["faces"] == faces_of(DEFAULT_MODEL, models, PHOTO, boxes)
    assert len(answer["faces"]) == 2 and "score" not in answer["faces"][0]


def test_faces_of_a_video_are_followed(url, models):
    """The answer says where to look in the next frame; there the detector has nothing to do."""
    first = ask(url, params={"follow": "true"}).json()
    (place,) = first["follow"]
    predictor = models.predictors[DEFAULT_MODEL]
    landmarks = np.array(first["faces"][0]["landmarks"], np.float32)
    assert place["box"] == pytest.approx(predictor.canonical_box(landmarks), abs=0.02)
    assert place["roll"] == pytest.approx(predictor.roll(landmarks), abs=0.1)
    given = {"boxes": ",".join(map(str, place["box"])), "roll": str(place["roll"])}
    second = ask(url, params={"follow": "true", **given}).json()
    assert "score" not in second["faces"][0] and "score" in first["faces"][0]
    assert second["follow"][0]["box"] == pytest.approx(place["box"], abs=5)
    nothing = ask(url, params={"follow": "true", "boxes": "380,380,500,500"}).json()
    assert nothing["follow"] == [None] and nothing["faces"][0]["confidence"] < 0.5


def test_roll_of_a_box_turns_its_crop(url, models):
    """A face that lies on its side, with its roll or without."""
    lying = encode_png(np.ascontiguousarray(np.rot90(portrait()[0], -1)))
    truth = portrait()[1]
    turned = np.stack([511 - truth[:, 1], truth[:, 0]], 1)  # by a quarter, clockwise
    box = box_from_landmarks(turned)
    text = ",".join(f"{edge:.1f}" for edge in box)
    eyes = np.linalg.norm(truth[36] - truth[45])
    for roll in ("90", "", "nan"):
        answer = ask(url, lying, params={"boxes": text, "roll": roll, "follow": "true"}).json()
        found = np.array(answer["faces"][0]["landmarks"])
        assert np.linalg.norm(found - turned, axis=1).mean() < 0.08 * eyes
        assert abs(answer["follow"][0]["roll"] - 90) < 25


@pytest.mark.parametrize("roll", ["a", "1;2", "1e9", "inf", ";"])
def test_bad_rolls_are_refused(url, roll):
    assert refused(ask(url, params={"boxes": "9,9,99,99", "roll": roll}), 422, "roll takes")


def test_roll_without_boxes_is_refused(url):
    assert refused(ask(url, params={"roll": "10"}), 422, "roll takes")


def test_models_are_listed(url, models):
    answer = httpx.get(f"{url}v1/models").json()
    assert answer["default"] == DEFAULT_MODEL
    assert answer["limits"] == {"megabytes": 2, "megapixels": 20}
    first, second = answer["models"]
    contract = models.predictors[DEFAULT_MODEL].contract
    assert [first["name"], second["name"]] == [DEFAULT_MODEL, NARROW]
    assert (first["scheme"], first["points"]) == ("300w_68", 68)
    assert first["engine"] == models.predictors[DEFAULT_MODEL].engine
    assert first["network"] == contract.network and first["licence"] == contract.licence
    assert first["input"] == {"width": contract.size[0], "height": contract.size[1]}
    assert [tuple(line) for line in first["lines"]] == list(LINES["300w_68"])
    assert httpx.get(f"{url}healthz").json() == {"status": "ok"}
    assert "/v1/landmarks" in httpx.get(f"{url}openapi.json").json()["paths"]


@pytest.mark.parametrize("name", LINES)
def test_lines_are_of_their_scheme(name):
    """Each line is within a part of the face, and a mirrored face has the same lines."""
    scheme = SCHEMES[name]
    parts = [set(part) for part in scheme.groups.values()]
    assert all(any(set(line) <= part for part in parts) for line in LINES[name])
    edges = {frozenset(edge) for line in LINES[name] for edge in itertools.pairwise(line)}
    assert {frozenset(scheme.mirror[i] for i in edge) for edge in edges} == edges


# ---- bad input


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"", JPEG, 400, ["No photo"]),
        (b"", {}, 400, ["No photo"]),
        (b"not a photo at all", JPEG, 422, ["does not decode"]),
        (PHOTO[: len(PHOTO) // 2], JPEG, 422, ["cut off"]),
        (encode_png(portrait()[0])[:90_000], JPEG, 422, ["does not decode"]),
        (PHOTO, {"Content-Type": "text/plain"}, 415, ["text/plain", "image/jpeg"]),
        (b"{}", {"Content-Type": "application/json"}, 415, ["application/json"]),
        (PHOTO, {**JPEG, "Content-Encoding": "gzip"}, 415, ["Content-Encoding"]),
        (bytes(2_500_000), JPEG, 413, ["2 MB"]),
        (b"--x\r\n\r\n", {"Content-Type": "multipart/form-data"}, 400, ["form"]),
        (b"no form", {"Content-Type": "multipart/form-data; boundary=x"}, 400, ["form"]),
    ],
)
def test_bad_body_is_told_of(url, content, headers, status, words):
    assert refused(ask(url, content, headers), status, *words)


def test_body_of_no_known_length_is_limited_too(url):
    pieces = (bytes(100_000) for _ in range(40))
    assert refused(ask(url, pieces), 413, "2 MB")


@pytest.mark.parametrize(
    ("files", "status", "word"),
    [
        ({"picture": ("a.jpg", PHOTO)}, 400, "No photo"),
        ({"photo": (None, "a text")}, 422, "does not decode"),
        ({"photo": ("a.jpg", b"")}, 400, "No photo"),
        ({"photo": ("a.jpg", bytes(2_010_000))}, 413, "2 MB"),
        ([("photo", ("a.jpg", PHOTO)), ("photo", ("b.jpg", PHOTO))], 400, "several"),
        ([(f"part{i}", ("a", b"a")) for i in range(40)], 400, "fields"),
    ],
)
def test_bad_form_is_told_of(url, files, status, word):
    assert refused(ask_form(url, files), status, word)


def test_form_that_is_cut_off_is_told_of(url):
    request = httpx.Request("POST", url, files={"photo": ("a.jpg", PHOTO)})
    body = request.read()[:-30_000]
    headers = {"Content-Type": request.headers["Content-Type"]}
    assert refused(ask(url, body, headers), 400, "No photo")


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"model": "senet"}, 404, ["'senet'", DEFAULT_MODEL, NARROW]),
        ({"model": "../../etc/passwd"}, 404, ["Unknown model"]),
        ({"boxes": "1,2,3"}, 422, ["left,top,right,bottom"]),
        ({"boxes": "a,b,c,d"}, 422, ["left,top,right,bottom"]),
        ({"boxes": ""}, 422, ["left,top,right,bottom"]),
        ({"boxes": "10,10,5,50"}, 422, ["10,10,5,50"]),
        ({"boxes": "600,600,700,700"}, 422, ["512x512"]),
        ({"boxes": "nan,0,100,100"}, 422, ["nan"]),
        ({"boxes": "0,0,1e300,1e300"}, 422, ["1e+300"]),
        ({"boxes": ";".join(["0,0,9,9"] * 101)}, 422, ["at most 100"]),
    ],
)
def test_bad_query_is_told_of(url, query, status, words):
    assert refused(ask(url, params=query), status, *words)


def test_bomb_is_refused_before_it_is_decoded(url, monkeypatch):
    """It is a real one: 4 kB that decode to 25 megapixels."""
    stream = io.BytesIO()
    Image.new("L", (5000, 5000)).save(stream, "PNG")
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("the pixels were decoded"))
    assert refused(ask(url, stream.getvalue()), 422, "5000x5000", "20 megapixels")


def test_format_whose_size_is_unknown_is_refused_before_it_is_decoded(url, monkeypatch):
    data = cv2.imencode(".hdr", np.ones((20, 30, 3), np.float32))[1].tobytes()
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("the pixels were decoded"))
    assert refused(ask(url, data), 422, "does not decode")


def test_animation_is_refused(url):
    frames = [Image.fromarray(portrait()[0][:64, i : i + 64]) for i in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    assert refused(ask(url, stream.getvalue()), 422, "3 frames")


def test_photo_of_one_pixel_has_no_face(url):
    answer = ask(url, encode_png(np.zeros((1, 1, 3), np.uint8))).json()
    assert (answer["width"], answer["height"]) == (1, 1) and answer["faces"] == []


def test_other_paths_and_methods_are_json_errors_too(url):
    assert refused(httpx.get(f"{url}v1/landmarks"), 405)
    assert refused(httpx.get(f"{url}nothing"), 404)


@pytest.mark.parametrize(
    "path", ["/../setup.py", "/..%2fsetup.py", "/templates/serve.html", "//etc/passwd", "/export/"]
)
def test_no_file_is_to_be_had(url, path):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", path)  # as it is; httpx would tidy it
    response = connection.getresponse()
    assert response.status == 404 and list(json.loads(response.read())) == ["error"]


def test_failure_of_one_photo_is_nobody_elses(models):
    def find(photo):
        if photo.shape[0] == 1:
            raise RuntimeError("a fault of ours")
        return models.detector.find(photo)

    with running(with_detector(models, find), LIMITS) as url:
        first = ask(url).json()["faces"]
        assert refused(ask(url, encode_png(np.zeros((1, 1, 3), np.uint8))), 500, "log")
        assert ask(url).json()["faces"] == first != []


# ---- who may ask


def test_foreign_pages_are_refused(url):
    origin = url.rstrip("/")
    for name in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""):
        assert refused(httpx.get(f"{url}v1/models", headers={"Host": name}), 403, "local")
    for sender in ("http://evil.example", "null", "http://127.0.0.1:1"):
        response = ask(url, headers={**JPEG, "Origin": sender})
        assert refused(response, 403, sender)
        assert not [name for name in response.headers if name.startswith("access-control")]
    preflight = httpx.options(f"{url}v1/landmarks", headers={"Origin": "http://evil.example"})
    assert refused(preflight, 403)
    own = ask(url, headers={**JPEG, "Origin": origin})
    assert own.status_code == 200
    assert own.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not [name for name in own.headers if name.startswith("access-control")]
    port = urlsplit(url).port
    for name in (f"localhost:{port}", f"[::1]:{port}"):
        assert httpx.get(f"{url}healthz", headers={"Host": name}).status_code == 200


def test_service_for_others_answers_to_any_name(models):
    with running(models, LIMITS, local=False) as url:
        assert httpx.get(f"{url}healthz", headers={"Host": "faces.example"}).status_code == 200
        own = {"Host": "faces.example", "Origin": "http://faces.example"}
        assert httpx.get(f"{url}healthz", headers=own).status_code == 200
        foreign = {"Host": "faces.example", "Origin": "http://evil.example"}
        assert refused(httpx.get(f"{url}healthz", headers=foreign), 403)
