"""The page for everybody: by keyboard, on a narrow screen, in the dark, with any eyes and hands."""

import numpy as np
import pytest

from axe import violations
from pages import choose, opened, status, write
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait

pytestmark = pytest.mark.slow

NAME_OF_FOCUS = """() => {
  const one = document.activeElement;
  return one.getAttribute("aria-label") || (one.labels?.[0] || one).textContent.trim();
}"""
LIGHTNESS = np.array([0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """WCAG's contrast of two colours as CSS computes them, `rgb(1, 2, 3)`."""
    values = []
    for colour in (one, other):
        channels = [float(v) / 255 for v in colour.split("(")[1].rstrip(")").split(",")[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        values.append(LIGHTNESS @ linear + 0.05)
    return max(values) / min(values)


def test_contrast_is_wcags():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)


@pytest.fixture(
    scope="module", params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
def view(request, browser, page_url, tmp_path_factory):
    """The page with all that it can show: several faces, a list of photos, an error, its help."""
    width, scheme = request.param
    folder = tmp_path_factory.mktemp("photos")
    face = portrait()[0][30:240, 120:330]
    names = [write(folder / "many.png", np.hstack([face, face[:, ::-1]] * 2)), folder / "no.txt"]
    names[1].write_text("no photo")
    viewport = {"width": width, "height": 800}
    with opened(browser, page_url, viewport=viewport, color_scheme=scheme) as page:
        empty = violations(page)
        choose(page, *names)
        page.get_by_text("2 photos", exact=True).wait_for()
        status(page, "4 faces.")
        page.get_by_role("button", name="Mark a face").click()
        page.get_by_text("From a program").click()
        yield page, width, scheme, empty


def test_axe_finds_no_serious_violation(view):
    page, _, _, empty = view
    assert empty == [] and violations(page) == []


def test_page_does_not_scroll_sideways_and_follows_the_scheme(view):
    page, width, scheme, _ = view
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(22, 24, 26)") == (scheme == "dark")


def test_borders_can_be_seen(view):
    page = view[0]
    borders = page.evaluate(
        """() => [...document.querySelectorAll("button, select, .button, #stage")]
          .filter(one => one.offsetWidth && getComputedStyle(one).borderTopWidth !== "0px")
          .map(one => [getComputedStyle(one).borderTopColor,
            getComputedStyle(one.parentElement.closest("#stage") || document.body).backgroundColor,
            getComputedStyle(one).backgroundColor])"""
    )
    assert len(borders) > 8
    for border, around, inside in borders:
        assert min(contrast(border, around), contrast(border, inside)) >= 3


def test_targets_are_large_enough_to_touch(view):
    page = view[0]
    sizes = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, summary")]
          .map(one => one.closest(".button") || one)
          .filter(one => one.offsetWidth)
          .map(one => [one.id || one.textContent, one.offsetWidth, one.offsetHeight])"""
    )
    assert len(sizes) > 12
    assert [size for size in sizes if min(size[1:]) < 24] == []


def test_everything_is_reached_by_keyboard_and_named(page):
    choose(page)
    status(page, "1 face.")
    names = []
    page.locator("body").focus()
    while "From a program" not in names and len(names) < 30:
        page.keyboard.press("Tab")
        names.append(page.evaluate(NAME_OF_FOCUS))
    wanted = [
        "Choose a photo", "Try a sample", "Use the camera", "Model", "lines", "boxes",
        "portrait.jpg: 1 face", "Zoom in", "Mark a face", "Download JSON", "Download picture",
        "Faces", "From a program",
    ]  # fmt: skip
    assert [name for name in names if name in wanted] == wanted
