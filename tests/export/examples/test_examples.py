"""The minimal clients in `export/examples/`, built and run, give what this package gives."""

import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from runs import REPOSITORY
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.frozen.models import find_model
from senet_landmark.io.images import write_picture

pytestmark = pytest.mark.slow

EXAMPLES = REPOSITORY / "export" / "examples"
PB = find_model("senet-68")
ONNX = PB.with_suffix(".onnx")
SIZE = 128
KINDS = ("small", "large", "at the edge")


def run(*command, cwd=None):
    """What a command prints."""
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def enlarged(photo, points, factor):
    large = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return large, (points + 0.5) * factor - 0.5


@pytest.fixture(scope="module", params=KINDS)
def case(request, tmp_path_factory):
    """A photo in a file, the face's box, and the package's landmarks.

    The crop of the small face is enlarged, that of the large one averaged first; the last face is
    not whole in its photo.
    """
    photo, points = portrait()
    if request.param == "large":
        photo, points = enlarged(photo, points, 4)
    elif request.param == "at the edge":
        photo, points = enlarged(photo, points, 2.5)
        left, top = (points.min(axis=0) + 15).astype(int)
        photo, points = np.ascontiguousarray(photo[top:, left:]), points - (left, top)
    box = box_from_landmarks(points).round(1)
    side = 1.25 * (box[2:] - box[:2]).max()
    kinds = (side < SIZE, side > 3 * SIZE, box[0] < 0)
    assert kinds == tuple(request.param == kind for kind in KINDS)
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    write_picture(path, photo)
    # One pass, as the examples make.
    expected = Predictor(passes=1).landmarks(photo, box[None], "landmarks")[0]
    assert np.linalg.norm(expected - points, axis=1).mean() < 0.05 * side
    return path, box, expected


def check(printed, case):
    found = np.array([line.split() for line in printed.splitlines()], float)
    assert found.shape == (68, 2)
    assert np.abs(found - case[2]).max() < 0.5


@pytest.mark.parametrize(
    "model", [ONNX, pytest.param(PB, marks=pytest.mark.opencv4)], ids=["onnx", "pb"]
)
def test_python_with_opencv(case, model):
    printed = run(sys.executable, EXAMPLES / "landmarks.py", model, case[0], *case[1])
    check(printed, case)
    found = np.array([line.split() for line in printed.splitlines()], float)
    np.testing.assert_allclose(found, case[2], atol=0.02)  # the very same crop


def test_python_with_onnx_runtime(case):
    pytest.importorskip("onnxruntime", reason="needs the extra [onnx]")
    script = EXAMPLES / "landmarks.py"
    check(run(sys.executable, script, ONNX, case[0], *case[1], "onnxruntime"), case)


def test_python_needs_nothing_of_this_package():
    """Isolated from the repository, with OpenCV and NumPy as the only imports at the top."""
    text = (EXAMPLES / "landmarks.py").read_text()
    assert set(re.findall(r"^(?:import|from) (\w+)", text, re.M)) == {"sys", "cv2", "numpy"}
    assert set(re.findall(r"^ +(?:import|from) (\w+)", text, re.M)) == {"onnxruntime"}


# --- C++ -------------------------------------------------------------------------------------


def built_by_the_comment(folder):
    """By the command in the file's own comment."""
    shutil.copy(EXAMPLES / "landmarks.cpp", folder)
    command = re.search(r"^// (g\+\+ .*)$", (EXAMPLES / "landmarks.cpp").read_text(), re.M)[1]
    run("sh", "-c", command, cwd=folder)
    return folder / "landmarks"


def built_by_cmake(folder):
    run("cmake", "-B", folder / "build", "-S", EXAMPLES)
    run("cmake", "--build", folder / "build")
    return folder / "build" / "landmarks"


@pytest.fixture(scope="session", params=[built_by_the_comment, built_by_cmake])
def program(request, tmp_path_factory):
    tools = {built_by_the_comment: ["g++", "pkg-config"], built_by_cmake: ["g++", "cmake"]}
    if missing := [tool for tool in tools[request.param] if not shutil.which(tool)]:
        pytest.skip(f"needs {missing[0]}")
    if shutil.which("pkg-config") and subprocess.run(["pkg-config", "opencv4"]).returncode:
        pytest.skip("needs OpenCV's headers (Debian: libopencv-dev)")
    return request.param(tmp_path_factory.mktemp("program"))


@pytest.mark.parametrize("model", [ONNX, PB], ids=["onnx", "pb"])
def test_cpp(program, model, case):
    check(run(program, model, case[0], *case[1]), case)


def test_cpp_tells_what_it_wants(program):
    done = subprocess.run([program, ONNX, "absent.png", "1", "2", "30", "40"], capture_output=True)
    assert done.returncode == 2 and b"PHOTO that can be read" in done.stderr
