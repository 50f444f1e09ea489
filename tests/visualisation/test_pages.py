"""Every page that is written as HTML, in a browser: wide and narrow, light and dark."""

import os
import shutil
from pathlib import Path

import pytest

from axe import violations
from senet_landmark.data_tools.inspection.inspect_records import inspect_records
from senet_landmark.export.comparison.compare import compare
from senet_landmark.export.evaluation.evaluate import evaluate_models
from senet_landmark.export.evaluation.face_sources import Photos
from senet_landmark.frozen.models import DEFAULT_MODEL
from senet_landmark.training.report.report import write_training_report

pytestmark = pytest.mark.slow

WIDE, NARROW = (1280, 900), (390, 844)
PAGES = ("report", "inspect", "compare", "evaluation")


@pytest.fixture(scope="module")
def long_named(small_run, tmp_path_factory) -> Path:
    """A model whose name is as long as people make them."""
    path = tmp_path_factory.mktemp("named") / "senet_68_points_cosine_300w_lp_second_attempt.pb"
    for suffix in (".pb", ".json"):
        shutil.copy(small_run.model.with_suffix(suffix), path.with_suffix(suffix))
    return path


@pytest.fixture(scope="module")
def pages(small_run, long_named, synthetic_tree, task_records, tmp_path_factory) -> dict[str, Path]:
    """Name -> file of each page, with all the parts that it may have."""
    out = tmp_path_factory.mktemp("pages")
    run = shutil.copytree(small_run.run, out / "run")
    inspect_records([task_records, small_run.records], out / "inspect", workers=1, sheet=6)
    models = [DEFAULT_MODEL, small_run.run, long_named]
    sets = [("300w_lp", synthetic_tree)]
    compare(models, sets, out / "compare", rounds=1)
    broken = shutil.copytree(synthetic_tree, out / "tree")
    next((broken / "SYNTH").glob("*.jpg")).write_bytes(b"")  # one is skipped
    faces = Photos("300w_lp", broken)
    # YuNet is a file of others; a detector that ships misses some synthetic faces as well.
    evaluate_models([models[0], long_named], faces, out, boxes=("landmarks", "dlib"))
    return {
        "report": write_training_report(run),
        "inspect": out / "inspect" / "inspect.html",
        "compare": out / "compare" / "compare.html",
        "evaluation": out / "evaluation.html",
    }


@pytest.fixture(params=[(size, scheme) for size in (WIDE, NARROW) for scheme in ("light", "dark")],
                ids=lambda param: f"{param[0][0]}-{param[1]}")  # fmt: skip
def window(browser, request):
    """(page of a browser, its width, its colour scheme)."""
    (width, height), scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    yield context.new_page(), width, scheme
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_page_fits_and_everyone_can_use_it(pages, window, name):
    page, width, scheme = window
    page.goto(pages[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    if folder := os.environ.get("SENET_LANDMARK_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    alts = page.locator("img").evaluate_all("all => all.map(image => image.alt.trim())")
    assert alts and all(alts)


def whole(page, selector) -> list[bool]:
    """Whether each element is within the window and within what scrolls around it."""
    return page.locator(selector).evaluate_all(
        """all => all.map(element => {
          const around = (element.closest('.scroll') || document.body).getBoundingClientRect();
          const box = element.getBoundingClientRect();
          return box.left >= around.left && box.right <= Math.min(around.right, innerWidth) + 1;
        })"""
    )


def test_first_figures_need_no_scrolling(pages, browser):
    for width, height in (WIDE, NARROW):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(pages["compare"].as_uri())
        head = "table.models >> nth=0 >> th"
        texts = page.locator(head).all_inner_texts()
        assert texts[1] == "300w_lp: NME, %"
        first = whole(page, "table.models >> nth=0 >> tr > :nth-child(2)")
        assert len(first) == 4 and all(first)
        page.close()


def test_last_column_and_legend_of_an_evaluation_are_whole(pages, browser):
    page = browser.new_page(viewport={"width": WIDE[0], "height": WIDE[1]})
    page.goto(pages["evaluation"].as_uri())
    cells = whole(page, "table.summary :is(th, td)")
    assert len(cells) > 40 and all(cells)
    # The chart as a file of its own: no text of its legend beyond its edge.
    page.goto(page.locator("img.chart").first.get_attribute("src"))
    ends = page.evaluate(
        """() => {
          const edge = document.documentElement.getBoundingClientRect();
          const legend = document.querySelector('#legend_1').getBoundingClientRect();
          return [legend.left, legend.right, edge.right];
        }"""
    )
    assert 0 < ends[0] < ends[1] <= ends[2]
    page.close()
