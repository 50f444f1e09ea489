"""Blinks and yawns of clips that are made so that they are known: `predict clip.mp4 --events`."""

import csv
import itertools
import json
import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from made_clips import Actor, HeadPosition, change_head, clip_frames
from runs import REPOSITORY
from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.errors import InputError
from senet_landmark.export.inference.face import Face
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.video import video
from senet_landmark.export.video.events import (
    COLUMNS,
    Event,
    check_events,
    events_of,
    read_tracks,
    write_events,
)
from senet_landmark.export.video.tracking import Tracker
from senet_landmark.face.expressions import MEASURES, expression_of
from senet_landmark.face.schemes import get_scheme
from shifted_clips import interrupt, rows_of

pytestmark = pytest.mark.slow

RATE, SECONDS = 20.0, 6.0
BLINKS, YAWN = ((0.8, 1.1), (2.2, 2.5)), (3.0, 5.6)
EVENTS = [Event("a.mp4", 1, "blink", 0.84, 1.04, 21, 26, 0.17),
          Event("a.mp4", 2, "yawn", 3.2, 5.4, 80, 135, 0.64)]  # fmt: skip


def acted(time):
    """The face sways, turns and leans; it blinks twice and yawns."""
    eyes = 1.0
    for start, end in BLINKS:
        if start < time < end:
            eyes = 1 - min(1, 3 * min(time - start, end - time) / (end - start))
    share = (time - YAWN[0]) / (YAWN[1] - YAWN[0])
    mouth = 0.8 * np.sin(np.pi * share) ** 0.5 if 0 < share < 1 else 0.0
    wave = np.sin(2 * np.pi * time / 4)
    return HeadPosition(
        (160 + 12 * wave, 128), 100.0, roll=6 * wave, yaw=12 * wave, eyes=eyes, mouth=float(mouth)
    )


def write_acted(path, people, background, seconds=SECONDS):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (320, 240))
    actors = [Actor(people[0], acted)]
    for _, frame, _ in clip_frames(actors, background, RATE, round(seconds * RATE), noise=3.0):
        writer.write(frame[..., ::-1])
    writer.release()
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory, people, background):
    """A folder with `clip.mp4`, and what the command of the documentation made of it."""
    folder = tmp_path_factory.mktemp("acted")
    write_acted(folder / "clip.mp4", people, background)
    page = (REPOSITORY / "docs" / "video.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^senet-landmark (predict clip\.mp4 --events .*)$", page, re.MULTILINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*command.split(), "--no-pictures"]) == 0
    return folder


@pytest.fixture
def again(done, tmp_path, monkeypatch):
    """The same folder, for a test of its own."""
    shutil.copytree(done, tmp_path / "again")
    monkeypatch.chdir(tmp_path / "again")
    record = Path("predictions", "landmarks.videos.json")
    record.write_text(record.read_text().replace(str(done), str(tmp_path / "again")))
    return tmp_path / "again"


def predict(*arguments):
    return main(["predict", *map(str, arguments), "--no-pictures"])


def found_in(path):
    rows = rows_of(path)
    return {kind: [row for row in rows if row["kind"] == kind] for kind in ("blink", "yawn")}


def test_blinks_and_yawns_of_a_made_clip(done):
    found = found_in(done / "events.csv")
    assert (len(found["blink"]), len(found["yawn"])) == (2, 1)
    for row, (start, end) in zip([*found["blink"], *found["yawn"]], [*BLINKS, YAWN], strict=True):
        assert row["video"] == "clip.mp4" and row["identity"] == "1"
        first, last = float(row["start"]), float(row["end"])
        assert start <= first < last <= end and last - first > 0.4 * (end - start)
        assert (int(row["first_frame"]), int(row["last_frame"])) == (
            pytest.approx(first * RATE, abs=0.1), pytest.approx(last * RATE, abs=0.1)
        )  # fmt: skip
    table = rows_of(done / "predictions" / "clip_landmarks.csv")
    eyes = {int(r["frame"]): (float(r[MEASURES[0]]) + float(r[MEASURES[1]])) / 2 for r in table}
    for row in found["blink"]:
        frames = range(int(row["first_frame"]), int(row["last_frame"]) + 1)
        assert float(row["extreme"]) == pytest.approx(min(eyes[f] for f in frames), abs=1e-4)
    assert float(found["yawn"][0]["extreme"]) == max(float(r["mouth_aspect"]) for r in table) > 0.4


def test_a_video_that_is_done_needs_no_second_run(again, capsys, monkeypatch):
    monkeypatch.setattr(Tracker, "update", None)
    assert predict("clip.mp4", "--events", "more/events.json") == 0
    told = capsys.readouterr().out
    assert "done before" in told and "2 blinks, 1 yawns -> more/events.json" in told
    (first, *_), rows = json.loads(Path("more/events.json").read_text()), rows_of("events.csv")
    assert tuple(first) == COLUMNS and [str(first[c]) for c in COLUMNS] == list(rows[0].values())
    assert len(json.loads(Path("more/events.json").read_text())) == len(rows)
    assert predict("clip.mp4", "--events", "more/events.json") == 0  # its own file is replaced


def test_a_stopped_run_has_the_events_until_then(again, monkeypatch, capsys):
    numbers, update = itertools.count(), Tracker.update

    def stop_in_between(self, frame, time):
        if next(numbers) == 35:
            interrupt()
        return update(self, frame, time)

    monkeypatch.setattr(video.Tracker, "update", stop_in_between)
    Path("events.csv").unlink()
    assert predict("clip.mp4", "--events", "events.csv", "--out", "stopped") == 130
    found = found_in("events.csv")
    assert (len(found["blink"]), len(found["yawn"])) == (1, 0)


