"""The service's page in a real browser: a photo, its points and figures, and who gets them."""

import re

import numpy as np
import pytest

from pages import (
    choose,
    dispatch,
    downloaded,
    error,
    expected,
    green_share,
    opened,
    pixels,
    rgb,
    saved,
    settled,
    status,
    write,
)
from schema import check_results
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.frozen.models import DEFAULT_MODEL
from served import NARROW, PHOTO, running, with_detector

pytestmark = pytest.mark.slow


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
    table = page.get_by_role("table", name="Faces")
    heads = table.get_by_role("columnheader").all_inner_texts()
    cells = dict(zip(heads, table.get_by_role("row").nth(1).inner_text().split("\t"), strict=True))
    assert cells["face"] == "1"
    for name, value, unit, digits in [
        ("yaw", face["pose"]["yaw"], "°", 1),
        ("roll", face["pose"]["roll"], "°", 1),
        ("is a face", 100 * face["confidence"], "%", 1),
        ("detector's score", face["score"], "", 2),
    ]:
        text = cells[name]
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
    assert answer["image"] == "portrait.jpg"
    check_results(answer)


def test_picture_with_its_points_is_to_be_had_in_its_own_size(page, tmp_path):
    photo = np.full((2400, 1800, 3), 90, np.uint8)
    photo[1000:1512, 700:1212] = portrait()[0]
    choose(page, write(tmp_path / "my photo.png", photo))
    status(page, "1 face.")
    page.get_by_role("button", name="Zoom in").click()  # the whole photo is saved all the same
    name, data = saved(page, "Download picture")
    picture = rgb(data)
    assert name == "my_photo_landmarks.jpg" and picture.shape == photo.shape
    points = downloaded(page)[1]["faces"][0]["landmarks"]
    columns, rows = np.round(np.array(points)).astype(int).T
    dots = picture[rows, columns].astype(int)
    assert (dots[:, 1] - dots[:, [0, 2]].max(1) > 60).all()  # green, as far as a JPEG keeps it


def test_sample_is_tried_at_once(page, models):
    page.get_by_role("button", name="Try a sample").click()
    status(page, "1 face.")
    assert downloaded(page)[1]["faces"] == expected(models)


def test_other_model_answers_anew(page, models):
    choose(page)
    status(page, "1 face.")
    with page.expect_request_finished(lambda request: NARROW in request.url):
        page.get_by_label("Model").select_option(NARROW)
    page.get_by_text(f"{NARROW}: network senet").wait_for()
    status(page, "1 face.")
    settled(page)
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
    assert (answer["width"], answer["height"]) == (462, 512)
    picture = pixels(page)
    assert green_share(picture, answer["faces"][0]["landmarks"]) == 1
    assert np.abs(picture[300:].astype(int) - portrait()[0][300:, 50:]).mean() < 4


def test_large_photo_is_shown_smaller(page, tmp_path):
    photo = np.full((3000, 2000, 3), 90, np.uint8)
    photo[1000:1512, 700:1212] = portrait()[0]
    choose(page, write(tmp_path / "large.jpg", photo))
    status(page, "1 face.")
    picture = pixels(page)
    assert picture.shape == (1600, 1067, 3)
    _, answer = downloaded(page)
    points = (np.array(answer["faces"][0]["landmarks"]) + 0.5) * 1600 / 3000 - 0.5
    assert green_share(picture, points) > 0.9


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


def test_format_that_the_browser_cannot_show_has_its_points(page, tmp_path):
    choose(page, write(tmp_path / "photo.tiff", portrait()[0]))
    error(page, "cannot show the photo")
    _, answer = downloaded(page)
    assert green_share(pixels(page), answer["faces"][0]["landmarks"]) == 1


def test_names_of_files_are_no_html(page):
    """They come from wherever the file is from."""
    dispatch(page, "drop", ("<img src=x onerror=alert(1)>.jpg", PHOTO))
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


def test_page_of_another_site_gets_nothing(browser, page_url):
    """By name it is this machine's, too, but to a browser another origin."""
    page = browser.new_page()
    page.goto(f"{page_url.replace('127.0.0.1', 'localhost')}healthz")
    outcomes = page.evaluate(
        """async url => {
          const tried = [["v1/models", {}], ["v1/landmarks", {method: "POST", body: "x"}]];
          const asked = tried.map(([path, options]) => fetch(url + path, options));
          return (await Promise.allSettled(asked)).map(one => one.status);
        }""",
        page_url,
    )
    assert outcomes == ["rejected", "rejected"]
    page.close()
