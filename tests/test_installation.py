"""The package as it is installed: its names, what is in the wheel, what importing it costs."""

import importlib
import shutil
import subprocess
import sys
import zipfile

import pytest

import senet_landmark as sl
from runs import REPOSITORY
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path

CASE = """
import importlib.util
import export  # a person's own file
assert export.MINE
import senet_landmark as sl
print(sl.Predictor().predict({photo!r})[0].landmarks.shape)
import senet_landmark.export
from senet_landmark.compat import dlib, face_alignment
assert dlib.rectangle and face_alignment.FaceAlignment
assert importlib.util.find_spec("data_tools") is None
"""


def run(program, folder, path):
    """What a Python program prints, started in a folder with a path to import from."""
    command = [sys.executable, "-c", program]
    environment = {"PYTHONPATH": f"{folder}:{path}", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_public_names_are_what_they_say():
    for name in sl.__all__:
        assert name in dir(sl)
        value = getattr(sl, name)
        assert callable(value) and value.__doc__
    module = importlib.import_module("senet_landmark.export.evaluation.evaluate")
    assert sl.evaluate is module.evaluate_models
    with pytest.raises(AttributeError, match="no attribute 'predictor'"):
        sl.predictor  # noqa: B018


def test_importing_the_package_loads_nothing_heavy(tmp_path):
    program = (
        "import sys, senet_landmark; "
        "print(*{m.partition('.')[0] for m in sys.modules} & "
        "{'tensorflow', 'cv2', 'numpy', 'dlib', 'scipy', 'tyro', 'PIL'})"
    )
    assert run(program, tmp_path, REPOSITORY).strip() == ""


def test_predicting_loads_no_tensorflow(tmp_path):
    program = (
        "import sys, senet_landmark as sl; "
        f"print(len(sl.Predictor().predict({str(portrait_path())!r}))); "
        "assert not {'tensorflow', 'scipy', 'matplotlib', 'jinja2'} & set(sys.modules)"
    )
    assert run(program, tmp_path, REPOSITORY).strip() == "1"


@pytest.mark.slow
def test_wheel_has_one_name_and_does_not_meet_a_persons_export_py(tmp_path):
    source, wheels, installed = (tmp_path / name for name in ("source", "wheels", "installed"))
    ignored = shutil.ignore_patterns(".git", "build", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(REPOSITORY, source, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", wheels, source], check=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        content.extractall(installed)
    tops = {name.partition("/")[0] for name in names}
    version = f"senet_landmark-{sl.__version__}.dist-info"
    assert tops == {"senet_landmark", version}
    tracked = [
        path.relative_to(REPOSITORY)
        for folder in ("senet_landmark", "data_tools", "export")
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    inside = {
        str(path) if path.parts[0] == "senet_landmark" else f"senet_landmark/{path}"
        for path in tracked
    }
    assert inside <= set(names), inside - set(names)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "export.py").write_text("MINE = True\n")
    assert run(CASE.format(photo=str(portrait_path())), mine, installed).strip() == "(68, 2)"
