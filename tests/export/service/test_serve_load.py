"""The service under load: many at once, slow and broken uploads."""

import http.client
import json
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from senet_landmark.export.service.input import Limits
from senet_landmark.frozen.models import DEFAULT_MODEL
from served import (
    FACE,
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

pytestmark = pytest.mark.slow

LIMITS = Limits(megabytes=2, workers=2, queue=60)


@pytest.fixture(scope="module")
def url(models):
    with running(models, LIMITS) as address:
        yield address


def test_forty_at_once_of_which_some_are_bad(url, models):
    expected = {name: faces_of(name, models, FACE) for name in models.predictors}
    bad = [
        ({"content": b"not a photo"}, 422),
        ({"content": PHOTO[:5000]}, 422),
        ({"content": bytes(2_500_000)}, 413),
        ({"params": {"model": "none"}}, 404),
        ({"headers": {"Content-Type": "text/plain"}}, 415),
        ({"content": b""}, 400),
    ]
    names = [DEFAULT_MODEL, NARROW]
    good = [({"params": {"model": names[i % 2]}}, 200) for i in range(40 - len(bad))]
    order = np.random.default_rng(3).permutation(40)
    every = [(bad + good)[i] for i in order]
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda one: ask(url, **{"content": FACE, **one[0]}), every))
    for (request, status), response in zip(every, answers, strict=True):
        assert response.status_code == status, response.text
        if status == 200:
            assert response.json()["faces"] == expected[request["params"]["model"]]
        else:
            assert list(response.json()) == ["error"]


class Gate:
    """A detector that lets nobody through until it is opened, and counts."""

    def __init__(self, find):
        self.find, self.opened, self.lock = find, threading.Event(), threading.Lock()
        self.inside = self.most = self.calls = 0

    def __call__(self, photo):
        if photo.shape[0] == 80:  # what the service warms up with
            return self.find(photo)
        with self.lock:
            self.calls += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.opened.wait(30)
        with self.lock:
            self.inside -= 1
        return self.find(photo)


def wait_until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_work_and_queue_are_bounded(models, portrait_faces):
    gate = Gate(models.detector.find)
    limits = Limits(workers=2, queue=3)
    with running(with_detector(models, gate), limits) as url, ThreadPoolExecutor(9) as pool:
        try:
            asked = [pool.submit(ask, url) for _ in range(9)]
            # Five are taken in, two of them at work; the other four are told to come again.
            wait_until(lambda: sum(future.done() for future in asked) == 4)
            wait_until(lambda: gate.calls == 2)  # refusals may come before both are at work
            for future in filter(lambda future: future.done(), asked):
                assert refused(future.result(), 503, "5 photos")
                assert future.result().headers["Retry-After"] == "1"
            assert httpx.get(f"{url}healthz").status_code == 200
        finally:
            gate.opened.set()
        done = [future.result() for future in asked]
        assert [d.status_code for d in done].count(200) == 5
        assert all(
            d.json()["faces"] == portrait_faces[DEFAULT_MODEL] for d in done if d.status_code == 200
        )
        assert gate.most == 2 and gate.calls == 5
        assert ask(url).status_code == 200  # the places are free again


def raw(url, head, body=b""):
    """A connection on which so much of a request has been sent."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=20)
    lines = ["POST /v1/landmarks HTTP/1.1", f"Host: {parts.netloc}", *head, "", ""]
    connection.sendall("\r\n".join(lines).encode() + body)
    return connection


def test_those_who_went_away_are_not_worked_for(models):
    gate = Gate(models.detector.find)
    with running(with_detector(models, gate), Limits(workers=1, queue=5)) as url:
        with ThreadPoolExecutor(1) as pool:
            try:
                first = pool.submit(ask, url)
                wait_until(lambda: gate.calls == 1)
                head = ["Content-Type: image/jpeg", f"Content-Length: {len(PHOTO)}"]
                for _ in range(5):
                    raw(url, head, PHOTO).close()
            finally:
                gate.opened.set()
            assert first.result().status_code == 200
        assert ask(url).status_code == 200
        assert gate.calls == 2


def test_upload_that_stops_half_way_ends(models):
    """Sent too slowly, or broken off: its place is free afterwards."""
    with running(models, Limits(workers=1, queue=0, seconds=0.3)) as url:
        head = ["Content-Type: image/jpeg", f"Content-Length: {len(PHOTO)}"]
        with raw(url, head, PHOTO[:500]) as connection:
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status == 408 and "0.3 seconds" in json.loads(answer.read())["error"]
        for _ in range(3):
            raw(url, head, PHOTO[:500]).close()
            wait_until(lambda: ask(url, FACE).status_code == 200)


def test_client_that_sends_all_before_it_listens_gets_the_answer(url):
    """As Python's own does: it would see a broken connection, were the rest not taken."""
    for _ in range(3):
        request = urllib.request.Request(f"{url}v1/landmarks", bytes(20_000_000), JPEG)
        with pytest.raises(urllib.error.HTTPError, match="413"):
            urllib.request.urlopen(request, timeout=20)


def test_nothing_is_written(url, portrait_faces, monkeypatch, tmp_path):
    """A form of some size would otherwise go through a temporary file."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(OSError):
        tempfile.mkstemp()
    padded = PHOTO + bytes(1_900_000 - len(PHOTO))  # decoders stop at the photo's end
    answer = ask_form(url, {"photo": ("a.jpg", padded)})
    assert answer.json()["faces"] == portrait_faces[DEFAULT_MODEL]
