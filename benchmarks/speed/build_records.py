"""The record builder against a plain loop, and its memory, on a 300W-LP tree of your own.

    python benchmarks/speed/build_records.py --root 300W_LP

The plain loop does what most scripts do: one process, photo by photo, detect, crop, write. It
detects, crops and encodes with the builder's own functions, so that the ratio shows only the effect
of the builder's organisation: its worker processes, and its second pass over the photos, which the
fitted correction of the boxes needs. Both run in turn, started from this one process, with
TensorFlow loaded beforehand; the builder's time includes the start of its workers.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from senet_landmark.detectors.registry import DLIB, default_corrections, get_detector
from senet_landmark.detectors.search import find_annotated_faces
from senet_landmark.face.boxes import canonical_box
from senet_landmark.runtime import start_tensorflow

# A worker's peak memory is read from /proc while it runs. getrusage would also count the time
# before the worker starts, when it is still a copy of the main process.
MEMORY = """
import json, os, pathlib, re, resource, sys, threading, time
from senet_landmark.runtime import start_tensorflow
start_tensorflow()
from senet_landmark.data_tools.records.build_records import build_records

def watch():
    while True:
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
                name = (status.parent / "cmdline").read_bytes()
            except OSError:
                continue  # the process has ended
            if f"PPid:\\t{os.getpid()}\\n" in text and b"loky" in name:
                workers.append(int(re.search(r"VmHWM:\\s+(\\d+)", text)[1]))
        time.sleep(0.05)

workers = [0]
threading.Thread(target=watch, daemon=True).start()
report = build_records("300w_lp", sys.argv[1], sys.argv[2], workers=2)
peak = {
    "main": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    "largest worker": max(workers),
}
print(json.dumps({"faces": report["faces"], **{k: v / 1024 for k, v in peak.items()}}))
"""


def linked_tree(root: Path, out: Path, count: int) -> Path:
    """Makes a tree of `count` faces: links to the faces of `root`, repeated under other names."""
    photos = sorted(p for p in root.glob("*/*.jpg") if p.parent.name not in ("landmarks", "Code"))
    for index in range(count):
        photo = photos[index % len(photos)]
        name = f"{photo.stem.removesuffix('_0')}x{index // len(photos)}_0"
        folder = out / photo.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        for suffix in (".jpg", ".mat"):
            (folder / f"{name}{suffix}").symlink_to(photo.with_suffix(suffix).resolve())
    return out


def plain_loop(root: Path, out: Path) -> int:
    """Writes records in one process, without plan, report or second pass; returns their number."""
    import tensorflow.compat.v1 as tf

    from senet_landmark.config import RecordsConfig
    from senet_landmark.data.records import encode_example
    from senet_landmark.data_tools.datasets.registry import list_entries, load_photo, load_sample
    from senet_landmark.data_tools.records.photos import make_record

    correction, stages = default_corrections()[DLIB], get_detector(DLIB).stages
    entries = list_entries("300w_lp", root)
    with tf.io.TFRecordWriter(str(out)) as writer:
        for entry in entries:
            sample, photo = load_sample("300w_lp", entry), load_photo("300w_lp", entry)
            truth = canonical_box(sample.landmarks, sample.scheme)
            (box,) = find_annotated_faces(photo, [truth], stages)
            record, _ = make_record(sample, photo, RecordsConfig(), "300w_lp", box, correction)
            writer.write(encode_example(record))
    return len(entries)


def measure(root: Path, faces: int, workers: int, rounds: int) -> dict[str, list[float]]:
    """Faces a second in each round, by the name of the method."""
    from senet_landmark.data_tools.records.build_records import build_records

    rates: dict[str, list[float]] = {"plain loop": [], f"build-records, {workers} workers": []}
    names = list(rates)
    with tempfile.TemporaryDirectory() as scratch:
        tree = linked_tree(root, Path(scratch) / "tree", faces)
        for number in range(rounds):
            began = time.monotonic()
            plain_loop(tree, Path(scratch) / "plain.tfrecords")
            rates[names[0]].append(faces / (time.monotonic() - began))
            began = time.monotonic()
            out = Path(scratch) / f"records{number}"
            build_records("300w_lp", tree, out, boxes="dlib", workers=workers)
            rates[names[1]].append(faces / (time.monotonic() - began))
            print({name: round(values[-1], 1) for name, values in rates.items()}, flush=True)
    return rates


def memory(root: Path, faces: int) -> dict[str, float]:
    """Peak resident memory in MB of a build with 2 workers that runs in its own process."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = linked_tree(root, Path(scratch) / "tree", faces)
        arguments = [sys.executable, "-c", MEMORY, str(tree), str(Path(scratch) / "out")]
        done = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints the rates, their ratio, and the memory for 500 and 5,000 faces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="a 300W-LP tree")
    parser.add_argument("--faces", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    start_tensorflow()
    rates = measure(options.root, options.faces, options.workers, options.rounds)
    plain, built = (statistics.median(values) for values in rates.values())
    for name, values in rates.items():
        print(f"{name:28} median {statistics.median(values):6.1f} faces/s")
    print(f"ratio {built / plain:.2f}")
    for faces in (500, 5000):
        peak = memory(options.root, faces)
        print(f"{faces} faces: " + ", ".join(f"{k} {v:.0f}" for k, v in peak.items()) + " (MB)")


if __name__ == "__main__":
    main()
