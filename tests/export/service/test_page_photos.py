"""The page's photos: chosen, dropped or pasted, one by one; and those that fail."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from pages import (
    choose,
    dispatch,
    downloaded,
    error,
    expected,
    green_share,
    opened,
    pixels,
    saved,
    settled,
    status,
    write,
)
from schema import check_results
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.service.input import Limits
from served import FACE, NARROW, PHOTO, running, with_detector

pytestmark = pytest.mark.slow


def moving():
    frames = [Image.fromarray(portrait()[0][:64, i : i + 64]) for i in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def bomb():
    stream = io.BytesIO()
    Image.new("1", (12_000, 9_000)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_photo_is_dropped_or_pasted(page, models, kind):
    dispatch(page, kind, ("dropped.jpg", PHOTO))
    status(page, "1 face.")
    name, answer = downloaded(page)
    assert name == "dropped_landmarks.json" and answer["faces"] == expected(models)


@pytest.mark.parametrize("how", ["click", "keyboard"])
def test_drop_zone_is_clicked_or_used_by_keyboard(page, tmp_path, how):
    zone = page.get_by_role("button", name="Drop photos here")
    with page.expect_file_chooser() as chooser:
        zone.click() if how == "click" else zone.press("Enter")
    chooser.value.set_files(write(tmp_path / "a.png", portrait()[0]))
    status(page, "1 face.")
    assert page.evaluate("document.activeElement.id") == "canvas"  # the zone, which had it, is gone


def test_dropped_photos_are_taken_one_by_one(page, models):
    asked = []
    page.on("request", lambda request: asked.append("sent") if "v1/l" in request.url else None)
    page.on("requestfinished", lambda r: asked.append("done") if "v1/l" in r.url else None)
    dispatch(page, "drop", ("a.jpg", PHOTO), ("notes.txt", b"no photo"), ("b.jpg", FACE))
    page.get_by_text("3 photos", exact=True).wait_for()
    settled(page)
    assert asked == ["sent", "done"] * 3
    error(page, "notes.txt is not a photo that can be opened")  # and the others are done
    entries = page.get_by_role("list", name="3 photos").get_by_role("button")
    first, second, third = entries.all_inner_texts()
    assert first == "a.jpg: 1 face" and third == "b.jpg: 1 face" and "is not a photo" in second
    assert downloaded(page)[1]["image"] == "b.jpg"
    entries.first.click()
    page.get_by_role("img", name="a.jpg: 1 face").wait_for()
    assert entries.first.evaluate("entry => entry === document.activeElement")
    assert downloaded(page)[1]["faces"] == expected(models)
    name, data = saved(page, "Download all JSON")
    check_results(json.loads(data))
    assert name == "landmarks.json"
    assert [photo["image"] for photo in json.loads(data)] == ["a.jpg", "b.jpg"]


def test_photo_that_was_left_is_asked_again_with_another_model(page):
    dispatch(page, "drop", ("a.jpg", PHOTO), ("b.jpg", FACE))
    page.get_by_text("2 photos", exact=True).wait_for()
    settled(page)
    page.get_by_label("Model").select_option(NARROW)
    settled(page)
    assert downloaded(page)[1]["model"] == NARROW  # the one that is shown, at once
    with page.expect_request_finished(lambda request: NARROW in request.url):
        page.get_by_role("button", name="a.jpg").click()
    settled(page)
    answer = downloaded(page)[1]
    assert (answer["image"], answer["model"]) == ("a.jpg", NARROW)


def test_each_face_is_a_row(page, tmp_path):
    """Seven faces, and all of their rows are seen."""
    face = portrait()[0][30:240, 120:330]
    choose(page, write(tmp_path / "seven.png", np.hstack([face, face[:, ::-1]] * 3 + [face])))
    status(page, "7 faces.")
    rows = page.get_by_role("table", name="Faces").get_by_role("row")
    assert [row.split("\t")[0] for row in rows.all_inner_texts()] == ["face", *"1234567"]
    region = page.get_by_role("region", name="Faces")
    assert region.evaluate("region => region.scrollHeight <= region.clientHeight")
    choose(page, write(tmp_path / "grey.png", np.full((80, 90, 3), 99, np.uint8)))
    status(page, "No face found.")
    assert not region.is_visible()


def test_errors_are_a_persons_and_the_last_photo_stays(page, models, tmp_path):
    bad = {
        "notes.txt": (b"not a photo", "notes.txt is not a photo that can be opened. Choose a JPEG"),
        "cut.jpg": (PHOTO[:20_000], "cut.jpg is cut off"),
        "noise.jpg": (bytes(500), "noise.jpg is not a photo that can be opened"),
        "huge.jpg": (bytes(3_000_000), "huge.jpg is too large: it has 3.0 MB; at most 2"),
        "empty.jpg": (b"", "empty.jpg is empty"),
        "moving.gif": (moving(), "moving.gif is an animated GIF of 3 frames, not a photo. Choose"),
        "bomb.png": (bomb(), "bomb.png is 12000x9000; at most 100 megapixels are accepted. Choose"),
    }
    for name, (data, _) in bad.items():
        (tmp_path / name).write_bytes(data)
    choose(page, tmp_path / "notes.txt")  # before there is any photo
    error(page, "notes.txt is not a photo")
    assert page.get_by_role("button", name="Download JSON").is_disabled()
    choose(page)
    status(page, "1 face.")
    assert page.get_by_role("alert").inner_text() == ""
    before = pixels(page)
    for name, (_, words) in bad.items():
        choose(page, tmp_path / name)
        error(page, words)
        text = page.get_by_role("alert").inner_text()
        assert "Content-Type" not in text and "HTTP" not in text and "body" not in text
        status(page, "1 face.")
        assert np.array_equal(pixels(page), before)
        assert downloaded(page)[1]["faces"] == expected(models)


def test_faults_of_the_service_are_told_and_waited_for(browser, models):
    """A fault of ours; and a service that is busy, which is asked again."""

    def find(photo):
        if photo.shape[0] < 300:
            raise RuntimeError("a fault of ours")
        return models.detector.find(photo)

    broken = with_detector(models, find)
    with running(broken, Limits(workers=1)) as url, opened(browser, url) as page:
        dispatch(page, "drop", ("face.jpg", FACE))
        error(page, "face.jpg was not looked at: the service failed")
        answers = [{"error": "3 photos are in work"}] * 2

        def busy(route):
            if not answers:
                return route.continue_()
            return route.fulfill(status=503, json=answers.pop(), headers={"Retry-After": "1"})

        page.route("**/v1/landmarks*", busy)
        dispatch(page, "drop", ("a.jpg", PHOTO))
        status(page, "1 face.")
        assert green_share(pixels(page), downloaded(page)[1]["faces"][0]["landmarks"]) == 1
