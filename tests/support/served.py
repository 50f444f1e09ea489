"""A service that runs while tests ask it, two models for it, and how they ask."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx

from changed_models import write_cropping
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.inference.writers import face_json
from senet_landmark.export.service import app
from senet_landmark.export.service.answer import Models
from senet_landmark.export.service.input import Limits
from senet_landmark.frozen.models import DEFAULT_MODEL
from senet_landmark.io.images import encode_png

NARROW = "narrow"
PHOTO = portrait_path().read_bytes()
FACE = encode_png(portrait()[0][30:240, 120:330])
"""A part of the photo, for what asks often."""
JPEG = {"Content-Type": "image/jpeg"}


@contextlib.contextmanager
def running(models: Models, limits: Limits | None = None, local: bool = True) -> Iterator[str]:
    """The address of a service in a thread, which ends with the block."""
    bound = app.bind("127.0.0.1", 0)
    server = app.make_server(app.make_app(models, limits, local))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield app.address(bound)
    finally:
        server.should_exit = True
        thread.join()


def write_narrow_model(folder: Path) -> Path:
    """The weights that ship, cropped otherwise: it gives other landmarks."""
    return write_cropping(folder / f"{NARROW}.pb", margins=(0.0, 0.05, 0.0, 0.05))


def with_detector(models: Models, find) -> Models:
    """The default model, with a function instead of its detector; `find` takes what it takes."""
    detector = models.detector._replace(find=find, sure_score=None)
    predictor = Predictor(DEFAULT_MODEL, detector=detector)
    return replace(models, predictors={predictor.name: predictor}, detector=detector)


def faces_of(name, models, photo, boxes=None):
    return [face_json(face) for face in models.predictors[name].predict(photo, boxes)]


def ask(url, content=PHOTO, headers=JPEG, **options):
    return httpx.post(f"{url}v1/landmarks", content=content, headers=headers, timeout=60, **options)


def ask_form(url, files, **options):
    return httpx.post(f"{url}v1/landmarks", files=files, timeout=60, **options)


def refused(response, status, *words):
    """Whether the answer is that status and one JSON error with the words."""
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    assert all(word in response.json()["error"] for word in words), response.text
    return True
