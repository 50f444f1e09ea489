"""The folder for browsers, written by the command of its documentation and served."""

import pytest

from pages import opened
from senet_landmark.cli.app import main
from sites import documented_commands, runtime_files, served_folder


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder `page`, beside `node_modules` with onnxruntime-web."""
    folder = tmp_path_factory.mktemp("web")
    modules = folder / "node_modules" / "onnxruntime-web"
    modules.mkdir(parents=True)
    (modules / "dist").symlink_to(runtime_files().absolute())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(documented_commands()[0].split()[1:]) == 0
    return folder / "page"


@pytest.fixture(scope="session")
def site_url(site):
    with served_folder(site) as address:
        yield address


@pytest.fixture
def page(browser, site_url):
    with opened(browser, site_url) as window:
        yield window


@pytest.fixture(scope="module")
def modules(browser, site_url):
    """A page whose modules are called without its photos."""
    with opened(browser, site_url) as window:
        yield window
