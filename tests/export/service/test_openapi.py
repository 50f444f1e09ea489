"""`/openapi.json` says what is really answered, the errors too."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import jsonschema
import numpy as np
import pytest

from schema import check_results
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.service.input import Limits
from senet_landmark.io.images import encode_png
from served import FACE, JPEG, PHOTO, ask, ask_form, running, with_detector

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url(models):
    def find(photo):
        if photo.shape[0] == 1:
            raise RuntimeError("a fault of ours")
        return models.detector.find(photo)

    with running(with_detector(models, find), Limits(megabytes=1, queue=1)) as address:
        yield address


def check_answer(url, response):
    """Fails if the answer is not one that the document has for this path and status."""
    document = httpx.get(f"{url}openapi.json").json()
    method = document["paths"][response.request.url.path][response.request.method.lower()]
    content = method["responses"][str(response.status_code)]["content"]
    schema = content[response.headers["content-type"]]["schema"]
    whole = {**schema, "components": document["components"]}
    jsonschema.validate(response.json(), whole, jsonschema.Draft202012Validator)


def test_answers_are_as_the_document_says(url):
    for path in ("healthz", "v1/models"):
        check_answer(url, httpx.get(f"{url}{path}"))
        refused = httpx.get(f"{url}{path}", headers={"Host": "evil.example"})
        assert refused.status_code == 403
        check_answer(url, refused)
    for params in ({}, {"follow": "true"}, {"boxes": "173,85,275,176", "roll": "3", "name": "a"}):
        response = ask(url, params=params)
        assert response.status_code == 200
        check_answer(url, response)
        check_results(response.json())
        assert response.json()["image"] == params.get("name")
    lost = ask(url, params={"follow": "true", "boxes": "380,380,500,500"})
    assert lost.json()["follow"] == [None]
    check_answer(url, lost)


def test_picture_has_the_name_that_was_sent(url):
    assert ask_form(url, {"photo": ("a ü.jpg", FACE)}).json()["image"] == "a ü.jpg"
    named = ask_form(url, {"photo": ("a.jpg", FACE)}, params={"name": "b/c.jpg"}).json()
    assert named["image"] == "b/c.jpg"
    check_results(named)


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (400, {"content": b""}),
        (403, {"headers": {**JPEG, "Origin": "http://evil.example"}}),
        (404, {"params": {"model": "other"}}),
        (413, {"content": bytes(1_100_000)}),
        (415, {"headers": {"Content-Type": "text/plain"}}),
        (422, {"content": PHOTO[:9000]}),
        (422, {"params": {"follow": "perhaps"}}),
        (422, {"params": {"boxes": "1"}}),
        (500, {"content": encode_png(np.zeros((1, 1, 3), np.uint8))}),
    ],
)
def test_errors_are_as_the_document_says(url, status, options):
    response = ask(url, **options)
    assert response.status_code == status
    check_answer(url, response)


def test_slow_and_busy_are_as_the_document_says(models):
    def pieces():
        yield PHOTO[:100]
        blocker.wait(5)
        yield PHOTO[100:]

    blocker, photo = threading.Event(), encode_png(portrait()[0])
    # So long that a busy machine, too, asks while the upload holds the only place.
    with running(models, Limits(workers=1, queue=0, seconds=3)) as url, ThreadPoolExecutor() as one:
        for _ in range(10):
            slow = one.submit(ask, url, pieces())
            while (busy := ask(url, photo)).status_code != 503 and not slow.done():
                pass
            codes = (busy.status_code, slow.result().status_code)
            if codes != (200, 503):  # else a photo came first, and the upload was refused
                break
    assert codes == (503, 408)
