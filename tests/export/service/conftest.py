"""A browser, and the page of a service in it."""

import pytest

from browsers import chromium
from pages import opened
from senet_landmark.export.service.input import Limits
from served import running


@pytest.fixture(scope="package")
def driver():
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="needs Playwright (pip install playwright)"
    )
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(driver):
    with chromium(driver) as started:
        yield started


@pytest.fixture(scope="package")
def page_url(models):
    with running(models, Limits(megabytes=2)) as address:
        yield address


@pytest.fixture
def page(browser, page_url):
    with opened(browser, page_url) as window:
        yield window
