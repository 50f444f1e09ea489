"""Measures of expressions, and the blinks and yawns of clips, on validation faces alone.

    python benchmarks/accuracy/expressions.py --root 300W_LP

The faces are those of 300W-LP on which the models that ship were validated: held out as
`build-records` did then, before it joined copies of a photo. Measures: those of predicted
landmarks beside those of annotated ones, on the photos.

Events: each head becomes a clip (`made_clips.py`) with sensor noise and MPEG-4. It sways, turns by
up to 15 degrees and leans, blinks 0.15 to 0.35 s long, speaks, and yawns. `predict_video` reads it
as a user calls it. Lower frame rates are had by leaving out frames of the table.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import made_clips
from senet_landmark.data_tools.datasets.registry import list_entries, load_sample
from senet_landmark.data_tools.datasets.samples import Entry
from senet_landmark.data_tools.records.split import split_entries
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video.events import Track, read_tracks
from senet_landmark.export.video.video import predict_video
from senet_landmark.face.expression_events import Span, find_blinks, find_yawns
from senet_landmark.face.expressions import MEASURES, expression_of
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.io.images import read_photo
from senet_landmark.visualisation.tables import markdown_table
from tracking import FACE, HEIGHT, RATE, WIDTH, heads_of, write_clip

SECONDS = 20
HELD_OUT = 0.1
"""Share of the photos that are held out."""

SKIPS = (1, 2, 3)
"""Of so many frames one is read."""


@dataclass(frozen=True)
class Script:
    """What a face of a clip does: blinks and yawns, (start, end) in seconds; and when it speaks."""

    blinks: tuple[tuple[float, float], ...]
    yawns: tuple[tuple[float, float], ...]
    speech: tuple[float, float]

    def eyes(self, time: float) -> float:
        """The opening of the eyes: closed within a third of a blink, and as long shut."""
        for start, end in self.blinks:
            if start < time < end:
                return float(1 - min(1, 3 * min(time - start, end - time) / (end - start)))
        return 1.0

    def mouth(self, time: float) -> float:
        """How far the mouth is opened: four syllables a second, or slowly and wide in a yawn."""
        for start, end in self.yawns:
            if start < time < end:
                return 0.9 * float(np.sin(np.pi * (time - start) / (end - start)) ** 0.6)
        if self.speech[0] < time < self.speech[1]:
            return 0.15 * float(1 - np.cos(2 * np.pi * 4 * (time - self.speech[0])))
        return 0.0


def random_script(generator: np.random.Generator) -> Script:
    """A blink every two to four seconds, one yawn, six seconds of speech."""
    blinks, time = [], 1.0
    while time < SECONDS - 1.5:
        blinks.append((time, time + float(generator.uniform(0.15, 0.35))))
        time += float(generator.uniform(2, 4))
    yawn = float(generator.uniform(9, 13))
    return Script(tuple(blinks), ((yawn, yawn + float(generator.uniform(3, 5))),), (2.0, 8.0))


def acting(head: made_clips.Head, script: Script, phase: float) -> made_clips.Actor:
    """A head that moves, and follows a script."""

    def path(time: float) -> made_clips.HeadPosition:
        wave = [float(np.sin(2 * np.pi * time / period + phase)) for period in (5.0, 7.0, 4.3)]
        return made_clips.HeadPosition(
            (WIDTH / 2 + 30 * wave[0], 0.52 * HEIGHT + 8 * wave[1]), FACE, roll=8 * wave[1],
            yaw=15 * wave[2], eyes=script.eyes(time), mouth=script.mouth(time),
        )  # fmt: skip

    return made_clips.Actor(head, path)


def matches(found: list[tuple[float, float]], made: tuple[tuple[float, float], ...]) -> int:
    """How many that were made overlap with one that was found."""
    return sum(any(a < end and b > start for a, b in found) for start, end in made)


def span_times(track: Track, spans: list[Span]) -> list[tuple[float, float]]:
    """Start and end of spans in seconds; those of one frame last for a moment."""
    return [(float(track.times[s.first]), float(track.times[s.last]) + 1e-3) for s in spans]


def measure_pairs(dataset: str, entries: list[Entry], predictor: Predictor) -> np.ndarray:
    """The measures of annotated and of predicted landmarks, [2, measures, faces that have both]."""
    pairs = []
    for entry in entries:
        sample = load_sample(dataset, entry)
        photo = read_photo(sample.photo)
        (face,) = predictor.faces(photo, box_from_landmarks(sample.landmarks)[None], "landmarks")
        truth = expression_of(sample.landmarks, sample.scheme)
        if truth and face.expression:
            pairs.append([list(vars(e).values()) for e in (truth, face.expression)])
    return np.array(pairs).transpose(1, 2, 0)


def print_measures(entries: list[Entry], predictor: Predictor) -> None:
    """Prints how far measures of predicted landmarks are from those of annotated ones."""
    truth, predicted = measure_pairs("300w_lp", entries, predictor)
    rows = [
        [name, f"{np.median(a):.2f}", f"{a.std():.3f}", f"{np.sqrt(((a - b) ** 2).mean()):.3f}",
         f"{np.corrcoef(a, b)[0, 1]:.2f}"]
        for name, a, b in zip(MEASURES, truth, predicted, strict=True)
    ]  # fmt: skip
    print(f"{truth.shape[1]} faces")
    print(markdown_table(["measure", "median", "sd", "error, RMS", "correlation"], rows, texts=1))


def made_tracks(
    heads: list[made_clips.Head], predictor: Predictor, folder: Path
) -> list[tuple[Script, Track]]:
    """What each head did, and its longest track."""
    generator = np.random.default_rng(0)
    tracks = []
    for number, head in enumerate(heads):
        script = random_script(generator)
        actor = acting(head, script, float(number))
        path = folder / f"{number}.mp4"
        write_clip(path, [actor], round(SECONDS * RATE))
        result = predict_video(path, folder, predictor=predictor, pictures=False)
        found = read_tracks(Path(result["csv"])).values()
        tracks.append((script, max(found, key=lambda track: len(track.times))))
    return tracks


def print_events(tracks: list[tuple[Script, Track]]) -> None:
    """Prints how many blinks and yawns were made, found, and found wrongly."""
    rows = []
    for skip in SKIPS:
        for kind, find, name in (("blinks", find_blinks, "eyes"), ("yawns", find_yawns, "mouth")):
            counts = np.zeros(3, int)
            for script, whole in tracks:
                track = Track(*(values[::skip] for values in whole))
                found = span_times(track, find(track.times, getattr(track, name)))
                made = getattr(script, kind)
                wrong = sum(not matches([span], made) for span in found)
                counts += (len(made), matches(found, made), wrong)
            rows.append([f"{RATE / skip:.1f}", kind, *map(str, counts)])
    print(markdown_table(["frames a second", "kind", "made", "found", "false"], rows, texts=2))


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="a 300W-LP tree")
    parser.add_argument("--heads", type=int, default=6, help="number of clips, a face each")
    options = parser.parse_args()
    predictor = Predictor()
    entries = split_entries(list_entries("300w_lp", options.root), HELD_OUT).sides["validation"]
    print_measures(entries, predictor)
    with tempfile.TemporaryDirectory() as name:
        heads = heads_of(entries, options.heads, 0, predictor)
        print_events(made_tracks(heads, predictor, Path(name)))


if __name__ == "__main__":
    main()
