"""One predictor in eight threads, and across a fork, in each engine that is installed."""

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

from senet_landmark.export.engines.registry import ENGINES
from senet_landmark.frozen.models import find_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]

# A process of its own: a fork of this one would have the threads of all other tests. It prints
# what differs.
PROGRAM = """
import multiprocessing, sys, threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
engine, model = sys.argv[1:]
if engine == "tensorflow":
    from senet_landmark.runtime import start_tensorflow
    start_tensorflow()
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.io.images import read_photo
portrait = read_photo(portrait_path())
photo = np.concatenate([portrait, portrait[:, ::-1]], axis=1)  # a batch of two faces
predictor = Predictor(model, engine=engine)

def points(_=None):
    return np.stack([face.landmarks for face in predictor.predict(photo)])

def in_threads():
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(points, range(8)))

expected = points()
assert expected.shape == (2, 68, 2)
assert all(np.array_equal(found, expected) for found in in_threads())
print("threads are equal", flush=True)

def child(connection):
    try:
        connection.send(np.stack(in_threads()))
    except Exception as error:
        connection.send(str(error))

ended = threading.Event()
def predict_on():
    while not ended.is_set():
        points()
busy = [threading.Thread(target=predict_on) for _ in range(2)]
for thread in busy:
    thread.start()
for _ in range(2):
    ours, theirs = multiprocessing.Pipe()
    forked = multiprocessing.get_context("fork").Process(target=child, args=(theirs,))
    forked.start()
    found = ours.recv() if ours.poll(30) else "hangs"
    forked.kill()
    forked.join()
    equal = not isinstance(found, str) and all(np.array_equal(one, expected) for one in found)
    print("fork is equal" if equal else found, flush=True)
ended.set()
for thread in busy:
    thread.join()
assert np.array_equal(points(), expected)
print("parent is equal", flush=True)
"""


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "tensorflow2"])
def test_threads_and_forks_give_the_same(engine, tmp_path):
    if not any(map(importlib.util.find_spec, ENGINES[engine].modules)):
        pytest.skip(f"needs {ENGINES[engine].title}")
    model = find_model()
    if engine == "tflite":
        pytest.importorskip("tensorflow", reason="needs the extra [train]")
        from senet_landmark.export.conversion.convert import convert

        for suffix in (".pb", ".json"):
            shutil.copy(model.with_suffix(suffix), tmp_path / f"m{suffix}")
        model = convert(tmp_path / "m.pb", "tflite").path
    program = [sys.executable, "-c", PROGRAM, engine, str(model)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    after = ["fork is equal"] * 2
    if not ENGINES[engine].forks:
        assert "TensorFlow does not survive a fork" in done.stdout
        after = done.stdout.splitlines()[1:3]
    lines = ["threads are equal", *after, "parent is equal"]
    assert done.stdout.splitlines() == lines, done.stdout + done.stderr
