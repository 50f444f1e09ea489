"""A command that lacks an extra says in one line which to install."""

import sys

import pytest

from senet_landmark.cli import extras
from senet_landmark.cli.app import main

REQUIRES = [
    "numpy>=1.26",
    "opencv-python-headless>=4.8",
    'tensorflow>=2.15; extra == "train"',
    "tf-slim>=1.1.0; extra == 'train'",
    'google-crc32c>=1.5; extra == "train"',
    'tf2onnx>=1.16; extra == "onnx"',
    "mediapipe<0.10.30,>=0.10.14; python_version < '3.13' and extra == 'mediapipe'",
    'tensorflow>=2.15; extra == "dev"',
    'python-multipart>=0.0.18; extra == "dev"',
    'python-multipart>=0.0.18; extra == "serve"',
    'pytest>=8; extra == "dev"',
]


@pytest.fixture(autouse=True)
def requires(monkeypatch):
    monkeypatch.setattr(extras.importlib.metadata, "requires", lambda name: REQUIRES)


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--records", "records", "--run", "run"),
        ("freeze", "--run", "run", "--out", "model.pb"),
        ("inspect", "records"),
        ("predict", "photo.jpg", "--engine", "tensorflow"),
        ("quickstart",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_command_without_tensorflow_says_what_to_install(monkeypatch, capsys, arguments):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert main(list(arguments)) == 2
    assert capsys.readouterr().err == (
        "error: this command needs TensorFlow, which is not installed: "
        'pip install "senet_landmark[train]"\n'
    )


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("tf_slim", '"senet_landmark[train]"'),
        ("google_crc32c", '"senet_landmark[train]"'),
        ("tensorflow.compat.v1", '"senet_landmark[train]"'),
        ("mediapipe.python", '"senet_landmark[mediapipe]"'),
        ("multipart", '"senet_landmark[serve]"'),
        ("pytest", '"senet_landmark[dev]"'),
        ("cv2", "senet_landmark"),
    ],
)
def test_smallest_extra_that_has_the_module(module, package):
    assert extras.missing_message(module).endswith(f"which is not installed: pip install {package}")


def test_module_of_nobodys_is_no_matter_of_extras():
    assert extras.missing_message("colours") is None
    assert extras.missing_message("senet_landmark.colours") is None


def test_not_installed_at_all_has_no_extras(monkeypatch):
    def requires(name):
        raise extras.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(extras.importlib.metadata, "requires", requires)
    assert extras.missing_message("tensorflow") is None


def test_fault_of_our_own_is_not_hidden(monkeypatch):
    monkeypatch.setitem(sys.modules, "senet_landmark.cli.commands.conversion", None)
    with pytest.raises(ModuleNotFoundError):
        main(["convert", "--help"])
