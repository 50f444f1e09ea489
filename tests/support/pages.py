"""A browser for the service's page, and what tests do in it as people would."""

import base64
import contextlib
import json

import cv2
import numpy as np

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.export.inference.writers import face_json
from senet_landmark.frozen.models import DEFAULT_MODEL

GREEN = (60, 220, 60)


@contextlib.contextmanager
def opened(browser, url, **options):
    """The page in a window of its own; it may complain of nothing, and ask nobody else."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(30_000)
    complaints, asked = [], []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    page.get_by_label("Model").locator("option").first.wait_for(state="attached")
    try:
        yield page
        # A refused photo is in the browser's own log, too.
        assert not [text for text in complaints if "the server responded with" not in text]
        assert all(one.startswith((url, "blob:", "data:")) for one in asked)
    finally:
        context.close()


def choose(page, *paths):
    page.get_by_label("Choose a photo").set_input_files(paths or portrait_path())


def status(page, text):
    page.get_by_role("status").get_by_text(text, exact=True).wait_for()


def error(page, words):
    page.get_by_role("alert").get_by_text(words).wait_for()


def settled(page):
    page.locator("#stage:not(.busy)").wait_for()


def pixels(page):
    """What the canvas shows, RGB uint8."""
    data = page.evaluate("document.getElementById('canvas').toDataURL('image/png')")
    return rgb(base64.b64decode(data.partition(",")[2]))


def rgb(encoded):
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def green_share(picture, points):
    """The share of points that are drawn: green where they are."""
    columns, rows = np.round(np.asarray(points)).astype(int).T
    return (np.abs(picture[rows, columns].astype(int) - GREEN).max(1) < 60).mean()


def saved(page, button):
    """Name and bytes of what a button saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def downloaded(page):
    name, data = saved(page, "Download JSON")
    return name, json.loads(data)


def expected(models, name=DEFAULT_MODEL, photo=None):
    return [face_json(f) for f in models.predictors[name].predict(photo or portrait_path())]


def write(path, picture):
    cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1]))
    return path


def dispatch(page, kind, *files):
    """Files, (name, bytes), are dropped or pasted."""
    page.evaluate(
        """([kind, files]) => {
          const data = new DataTransfer();
          for (const [name, text] of files) {
            const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
            data.items.add(new File([bytes], name, {type: "image/jpeg"}));
          }
          const options = {bubbles: true, cancelable: true};
          const given = kind === "paste" ? {clipboardData: data} : {dataTransfer: data};
          const made = kind === "paste" ? ClipboardEvent : DragEvent;
          document.body.dispatchEvent(new made(kind, {...options, ...given}));
        }""",
        [kind, [(name, base64.b64encode(data).decode()) for name, data in files]],
    )


def filmed(folder, frames):
    """What the browser's camera shows, over and over."""
    film = folder / "camera.mjpeg"
    film.write_bytes(frames)
    return film


def camera(film):
    """Options with which Chromium's camera is that film, and is allowed."""
    return (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    )
