"""The page's camera: mirrored and smoothed, followed, detected now and then, fast."""

import re
import time
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest

from browsers import chromium
from pages import (
    camera,
    choose,
    downloaded,
    error,
    expected,
    filmed,
    green_share,
    opened,
    pixels,
    rgb,
    saved,
    status,
)
from schema import check_results
from senet_landmark.export.service.input import Limits
from senet_landmark.export.video.smoothing import smooth, start_smoothing
from served import PHOTO, running, with_detector

pytestmark = pytest.mark.slow


def test_smoothing_is_that_of_videos(page):
    """The page's One Euro filter and that of `export/video/smoothing.py`."""
    generator = np.random.default_rng(3)
    times = np.cumsum(generator.uniform(0.02, 0.1, 12))
    points = 200 + np.cumsum(generator.normal(0, 4, (12, 5, 2)), 0)
    there = page.evaluate(
        """([points, times]) => {
          let state = startSmoothing(points[0], times[0]);
          return points.slice(1).map((now, i) =>
            (state = smooth(state, now, times[i + 1], 120)).points);
        }""",
        [points.tolist(), times.tolist()],
    )
    state = start_smoothing(points[0], times[0])
    for now, moment, found in zip(points[1:], times[1:], there, strict=True):
        state = smooth(state, now, moment, 120)
        np.testing.assert_allclose(found, state.points, atol=1e-9)


def test_each_face_of_the_camera_is_smoothed_by_itself(page):
    """Two faces that jitter and change places in the answer; then one jumps: it starts anew."""
    steady = page.evaluate(
        """() => {
          const face = (x, jitter) => ({box: [x, 50, x + 100, 150].map(edge => edge + jitter),
            landmarks: [[x + 30 + jitter, 80], [x + 60 + jitter, 120]]});
          const smoothed = smoother(), seen = [];
          for (let i = 0; i < 20; i += 1) {
            const faces = [face(50, i % 2), face(300, -(i % 2))];
            if (i % 3) faces.reverse();
            const answer = smoothed({faces}, 0.05 * i);
            const left = answer.faces[i % 3 ? 1 : 0];
            seen.push(left.landmarks[0][0]);
          }
          const jumped = smoothed({faces: [face(900, 0)]}, 1.05).faces[0].landmarks[0][0];
          return [seen, jumped];
        }"""
    )
    left, jumped = steady
    assert np.ptp(left[5:]) < 0.5  # of a jitter of 1
    assert abs(np.mean(left[5:]) - 80.5) < 0.3 and jumped == 930


def test_camera_is_a_mirror(driver, page_url, tmp_path):
    """The picture's left is the film's right, and numbers can be read all the same."""
    film = filmed(tmp_path, PHOTO * 20)
    with chromium(driver, *camera(film)) as browser, opened(browser, page_url) as page:
        page.get_by_role("button", name="Use the camera").click()
        page.get_by_role("status").get_by_text(re.compile("^1 face")).wait_for()
        page.get_by_role("button", name="Stop the camera").click()
        for name in ("lines", "boxes"):
            page.get_by_label(name).uncheck()
        picture = cv2.resize(pixels(page), (512, 512)).astype(int)
        shown = rgb(PHOTO).astype(int)
    assert np.abs(picture - shown[:, ::-1]).mean() < 10 < np.abs(picture - shown).mean()


def test_camera_is_followed_until_it_is_stopped(driver, page_url, models, tmp_path):
    """The browser's camera is a file: the portrait, over and over."""
    film = filmed(tmp_path, PHOTO * 20)
    with chromium(driver, *camera(film)) as browser, opened(browser, page_url) as page:
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
        check_results(answer)
        points = np.array(answer["faces"][0]["landmarks"])
        size = (answer["width"], answer["height"])
        mirror = (pixels(page).shape[1] / size[0], size[0] - 1)
        seen = np.stack([mirror[1] - points[:, 0], points[:, 1]], 1)
        assert green_share(pixels(page), (seen + 0.5) * mirror[0] - 0.5) > 0.95
        found = points / size
        truth = np.array(expected(models)[0]["landmarks"]) / 512
        assert np.abs(found - truth).mean() < 0.02
        picture = rgb(saved(page, "Download picture")[1])
        assert np.abs(picture.astype(int) - pixels(page)).mean() < 3  # as it is shown
        page.wait_for_timeout(500)
        assert len(answers) <= asked + 1  # at most the one that was under way
        choose(page)
        status(page, "1 face.")


def asked_by_camera(driver, url, film, seconds):
    """What the page asks in a time of its camera: a query for each answered frame; and the rate."""
    with chromium(driver, *camera(film)) as browser, opened(browser, url) as page:
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
    film = filmed(tmp_path, PHOTO * 20)
    detections = []

    def find(photo):
        detections.append(photo.shape)
        return models.detector.find(photo)

    watched = with_detector(models, find)
    with running(watched, Limits(workers=1)) as address:
        queries, rate, _ = asked_by_camera(driver, address, film, 3)
    with capsys.disabled():
        print(f"\nThe page's camera: {rate:.1f} frames a second (15 or more on an idle machine)")
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
    film = filmed(tmp_path, PHOTO * 30 + grey * 30)
    with running(models) as address:
        queries, _, _ = asked_by_camera(driver, address, film, 4)
    given = ["boxes" in query for query in queries]
    gaps = "".join("x" if one else "." for one in given)
    assert ".." in gaps and "x." in gaps and ".x" in gaps  # no face: detections; found: followed


def test_camera_that_is_refused_is_told_of(page):
    page.get_by_role("button", name="Use the camera").click()
    error(page, "The camera cannot be used")
