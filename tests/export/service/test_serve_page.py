"""The service's page in a real browser: a photo, a camera, bad files, no help from elsewhere."""

import base64
import contextlib
import json
import re
import shutil
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.export.inference.writers import face_json
from senet_landmark.export.service.input import Limits
from senet_landmark.frozen.models import DEFAULT_MODEL
from served import NARROW, running, with_detector

pytestmark = pytest.mark.slow

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs Playwright (pip install playwright)"
)

GREEN = (60, 220, 60)
SYSTEM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def url(models):
    with running(models, Limits(megabytes=2)) as address:
        yield address


@pytest.fixture(scope="module")
def driver():
    with playwright.sync_playwright() as started:
        yield started


@contextlib.contextmanager
def chromium(driver, *options):
    """Playwright's own Chromium or that of the system; skips the test where there is neither."""
    own = driver.chromium.executable_path
    path = own if Path(own).exists() else next(filter(None, map(shutil.which, SYSTEM)), None)
    if path is None:
        pytest.skip("needs Chromium: `playwright install chromium`, or the system's package")
    browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", *options])
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture(scope="module")
def browser(driver):
    with chromium(driver) as started:
        yield started


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


@pytest.fixture
def page(browser, url):
    with opened(browser, url) as window:
        yield window


def choose(page, path=None):
    page.get_by_label("Choose a photo").set_input_files(path or portrait_path())


def status(page, text):
    page.get_by_role("status").get_by_text(text, exact=True).wait_for()


def error(page, words):
    page.get_by_role("alert").get_by_text(words).wait_for()


def pixels(page):
    """What the canvas shows, RGB uint8."""
    data = page.evaluate("document.getElementById('canvas').toDataURL('image/png')")
    png = base64.b64decode(data.partition(",")[2])
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def green_share(picture, points):
    """The share of points that are drawn: green where they are."""
    columns, rows = np.round(np.asarray(points)).astype(int).T
    return (np.abs(picture[rows, columns].astype(int) - GREEN).max(1) < 60).mean()


def downloaded(page):
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    return download.value.suggested_filename, json.loads(download.value.path().read_text())


def expected(models, name=DEFAULT_MODEL, photo=None):
    return [face_json(f) for f in models.predictors[name].predict(photo or portrait_path())]


