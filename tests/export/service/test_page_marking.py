"""The page's zoom, and the boxes that people drag where the detector finds no face."""

from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from pages import choose, downloaded, error, green_share, pixels, settled, status, write
from schema import check_results
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.face.geometry import box_from_landmarks
from served import NARROW

pytestmark = pytest.mark.slow

TRUTH = portrait()[1]
BOX = box_from_landmarks(TRUTH)


@pytest.fixture
def blind(page):
    """The page of a service whose detector finds nothing."""

    def answer(route):
        if "boxes" in parse_qs(urlsplit(route.request.url).query):
            return route.continue_()
        found = route.fetch()
        return route.fulfill(response=found, json={**found.json(), "faces": []})

    page.route("**/v1/landmarks*", answer)
    choose(page)
    status(page, "No face found.")
    settled(page)
    return page


def drag(page, box):
    """Drags a box, in pixels of the portrait, with the mouse."""
    canvas = page.locator("#canvas").bounding_box()
    scale = canvas["width"] / 512
    corners = (np.array(box).reshape(2, 2) + 0.5) * scale + (canvas["x"], canvas["y"])
    page.mouse.move(*corners[0])
    page.mouse.down()
    page.mouse.move(*corners.mean(0))
    page.mouse.move(*corners[1])
    page.mouse.up()


def is_near_truth(face):
    distance = np.linalg.norm(np.array(face["landmarks"]) - TRUTH, axis=1).mean()
    return distance < 0.08 * np.linalg.norm(TRUTH[36] - TRUTH[45])


def test_box_is_dragged_where_no_face_was_found(blind):
    page = blind
    assert page.get_by_text("Drag a box around a face in the picture").is_visible()
    with page.expect_request(lambda request: "boxes=" in request.url) as request:
        drag(page, BOX)
    (sent,) = parse_qs(urlsplit(request.value.url).query)["boxes"]
    assert [float(edge) for edge in sent.split(",")] == pytest.approx(BOX.tolist(), abs=2)
    status(page, "1 face.")
    answer = downloaded(page)[1]
    (face,) = answer["faces"]
    assert is_near_truth(face) and "score" not in face
    assert green_share(pixels(page), face["landmarks"]) == 1
    check_results(answer)
    assert not page.get_by_text("Drag a box around a face").is_visible()


def test_box_is_kept_for_another_model(blind):
    drag(blind, BOX)
    status(blind, "1 face.")
    settled(blind)
    with blind.expect_request_finished(lambda r: NARROW in r.url and "boxes=" in r.url):
        blind.get_by_label("Model").select_option(NARROW)
    settled(blind)
    answer = downloaded(blind)[1]
    assert answer["model"] == NARROW and len(answer["faces"]) == 1


def test_box_without_a_face_is_told_of_and_another_one_taken(blind):
    drag(blind, (330, 330, 480, 480))
    error(blind, "The model sees no face in this box")
    settled(blind)
    drag(blind, BOX)
    status(blind, "1 face.")
    assert [is_near_truth(face) for face in downloaded(blind)[1]["faces"]] == [True]
    assert blind.get_by_role("alert").inner_text() == ""


def test_click_is_no_box(blind):
    asked = []
    blind.on("request", lambda request: asked.append(request.url))
    blind.locator("#canvas").click()
    drag(blind, (100, 100, 102, 102))
    blind.wait_for_timeout(200)
    assert asked == []


def test_box_is_moved_and_sized_by_keyboard(blind):
    canvas = blind.locator("#canvas")
    canvas.focus()
    # It begins as the middle third, 171 to 341, and a press is a tenth of that.
    for keys in (["ArrowUp"] * 6, ["ArrowLeft"] * 2, ["Shift+ArrowLeft"] * 3):
        for key in keys:
            blind.keyboard.press(key)
    for _ in range(3):
        blind.keyboard.press("Shift+ArrowUp")
    with blind.expect_request(lambda request: "boxes=" in request.url) as request:
        blind.keyboard.press("Enter")
    (sent,) = parse_qs(urlsplit(request.value.url).query)["boxes"]
    left, top, right, bottom = (float(edge) for edge in sent.split(","))
    assert (right - left, bottom - top) == pytest.approx((119, 119), abs=2)
    assert (left, top) == pytest.approx((137, 68), abs=2)
    settled(blind)


def test_box_stays_in_the_photo(blind):
    """However far the keys would move it, the service has something to look at."""
    blind.locator("#canvas").focus()
    for _ in range(40):
        blind.keyboard.press("ArrowLeft")
    with blind.expect_request(lambda request: "boxes=" in request.url):
        blind.keyboard.press("Enter")
    error(blind, "The model sees no face in this box")


def test_further_face_is_marked_beside_those_that_were_found(page, tmp_path):
    choose(page)
    status(page, "1 face.")
    assert not page.get_by_text("Drag a box around a face").is_visible()
    (found,) = downloaded(page)[1]["faces"]
    page.get_by_role("button", name="Mark a face").click()
    drag(page, BOX + 3)
    status(page, "2 faces.")
    first, second = downloaded(page)[1]["faces"]
    assert first == found and is_near_truth(second)


def test_faces_out_of_view_have_no_number_in_it(page, tmp_path):
    photo = np.full((512, 512, 3), 60, np.uint8)
    photo[:210, :210] = photo[:210, 250:460] = portrait()[0][30:240, 120:330]
    choose(page, write(tmp_path / "two.png", photo))
    status(page, "2 faces.")
    assert not is_plain(pixels(page))
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
    page.locator("#canvas").focus()
    for _ in range(20):
        page.keyboard.press("ArrowDown")
    assert is_plain(pixels(page))


def is_plain(picture):
    return np.ptp(picture.reshape(-1, 3), axis=0).max() < 3


def test_zoom_shows_a_part_with_its_points(page):
    choose(page)
    status(page, "1 face.")
    points = np.array(downloaded(page)[1]["faces"][0]["landmarks"])
    farther = page.get_by_role("button", name="Zoom out")
    assert farther.is_disabled()
    for _ in range(2):
        page.get_by_role("button", name="Zoom in").click()
    page.locator("#canvas").focus()
    for _ in range(5):
        page.keyboard.press("ArrowUp")
    picture = pixels(page)
    assert picture.shape == (512, 512, 3)
    zoom = 2.25
    middle = np.array([0.5, 0.5 - 5 * 0.1 / zoom])
    seen = (points + 0.5 - (middle - 0.5 / zoom) * 512) * zoom - 0.5
    assert ((seen > 0) & (seen < 511)).all() and green_share(picture, seen) == 1
    before = pixels(page)
    page.locator("#canvas").hover()
    page.mouse.down()
    page.mouse.move(300, 400)
    page.mouse.up()
    assert not np.array_equal(pixels(page), before)  # moved by hand
    page.locator("#canvas").focus()
    page.keyboard.press("0")
    assert green_share(pixels(page), points) == 1 and farther.is_disabled()
