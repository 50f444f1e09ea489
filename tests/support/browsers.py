"""A browser for the pages."""

import contextlib
import shutil
from pathlib import Path

import pytest

SYSTEM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


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