def test_photo_is_shown_with_its_points_and_figures(page, models):
    choose(page)
    status(page, "1 face.")
    picture = pixels(page)
    assert picture.shape == (512, 512, 3)
    (face,) = expected(models)
    assert green_share(picture, face["landmarks"]) == 1
    assert green_share(portrait()[0], face["landmarks"]) == 0
    away = np.abs(picture[300:].astype(int) - portrait()[0][300:])
    assert away.mean() < 3  # the photo itself, where no point is
    left, top, right, _ = np.round(face["box"]).astype(int)
    assert np.abs(picture[top, (left + right) // 2].astype(int) - (250, 210, 40)).max() < 80
    table = page.get_by_role("table", name="The face")
    for name, value, unit, digits in [
        ("yaw", face["pose"]["yaw"], "°", 1),
        ("roll", face["pose"]["roll"], "°", 1),
        ("is a face", 100 * face["confidence"], "%", 1),
        ("detector's score", face["score"], "", 2),
    ]:
        row = table.get_by_role("row", name=re.compile(f"^{name}"))
        text = row.inner_text().split("\t")[1]
        assert re.fullmatch(rf"-?\d+\.\d{{{digits}}}{unit}", text)
        # A half is rounded up there and to the even digit here.
        assert float(text.removesuffix(unit)) == pytest.approx(value, abs=0.501 / 10**digits)
    times = page.get_by_role("table", name="Milliseconds")
    rows = dict(line.split("\t") for line in times.inner_text().splitlines() if "\t" in line)
    assert list(rows)[:3] == ["decoding", "finding faces", "landmarks"]
    assert float(rows["seen from this page"]) >= float(rows["all of that"]) > 0
    assert page.get_by_role("img", name="portrait.jpg: 1 face").is_visible()


def test_answer_is_to_be_had_as_a_file(page, models):
    choose(page)
    status(page, "1 face.")
    name, answer = downloaded(page)
    assert name == "portrait_landmarks.json"
    assert answer["faces"] == expected(models) and answer["model"] == DEFAULT_MODEL


def test_other_model_answers_anew(page, models):
    choose(page)
    status(page, "1 face.")
    with page.expect_request_finished(lambda request: NARROW in request.url):
        page.get_by_label("Model").select_option(NARROW)
    page.get_by_text(f"{NARROW}: network senet").wait_for()
    status(page, "1 face.")
    page.locator("#stage:not(.busy)").wait_for()
    _, answer = downloaded(page)
    assert answer["model"] == NARROW and answer["faces"] == expected(models, NARROW)
    assert green_share(pixels(page), answer["faces"][0]["landmarks"]) == 1


def test_lines_and_boxes_can_be_hidden(page):
    choose(page)
    status(page, "1 face.")
    whole = pixels(page).astype(int)
    page.get_by_label("boxes").uncheck()
    without_box = pixels(page).astype(int)
    page.get_by_label("lines").uncheck()
    dots = pixels(page).astype(int)
    (face,) = downloaded(page)[1]["faces"]
    left, top, right, bottom = np.round(face["box"]).astype(int)
    box = np.abs(whole - without_box).max(2) > 20
    assert box[top, left:right].mean() > 0.8 and box[top:bottom, right].mean() > 0.8
    lines = np.abs(without_box - dots).max(2) > 20
    jaw = np.round(np.array(face["landmarks"][:17])).astype(int)
    middles = (jaw[1:] + jaw[:-1]) // 2
    around = [lines[y - 1 : y + 2, x - 1 : x + 2].any() for x, y in middles]
    assert np.mean(around) > 0.8
    assert green_share(dots, face["landmarks"]) == 1


def dispatch(page, kind, data, name="dropped.jpg", mime="image/jpeg"):
    """A file is dropped or pasted."""
    page.evaluate(
        """([kind, text, name, type]) => {
          const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], name, {type}));
          const options = {bubbles: true, cancelable: true};
          const given = kind === "paste" ? {clipboardData: data} : {dataTransfer: data};
          const made = kind === "paste" ? ClipboardEvent : DragEvent;
          document.body.dispatchEvent(new made(kind, {...options, ...given}));
        }""",
        [kind, base64.b64encode(data).decode(), name, mime],
    )


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_photo_is_dropped_or_pasted(page, models, kind):
    dispatch(page, kind, portrait_path().read_bytes())
    status(page, "1 face.")
    name, answer = downloaded(page)
    assert name == "dropped_landmarks.json" and answer["faces"] == expected(models)


def test_photo_that_the_camera_held_sideways_is_shown_upright(page, tmp_path):
    """The photo is stored turned; points and picture must agree."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # turn it clockwise
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(portrait()[0][:, 50:])))
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    choose(page, tmp_path / "turned.jpg")
    status(page, "1 face.")
    _, answer = downloaded(page)
    assert answer["image"] == {"width": 462, "height": 512}
    picture = pixels(page)
    assert green_share(picture, answer["faces"][0]["landmarks"]) == 1
    assert np.abs(picture[300:].astype(int) - portrait()[0][300:, 50:]).mean() < 4


def test_large_photo_is_shown_smaller(page, tmp_path):
    photo = np.full((3000, 2000, 3), 90, np.uint8)
    photo[1000:1512, 700:1212] = portrait()[0]
    path = tmp_path / "large.jpg"
    cv2.imwrite(str(path), photo[..., ::-1])
    choose(page, path)
    status(page, "1 face.")
    picture = pixels(page)
    assert picture.shape == (1600, 1067, 3)
    _, answer = downloaded(page)
    points = (np.array(answer["faces"][0]["landmarks"]) + 0.5) * 1600 / 3000 - 0.5
    assert green_share(picture, points) > 0.9


def test_photo_without_a_face_and_then_one_with_several(page, tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((80, 90, 3), 99, np.uint8))
    choose(page, tmp_path / "grey.png")
    status(page, "No face found.")
    assert not page.get_by_role("table", name="The face").is_visible()
    face = portrait()[0][30:240, 120:330]
    cv2.imwrite(str(tmp_path / "two.png"), np.hstack([face, face[:, ::-1]])[..., ::-1])
    choose(page, tmp_path / "two.png")
    status(page, "2 faces.")
    heads = page.get_by_role("table", name="Faces").get_by_role("columnheader")
    assert heads.all_inner_texts()[-2:] == ["1", "2"]


def test_what_the_model_takes_for_no_face_is_grey(browser, models):
    """The detector is given a second finding, on the astronaut's suit."""

    def find(photo):
        boxes, scores, _ = models.detector.find(photo)
        return np.vstack([boxes, [[180, 330, 280, 430]]]), np.append(scores, 0.1)

    with running(with_detector(models, find)) as url, opened(browser, url) as page:
        choose(page)
        status(page, "1 face, and 1 more that the model rejects.")
        picture, (face, other) = pixels(page), downloaded(page)[1]["faces"]
    assert other["confidence"] < 0.5 < face["confidence"]
    assert green_share(picture, face["landmarks"]) == 1
    assert green_share(picture, other["landmarks"]) == 0
    columns, rows = np.round(np.array(other["landmarks"])).astype(int).T
    assert (np.abs(picture[rows, columns].astype(int) - 160).max(1) < 40).mean() > 0.9


def test_errors_are_shown_in_their_place_and_then_go(page, tmp_path):
    (tmp_path / "notes.txt").write_text("not a photo")
    (tmp_path / "cut.jpg").write_bytes(portrait_path().read_bytes()[:20_000])
    (tmp_path / "huge.jpg").write_bytes(bytes(3_000_000))
    for name, words in [
        ("notes.txt", "text/plain is no photo"),
        ("cut.jpg", "is cut off"),
        ("huge.jpg", "3.0 MB; at most 2"),
    ]:
        choose(page, tmp_path / name)
        error(page, words)
        assert page.get_by_role("button", name="Download JSON").is_disabled()
        assert not page.locator("#canvas").is_visible()
    choose(page)
    status(page, "1 face.")
    assert page.get_by_role("alert").inner_text() == ""


def test_format_that_the_browser_cannot_show_has_its_points(page, tmp_path):
    path = tmp_path / "photo.tiff"
    cv2.imwrite(str(path), portrait()[0][..., ::-1])
    choose(page, path)
    error(page, "cannot show the photo")
    _, answer = downloaded(page)
    assert green_share(pixels(page), answer["faces"][0]["landmarks"]) == 1


def test_names_of_files_are_no_html(page):
    """They come from wherever the file is from."""
    dispatch(page, "drop", portrait_path().read_bytes(), "<img src=x onerror=alert(1)>.jpg")
    status(page, "1 face.")
    assert page.locator("main img").count() == 0


def test_service_that_has_gone_is_told_of(browser, models):
    with running(models) as url:
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        page.get_by_label("Model").locator("option").first.wait_for(state="attached")
    choose(page)
    error(page, "does not answer")
    context.close()


def test_page_of_another_site_gets_nothing(browser, url):
    """By name it is this machine's, too, but to a browser another origin."""
    page = browser.new_page()
    page.goto(f"{url.replace('127.0.0.1', 'localhost')}healthz")
    outcomes = page.evaluate(
        """async url => {
          const tried = [["v1/models", {}], ["v1/landmarks", {method: "POST", body: "x"}]];
          const asked = tried.map(([path, options]) => fetch(url + path, options));
          return (await Promise.allSettled(asked)).map(one => one.status);
        }""",
        url,
    )
    assert outcomes == ["rejected", "rejected"]
    page.close()


def test_everything_is_reached_by_keyboard_and_named(page):
    choose(page)
    status(page, "1 face.")
    names = []
    page.locator("body").focus()
    for _ in range(8):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate(
                "(document.activeElement.labels?.[0] || document.activeElement).textContent.trim()"
            )
        )
    wanted = ["Choose a photo", "Use the camera", "Model", "lines", "boxes", "Download JSON"]
    assert [name for name in names if name in wanted] == wanted
    assert "From a program" in names


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screen_does_not_scroll_sideways(browser, url, scheme):
    viewport = {"width": 360, "height": 700}
    with opened(browser, url, viewport=viewport, color_scheme=scheme) as page:
        choose(page)
        status(page, "1 face.")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(22, 24, 26)") == (scheme == "dark")


def test_camera_is_followed_until_it_is_stopped(driver, url, models, tmp_path):
    """The browser's camera is a file: the portrait, over and over."""
    film = tmp_path / "camera.mjpeg"
    film.write_bytes(portrait_path().read_bytes() * 20)
    options = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    )
    with chromium(driver, *options) as browser, opened(browser, url) as page:
        answers = []
        page.on("requestfinished", lambda request: answers.append(request))
        page.get_by_role("button", name="Use the camera").click()
        page.get_by_role("status").get_by_text(re.compile("^1 face")).wait_for()
        page.get_by_text(re.compile(r"\d\.\d frames a second")).wait_for()
        count = len(answers)
        page.wait_for_event("requestfinished", lambda _: len(answers) > count + 2)
        page.get_by_role("button", name="Stop the camera").click()
        status(page, "The camera is off.")
        assert page.get_by_role("button", name="Use the camera").is_visible()
        asked = len(answers)
        _, answer = downloaded(page)
        size = answer["image"]
        assert green_share(pixels(page), answer["faces"][0]["landmarks"]) > 0.95
        found = np.array(answer["faces"][0]["landmarks"]) / (size["width"], size["height"])
        truth = np.array(expected(models)[0]["landmarks"]) / 512
        assert np.abs(found - truth).mean() < 0.02
        page.wait_for_timeout(500)
        assert len(answers) <= asked + 1  # at most the one that was under way
        choose(page)
        status(page, "1 face.")


