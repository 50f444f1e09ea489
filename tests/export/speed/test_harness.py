"""What `bench` and `compare` share: engines that start or fail, and a process of their own."""

import subprocess
import sys

import cv2

from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import ENGINES
from senet_landmark.export.speed.harness import (
    THREADS,
    add_conversions,
    environment,
    project_environment,
    start_engines,
    threads_of,
    with_opencv_threads,
    with_threads,
)


def test_an_engine_that_fails_with_one_number_of_threads_is_left_out(tmp_path):
    def start(model, engine, threads):
        if engine == "opencv" and threads != 1:
            raise InputError(f"{tmp_path / 'm.pb'}: is broken.")
        if engine == "tflite":
            raise ValueError
        return model.stem, engine, threads

    started, problems = start_engines([tmp_path / "m.pb", tmp_path / "n.pb"], ENGINES, start)
    told = {"tflite": "ValueError", "opencv": "m.pb: is broken."}
    assert problems[0] == told and set(problems[1]) == set(told)
    expected = {
        (number, engine, threads): (name, engine, count)
        for number, name in enumerate("mn")
        for engine in ("onnxruntime", "tensorflow", "tensorflow2")
        for threads, count in threads_of(ENGINES[engine]).items()
    }
    assert started == expected


def test_without_tensorflow_the_files_that_are_there_are_kept(tmp_path, monkeypatch):
    """MediaPipe and the newest TensorFlow exclude each other; `bench` runs beside either."""
    monkeypatch.setitem(sys.modules, "senet_landmark.export.conversion.convert", None)
    for suffix in (".pb", ".onnx"):
        (tmp_path / f"m{suffix}").touch()
    problems = add_conversions(tmp_path / "m.pb")
    without = {
        name for name, spec in ENGINES.items() if not {".pb", ".onnx"} & set(spec.suffixes())
    }
    assert set(problems) == without and "tflite" in without
    assert "none can be made" in problems["tflite"]


def test_engines_that_take_a_number_of_threads_are_those_of_the_environment():
    assert list(with_threads()) == [name for name in ENGINES if name != "tensorflow2"]
    assert set(environment()) == {"processor", "cores", *with_threads()}
    assert list(THREADS) == ["one_thread", "all_threads"] and THREADS["one_thread"] == 1
    assert threads_of(ENGINES["tensorflow2"]) == {"all_threads": 0}


def test_opencvs_threads_are_set_before_a_run():
    before = cv2.getNumThreads()
    try:
        for threads in (1, 2, 1):
            assert with_opencv_threads(cv2.getNumThreads, threads)() == threads
    finally:
        cv2.setNumThreads(before)


def test_a_process_finds_the_project_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    code = "import senet_landmark.export.speed.harness as m; print(m.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=project_environment(), cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip().endswith("harness.py")
