"""The page of a service, in a browser."""

import pytest

from pages import opened
from senet_landmark.export.service.input import Limits
from served import running


@pytest.fixture(scope="package")
def page_url(models):
    with running(models, Limits(megabytes=2)) as address:
        yield address


@pytest.fixture
def page(browser, page_url):
    with opened(browser, page_url) as window:
        yield window