def asked_by_camera(driver, url, film, seconds):
    """What the page asks in a time of its camera: a query for each answered frame; and the rate."""
    options = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    )
    with chromium(driver, *options) as browser, opened(browser, url) as page:
        queries = []
        page.on(
            "requestfinished",
            lambda request: queries.append(parse_qs(urlsplit(request.url).query)),
        )
        page.get_by_role("button", name="Use the camera").click()
        page.get_by_text(re.compile(r"\d\.\d frames a second")).wait_for()
        count, start = len(queries), time.perf_counter()
        page.wait_for_timeout(1000 * seconds)
        rate = (len(queries) - count) / (time.perf_counter() - start)
        _, answer = downloaded(page)
        page.get_by_role("button", name="Stop the camera").click()
    return [query for query in queries if "model" in query], rate, answer


def test_camera_asks_for_a_detection_now_and_then(driver, models, tmp_path, capsys):
    """In between it says where the face was, and the detector does not run."""
    film = tmp_path / "camera.mjpeg"
    film.write_bytes(portrait_path().read_bytes() * 20)
    detections = []

    def find(photo):
        detections.append(photo.shape)
        return models.detector.find(photo)

    watched = with_detector(models, find)
    with running(watched, Limits(workers=1)) as address:
        queries, rate, _ = asked_by_camera(driver, address, film, 3)
    with capsys.disabled():
        print(f"\nThe page's camera: {rate:.1f} frames a second")
    given = ["boxes" in query for query in queries]
    assert len(given) > 8 and not given[0]
    assert all(given[number] == (number % 15 > 0) for number in range(len(given)))
    # One more when the service starts, and one that may be under way at the end.
    assert len(detections) - 1 in (given.count(False), given.count(False) + 1)
    (roll,) = {round(float(query["roll"][0])) for query in queries if "roll" in query}
    assert abs(roll) < 15


def test_camera_detects_again_when_its_face_is_lost(driver, models, tmp_path):
    """The film shows the face for a second, and then nothing for a second."""
    grey = cv2.imencode(".jpg", np.full((512, 512, 3), 128, np.uint8))[1].tobytes()
    film = tmp_path / "camera.mjpeg"
    film.write_bytes(portrait_path().read_bytes() * 30 + grey * 30)
    with running(models) as address:
        queries, _, _ = asked_by_camera(driver, address, film, 4)
    given = ["boxes" in query for query in queries]
    gaps = "".join("x" if one else "." for one in given)
    assert ".." in gaps and "x." in gaps and ".x" in gaps  # no face: detections; found: followed


def test_camera_that_is_refused_is_told_of(page):
    page.get_by_role("button", name="Use the camera").click()
    error(page, "The camera cannot be used")
