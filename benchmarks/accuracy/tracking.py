"""The tracker measured on clips made from photos: jitter, lag, identities, memory, similarity.

    python benchmarks/accuracy/tracking.py --root 300W_LP --ytf ytf

Every clip is written to a video file, with sensor noise and MPEG-4 compression, and read by
`predict_video` as a user calls it. The ground truth is known because the clips are drawn
(`made_clips.py`).

Smoothing: a face that keeps still, one that sways slowly, and one that sways by its own width in
half a second. Jitter is the mean difference between a landmark's movement from frame to frame and
its true movement. Lag is the delay for which the path of the face's centre fits the true path best.
Both are measured with and without the filter; the table shows medians over the faces.

Identities: a minute with four faces that cross, turn and fade (`crossing_actors`), repeated with
other faces. Memory is that of the process: its peak in the first sixth of the job, and its peak
after that.

Similarity: how often two chips (small aligned crops) of YouTube Faces are similar enough to be one
face, for two frames of one scene and for two people.
"""

import argparse
import csv
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

import made_clips
from identity_scores import score_identities
from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.data_tools.datasets.samples import Entry
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video import appearance, tracks
from senet_landmark.export.video.video import predict_video
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.io.images import read_photo
from senet_landmark.visualisation.tables import markdown_table

RATE, WIDTH, HEIGHT, NOISE = 25.0, 640, 480, 4.0
FACE = 120.0
"""Size of the swaying faces in pixels."""

MOTIONS = {"still": (0.0, 1.0), "slow": (0.5, 4.0), "brisk": (0.5, 1.0)}
"""Name -> (movement to each side in face sizes, period in seconds)."""

BLACK = 0.02
"""Largest share of a cropped head that may be black: 300W-LP's photos have black borders."""

Points = dict[tuple[int, int], np.ndarray]
"""(frame, identity) -> landmarks [68, 2]."""


def heads_of(
    entries: list[Entry], count: int, seed: int, predictor: Predictor
) -> list[made_clips.Head]:
    """Random heads of 300W-LP's faces that are complete and that the detector finds."""
    generator = np.random.default_rng(seed)
    heads: list[made_clips.Head] = []
    for index in generator.permutation(len(entries)):
        sample = load_sample("300w_lp", entries[index])
        photo = read_photo(sample.photo)
        head = made_clips.crop_head(photo, sample.landmarks)
        black = (head.picture[..., :3].max(axis=2) < 4) & (head.picture[..., 3] > 200)
        box = box_from_landmarks(sample.landmarks)
        if black.mean() < BLACK and any(
            np.linalg.norm(other[:2] + other[2:] - box[:2] - box[2:]) < 0.8 * (box[2] - box[0])
            for other in predictor.detect(photo).boxes
        ):
            heads.append(head)
        if len(heads) == count:
            break
    return heads


def write_clip(path: Path, actors: list[made_clips.Actor], count: int) -> list:
    """Draws a clip into a video file; the faces of each frame."""
    background = made_clips.made_background(WIDTH, HEIGHT)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (WIDTH, HEIGHT))
    truths = []
    for _, frame, faces in made_clips.clip_frames(actors, background, RATE, count, NOISE):
        writer.write(frame[..., ::-1])
        truths.append(faces)
    writer.release()
    return truths


def read_table(path: str) -> Points:
    """Reads the CSV that `predict_video` wrote."""
    table = {}
    with open(path, newline="") as stream:
        for row in csv.DictReader(stream):
            points = [[float(row[f"{axis}{i}"]) for axis in "xy"] for i in range(68)]
            table[int(row["frame"]), int(row["identity"])] = np.array(points)
    return table