def test_events_of_several_videos_are_in_one_file(again):
    shutil.copy("clip.mp4", "b.mp4")
    shutil.copy(portrait_path(), "photo.jpg")
    Path("b.txt").write_text("no video")
    assert predict("clip.mp4", "b.mp4", "photo.jpg", "--events", "events.csv") == 0
    assert [row["video"] for row in rows_of("events.csv")] == ["clip.mp4"] * 3 + ["b.mp4"] * 3


@pytest.mark.parametrize("name", ["a.csv", "a.json", "A.CSV"])
def test_an_interruption_leaves_no_half_written_file(tmp_path, monkeypatch, name):
    path = tmp_path / name
    write_events(path, EVENTS[:1])
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="cannot be written"):
        write_events(path, EVENTS)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    write_events(path, [])
    check_events(path, get_scheme("300w_68"))
    assert path.read_text() in ("[]\n", ",".join(COLUMNS) + "\n")


def test_both_kinds_of_files_have_the_same(tmp_path):
    for name in ("a.csv", "a.json"):
        write_events(tmp_path / name, EVENTS)
    with open(tmp_path / "a.csv", newline="") as stream:
        rows = [Event(row["video"], int(row["identity"]), row["kind"], float(row["start"]),
                      float(row["end"]), int(row["first_frame"]), int(row["last_frame"]),
                      float(row["extreme"])) for row in csv.DictReader(stream)]  # fmt: skip
    assert rows == EVENTS
    assert [Event(**row) for row in json.loads((tmp_path / "a.json").read_text())] == EVENTS


def test_photos_have_no_events(tmp_path, capsys):
    assert predict(portrait_path(), "--out", tmp_path / "out", "--events", tmp_path / "e.csv") == 2
    assert "--events is for videos, and there are none" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_model_without_the_points_is_told(again, monkeypatch, capsys):
    monkeypatch.setattr(Predictor, "scheme", get_scheme("mtfl_5"))
    assert predict("clip.mp4", "--events", "e.csv", "--out", "five") == 2
    told = capsys.readouterr().err
    assert "mtfl_5, have no points of eyelids and lips" in told and "Leave --events out" in told
    assert not Path("e.csv").exists() and not Path("five").exists()


def test_files_that_cannot_be_or_are_of_others_are_told_first(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "notes.csv").write_text("day,note\n1,2\n")
    (tmp_path / "list.json").write_text('[{"a": 1}]')
    for name, message in (
        ("events.txt", r"as \.csv or \.json"),
        ("folder.csv", "is a folder"),
        ("notes.csv", "is there already, and holds no events"),
        ("list.json", "is there already, and holds no events"),
    ):
        with pytest.raises(InputError, match=message):
            check_events(tmp_path / name, get_scheme("300w_68"))
    check_events(tmp_path / "notes.csv", get_scheme("300w_68"), overwrite=True)


def test_the_videos_own_table_stays(again, capsys):
    table = Path("predictions", "clip_landmarks.csv")
    before = table.read_bytes()
    assert predict("clip.mp4", "--overwrite", "--seconds", "0.1", "--events", table) == 2
    assert "is the table of a video" in capsys.readouterr().err
    assert table.read_bytes().startswith(before[:500])


def test_tables_of_earlier_versions_and_others_are_told(tmp_path):
    table = tmp_path / "a_landmarks.csv"
    with pytest.raises(InputError, match="cannot be read"):
        read_tracks(table)
    table.write_text("frame,time,identity,x0\n0,0.0,1,5.0\n")
    with pytest.raises(InputError, match=r"eye_aspect_left.*earlier versions.*--overwrite"):
        read_tracks(table)
    columns = "frame,time,identity," + ",".join(MEASURES)
    table.write_text(f"{columns}\n0,0.0,one,,,,,\n")
    with pytest.raises(InputError, match="not as predict wrote it"):
        read_tracks(table)
    table.write_text(f"{columns}\n1,0.1,1,,,,,\n0,0.0,1,0.3,0.3,0,0,0\n")
    with pytest.raises(InputError, match="times must grow"):
        events_of("a.mp4", table)
    table.write_text(f"{columns}\n1,0.1,1,,,,,\n2,0.2,1,0.3,0.4,0,0,0\n")
    track = read_tracks(table)[1]
    assert np.isnan(track.eyes[0]) and track.eyes[1] == 0.35 and events_of("a.mp4", table) == []


def test_made_expressions_are_exact(people):
    """The truth of a clip: what the mesh does to the landmarks."""
    before = expression_of(people[0].landmarks, "300w_68")
    after = expression_of(change_head(people[0], eyes=0.25, mouth=0.5).landmarks, "300w_68")
    for name in ("eye_aspect_left", "eye_aspect_right"):
        assert getattr(after, name) == pytest.approx(0.25 * getattr(before, name), rel=0.1)
    assert after.mouth_aspect == pytest.approx(before.mouth_aspect + 0.5, rel=0.1)
    assert after.brow_raise == pytest.approx(before.brow_raise, abs=0.02)


def test_tables_of_models_without_the_points_have_no_measures():
    face = Face(np.array([0.0, 0, 9, 9]), np.zeros((5, 2), np.float32), scheme="mtfl_5")
    assert face.expression is None and video._measures(face) == []