def figures_of_path(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Jitter in %, lag in frames, NME in %; the norm is the distance of the eye corners.

    Args:
      predicted: landmarks [T, 68, 2], pixels.
      truth: true landmarks [T, 68, 2], pixels.
    """
    norm = float(np.linalg.norm(truth[:, 36] - truth[:, 45], axis=1).mean())
    difference = np.diff(predicted, axis=0) - np.diff(truth, axis=0)
    jitter = 100 * float(np.linalg.norm(difference, axis=2).mean()) / norm
    error = 100 * float(np.linalg.norm(predicted - truth, axis=2).mean()) / norm
    paths = [points.mean(axis=1) - points.mean(axis=(0, 1)) for points in (predicted, truth)]
    frames = np.arange(len(truth), dtype=float)
    shifts = np.arange(-1, 4, 0.01)
    distances = []
    for shift in shifts:
        delayed = np.stack([np.interp(frames - shift, frames, axis) for axis in paths[1].T], axis=1)
        distances.append(float(((paths[0] - delayed)[5:-5] ** 2).sum()))
    return jitter, float(shifts[int(np.argmin(distances))]), error


def measure_smoothing(heads: list[made_clips.Head], predictor: Predictor, folder: Path) -> None:
    """Prints the table of jitter and lag."""
    rows = []
    for motion, (reach, period) in MOTIONS.items():
        figures: dict[bool, list[tuple[float, float, float]]] = {False: [], True: []}
        for head in heads:
            actor = made_clips.swaying_actor(
                head, WIDTH, HEIGHT, size=FACE, reach=reach, period=period
            )
            truths = write_clip(folder / "sway.mp4", [actor], 100)
            for smooth in figures:
                result = predict_video(
                    folder / "sway.mp4", folder, predictor=predictor, smooth=smooth, pictures=False
                )
                table = read_table(result["csv"])
                frames = [i for i in range(10, 100) if (i, 1) in table]
                if len(frames) < 80:
                    print(f"a face was missed in {90 - len(frames)} frames, and is left out")
                    continue
                predicted = np.stack([table[i, 1] for i in frames])
                truth = np.stack([truths[i][0].landmarks for i in frames])
                figures[smooth].append(figures_of_path(predicted, truth))
        for smooth, values in figures.items():
            jitter, lag, error = (statistics.median(v) for v in zip(*values, strict=True))
            lag_text = f"{round(lag, 2) + 0:.2f}" if reach else "–"  # + 0 avoids -0.00
            name = "one-euro" if smooth else "none"
            rows.append([motion, name, f"{jitter:.3f}", lag_text, f"{error:.2f}"])
    titles = ["motion", "filter", "jitter, %", "lag, frames", "NME, %"]
    print(markdown_table(titles, rows, texts=2))


def resident() -> float:
    """Resident memory of this process in MB."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def measure_identities(
    clips: Iterable[list[made_clips.Head]], seconds: float, yaw: float, predictor: Predictor,
    folder: Path,
) -> None:  # fmt: skip
    """Prints the table of the long clips."""
    rows = []
    for number, heads in enumerate(clips):
        actors = made_clips.crossing_actors(heads, WIDTH, HEIGHT, yaw)
        count = round(seconds * RATE)
        truths = write_clip(folder / "crossing.mp4", actors, count)
        levels: list[tuple[float, float]] = []
        ended = threading.Event()

        def watch(levels=levels, ended=ended) -> None:
            while not ended.wait(0.2):
                levels.append((time.monotonic(), resident()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.monotonic()
        result = predict_video(folder / "crossing.mp4", folder, predictor=predictor)
        seconds_taken = time.monotonic() - began
        ended.set()
        watcher.join()
        table = read_table(result["csv"])
        score = score_identities(by_frame(truths, table))
        early = max(level for at, level in levels if at - began <= seconds_taken / 6)
        late = max(level for at, level in levels if at - began > seconds_taken / 6)
        counts = ("faces", "lost", "longest", "id_switches", "fragmentations", "false_positives")
        memory = (f"{early:.0f}", f"{late:.0f}")
        rows.append(
            [
                str(number), *(str(score[name]) for name in counts), f"{score['nme']:.2f}",
                f"{1000 * seconds_taken / count:.0f}", *memory,
            ]
        )  # fmt: skip
    titles = [
        "clip", "faces to find", "missed", "longest gap, frames", "ID switches", "fragmentations",
        "false positives", "NME, %", "ms a frame", "memory at 1/6, MB", "peak after, MB",
    ]  # fmt: skip
    print(markdown_table(titles, rows, texts=1))


def by_frame(truths: list, table: Points) -> Iterator[tuple[list, list]]:
    """(true faces, detections) of each frame."""
    detections: dict[int, list] = {}
    for (frame, identity), points in table.items():
        detections.setdefault(frame, []).append((identity, points))
    for frame, faces in enumerate(truths):
        yield faces, detections.get(frame, [])


def measure_similarity(root: Path, predictor: Predictor, people: int = 120) -> None:
    """Prints how often chips of one scene, and of two people, reach the tracker's thresholds."""
    entries = list_entries("ytf", root)
    names = sorted({entry.identity for entry in entries})
    chosen = set(np.random.default_rng(0).permutation(names)[:people])
    chips, persons, scenes = [], [], []
    for entry in entries:
        if entry.identity not in chosen:
            continue
        sample = load_sample("ytf", entry)
        photo = read_photo(entry.photo)
        box = box_from_landmarks(sample.landmarks)
        (face,) = predictor.faces(photo, box[None], "landmarks")
        if face.confidence >= tracks.SURE:
            chips.append(appearance.face_chip(photo, face.landmarks, predictor.scheme))
            persons.append(entry.identity)
            scenes.append(entry.photo.stem[:-1])  # NAME_20, NAME_21, NAME_22 are one scene
    similarity = np.stack(chips) @ np.stack(chips).T
    upper = np.triu(np.ones(similarity.shape, bool), 1)
    one_scene = upper & (np.array(scenes)[:, None] == np.array(scenes))
    two_people = upper & (np.array(persons)[:, None] != np.array(persons))
    rows = []
    for least in (tracks.DISSIMILAR, tracks.SIMILAR, appearance.ALIKE, tracks.SIMILAR_ANYWHERE):
        shares = [100 * float((similarity[p] >= least).mean()) for p in (one_scene, two_people)]
        rows.append([str(least), f"{shares[0]:.1f}%", f"{shares[1]:.2f}%"])
    titles = ["similarity", "of pairs of one scene", "of pairs of two people"]
    print(markdown_table(titles, rows, texts=0))


def main() -> None:
    """Runs the measurements that the options ask for, and prints them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="a 300W-LP tree")
    parser.add_argument("--ytf", type=Path, help="folder of YouTube Faces, for the similarity")
    parser.add_argument("--heads", type=int, default=10, help="number of faces for jitter and lag")
    parser.add_argument("--clips", type=int, default=3, help="number of long clips")
    parser.add_argument("--seconds", type=float, default=60, help="length of a long clip")
    parser.add_argument("--yaw", type=float, default=0, help="largest yaw of the heads, degrees")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of faces")
    options = parser.parse_args()
    predictor = Predictor()
    print(f"engine {predictor.engine}")
    entries = list_entries("300w_lp", options.root)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.heads:
            heads = heads_of(entries, options.heads - 1, options.seed, predictor)
            heads.append(made_clips.crop_head(*portrait()))
            measure_smoothing(heads, predictor, folder)
        clips = (
            heads_of(entries, 4, 100 + options.seed + i, predictor) for i in range(options.clips)
        )
        measure_identities(clips, options.seconds, options.yaw, predictor, folder)
    if options.ytf:
        measure_similarity(options.ytf, predictor)


if __name__ == "__main__":
    main()
