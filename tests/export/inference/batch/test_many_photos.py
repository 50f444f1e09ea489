"""`predict` over many photos: lines as they come, what is done stays done, nothing else is lost."""

import errno
import json
import os
import shutil
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.errors import InputError
from senet_landmark.export.inference import predict
from senet_landmark.export.inference.batch import lines, results, work
from senet_landmark.export.inference.predict import predict_photos
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.io.images import write_picture

pytestmark = pytest.mark.slow

BOX = np.array([174.5, 85.5, 265.5, 176.5])


def two_boxes(photo):
    """Stands for a detector where only the number of faces matters, and the time."""
    return np.stack([BOX, BOX + 4]), np.array([1.0, 0.5])


@pytest.fixture(scope="module")
def twice():
    """A predictor that finds two faces in every photo."""
    return Predictor(detector=two_boxes, threads=1, passes=1)


@pytest.fixture
def photos(tmp_path):
    """Three copies of the portrait, one of them in a subfolder."""
    for name in ("a.jpg", "b.jpg", "deep/a.jpg"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(portrait_path(), tmp_path / "in" / name)
    return tmp_path / "in"


def lines_in(out):
    text = (out / "landmarks.jsonl").read_bytes()
    assert text.endswith(b"\n") or not text
    return [json.loads(line) for line in text.splitlines()]


def files_in(out):
    """Name -> content; the header is left out, for it has the folder's path."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != lines.HEADER
    }


def test_every_photo_has_a_line_and_the_other_files_are_made_of_them(photos, tmp_path, twice):
    out = tmp_path / "out"
    formats = ("json", "csv", "dlib", "pts")
    summary = predict_photos([photos], out, predictor=twice, write=formats, chip_size=32)
    assert (summary["photos"], summary["faces"], summary["before"]) == (3, 6, 0)
    written = lines_in(out)
    assert [line["name"] for line in written] == ["a", "b", "deep/a"]
    assert [line["image"] for line in written] == [
        str(photos / name) for name in ("a.jpg", "b.jpg", "deep/a.jpg")
    ]
    assert (out / "landmarks.json").read_text() == json.dumps(written, indent=2) + "\n"
    assert len((out / "landmarks.csv").read_text().splitlines()) == 7
    assert (out / "landmarks.xml").read_text().count("<box ") == 6
    names = {f"deep/a{end}" for end in (".pts", "_2.pts", "_chip_1.png", "_chip_2.png")}
    assert names | {"deep/a_landmarks.jpg"} <= set(files_in(out))
    assert not (out / lines.WORK).exists()


def test_the_same_call_goes_on_and_further_photos_are_added(photos, tmp_path, twice):
    out, whole = tmp_path / "out", tmp_path / "whole"
    options = {"predictor": twice, "write": ("json", "csv", "pts")}
    predict_photos([photos], whole, **options)
    first = photos / "b.jpg"
    predict_photos([first], out, **options)
    before = (out / "b_landmarks.jpg").stat().st_mtime_ns
    summary = predict_photos([photos], out, **options)
    assert (summary["photos"], summary["before"], summary["faces"]) == (3, 1, 6)
    assert (out / "b_landmarks.jpg").stat().st_mtime_ns == before
    expected = files_in(whole)
    files = files_in(out)
    assert sorted(files.pop("landmarks.jsonl").splitlines()) == sorted(
        expected.pop("landmarks.jsonl").splitlines()
    )
    assert files == expected  # landmarks.json and .csv in the order of the photos


def test_a_half_written_line_is_cut_off_and_done_again(photos, tmp_path, twice):
    out = tmp_path / "out"
    predict_photos([photos], out, predictor=twice)
    expected = files_in(out)
    text = expected["landmarks.jsonl"]
    last = text.rindex(b"\n", 0, -1) + 1
    for end in (last + 1, last + 400, len(text) - 1):
        (out / "landmarks.jsonl").write_bytes(text[:end])
        (out / lines.WORK).mkdir()
        (out / lines.WORK / lines.BEGUN).write_bytes(b"a\0b\0deep/a\0dee")
        summary = predict_photos([photos], out, predictor=twice)
        assert summary["before"] == 2 and files_in(out) == expected
    (out / "landmarks.jsonl").write_bytes(text[:last] + b"\0" * 50 + b"}\n")  # after a power cut
    (out / lines.WORK).mkdir()
    (out / lines.WORK / lines.BEGUN).write_bytes(b"deep/a\0")
    predict_photos([photos], out, predictor=twice)
    assert files_in(out) == expected
    (out / "landmarks.jsonl").write_bytes(b"my own notes\n" + text)
    with pytest.raises(InputError, match="line 1 is none that predict wrote"):
        predict_photos([photos], out, predictor=twice)


def test_other_options_are_refused(photos, tmp_path, twice):
    out = tmp_path / "out"
    predict_photos([photos], out, predictor=twice)
    with pytest.raises(InputError, match=r"other options \(align 0, now 32\).*--overwrite"):
        predict_photos([photos], out, predictor=twice, chip_size=32)
    other = Predictor("senet-68-small", detector=two_boxes)
    with pytest.raises(InputError, match="model senet-68, now senet-68-small"):
        predict_photos([photos], out, predictor=other)
    summary = predict_photos([photos], out, predictor=other, chip_size=32, overwrite=True)
    assert summary["before"] == 0 and len(lines_in(out)) == 3
    # Another format is made of the lines that are there.
    formats = ("csv",)
    predict_photos([photos], out, predictor=other, chip_size=32, write=formats)
    assert (out / "landmarks.csv").exists()


def test_names_of_results_do_not_meet(tmp_path, twice):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("party.jpg", "party_2.jpg", "party.png"):
        write_picture(folder / name, portrait()[0])
    predict_photos([folder], out, predictor=twice, write=("pts",), chip_size=32)
    assert len(list(out.glob("*.pts"))) == 6 and len(list(out.glob("*_landmarks.jpg"))) == 3
    assert len(list(out.glob("*_chip_*.png"))) == 6


def test_what_predict_wrote_is_no_input(photos, twice):
    for _ in range(3):
        summary = predict_photos([photos], photos, predictor=twice, chip_size=32)
        assert summary["photos"] == 3
    for _ in range(2):
        summary = predict_photos([photos], photos / "predictions", predictor=twice)
        assert summary["photos"] == 3
    pictures = sorted(photos.glob("*.jpg"))
    summary = predict_photos(pictures, photos / "predictions", predictor=twice)
    assert len(pictures) == 4 and summary["photos"] == 2


def test_files_of_others_are_not_replaced(photos, tmp_path, twice):
    (photos / "a.pts").write_text("made by hand")
    options = {"predictor": twice, "write": ("pts",), "pictures": False}
    summary = predict_photos([photos], photos, **options)
    assert summary["photos"] == 2 and summary["skipped_count"] == 1
    assert "a.pts is there already" in summary["skipped"][0]["reason"]
    assert not (photos / "a_2.pts").exists()
    assert (photos / "a.pts").read_text() == "made by hand"
    # A table that was corrected by hand.
    out = tmp_path / "out"
    predict_photos([photos], out, predictor=twice, write=("csv",))
    (out / "landmarks.csv").write_text((out / "landmarks.csv").read_text() + "\n")
    with pytest.raises(InputError, match=r"landmarks\.csv: is there already"):
        predict_photos([photos], out, predictor=twice, write=("csv",))
    predict_photos([photos], out, predictor=twice, write=("csv",), overwrite=True)


def test_bad_files_are_skipped_and_named(photos, tmp_path, twice):
    (photos / "bad.jpg").write_bytes(b"\xff\xd8 no photo")
    long_name = "x" * 245 + ".jpg"  # its own name is short enough, that of its picture is not
    shutil.copy(portrait_path(), photos / long_name)
    shutil.copy(portrait_path(), os.fsencode(photos) + b"/\xd5\xd5.jpg")
    out = tmp_path / "out"
    formats = ("json", "csv", "dlib")
    summary = predict_photos([photos], out, predictor=twice, write=formats)
    assert summary["photos"] == 4 and summary["skipped_count"] == 2
    reasons = [skip["reason"] for skip in summary["skipped"]]
    assert "does not decode" in reasons[0] and "File name too long" in reasons[1]
    told = (out / lines.SKIPPED).read_text().splitlines()
    assert [json.loads(line)["reason"] for line in told] == reasons
    images = [line["image"] for line in json.loads((out / "landmarks.json").read_text())]
    assert os.fsdecode(os.fsencode(photos) + b"/\xd5\xd5.jpg") in images
    assert r"\udcd5" in (out / "landmarks.csv").read_text()
    # What failed is tried again.
    shutil.copy(portrait_path(), photos / "bad.jpg")
    summary = predict_photos([photos], out, predictor=twice, write=formats)
    assert (summary["photos"], summary["before"], summary["skipped_count"]) == (5, 4, 1)


def test_command_prints_names_that_are_no_text(tmp_path, capfd):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xd5.png")
    Path(path).write_bytes(cv2.imencode(".png", np.full((90, 90, 3), 200, np.uint8))[1].tobytes())
    out = tmp_path / "out"
    assert main(["predict", path, "--out", str(out), "--engine", "opencv"]) == 0
    assert r"no face found: " in capfd.readouterr().out


def test_nothing_is_left_where_nothing_could_be_done(photos, tmp_path, twice):
    for path in photos.rglob("*.jpg"):
        path.write_bytes(b"no photo")
    with pytest.raises(InputError, match="No photo could be read"):
        predict_photos([photos], tmp_path / "out", predictor=twice)
    assert not list((tmp_path / "out").iterdir())


def test_library_error_is_one_skipped_photo(photos, tmp_path):
    def fails(photo):
        fails.calls += 1
        if fails.calls == 2:
            raise cv2.error("of one photo")
        return two_boxes(photo)

    fails.calls = 0
    summary = predict_photos([photos], tmp_path / "out", predictor=Predictor(detector=fails))
    assert summary["photos"] == 2 and "of one photo" in summary["skipped"][0]["reason"]


def test_full_disk_keeps_what_was_done(photos, tmp_path, twice, monkeypatch):
    out, whole = tmp_path / "out", tmp_path / "whole"
    predict_photos([photos], whole, predictor=twice)
    plain, done = os.write, []

    def half(file, data):
        """The second line is written by half, then the disk is full."""
        if data.startswith(b'{"image"'):
            done.append(1)
            if len(done) == 2:
                return plain(file, data[: len(data) // 2])
            if len(done) > 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        elif len(done) >= 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain(file, data)

    with monkeypatch.context() as patched:
        patched.setattr(results.os, "write", half)
        with pytest.raises(InputError, match=r"landmarks\.jsonl: cannot be written \(No space"):
            predict_photos([photos], out, predictor=twice)
    assert len(lines_in(out)) == 1

    def full(temporary, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(temporary))

    with monkeypatch.context() as patched:
        patched.setattr(work.os, "replace", full)
        with pytest.raises(InputError, match=r"_landmarks\.jpg: cannot be written \(No space"):
            predict_photos([photos], out, predictor=twice)
    assert len(lines_in(out)) == 1
    summary = predict_photos([photos], out, predictor=twice)
    assert summary["before"] == 1 and files_in(out) == files_in(whole)


def test_two_runs_in_one_folder(photos, tmp_path, twice):
    out = tmp_path / "out"
    with (
        results.results_folder(out, {}, []),
        pytest.raises(InputError, match="another run writes its results there"),
    ):
        predict_photos([photos], out, predictor=twice)


def test_a_run_from_another_folder_knows_its_photos(photos, tmp_path, twice, monkeypatch):
    monkeypatch.chdir(tmp_path)
    predict_photos([Path("in")], "out", predictor=twice)
    monkeypatch.chdir(photos)
    summary = predict_photos([Path(".")], tmp_path / "out", predictor=twice)
    assert (summary["photos"], summary["before"]) == (3, 3)
    other = tmp_path / "other" / "in"
    shutil.copytree(photos, other)
    monkeypatch.chdir(other.parent)
    summary = predict_photos([Path("in")], tmp_path / "out", predictor=twice)
    assert summary["before"] == 0 and len(lines_in(tmp_path / "out")) == 6
    assert len(list((tmp_path / "out").rglob("*_landmarks.jpg"))) == 6


def test_memory_does_not_grow_with_the_photos(tmp_path, twice, monkeypatch):
    photo = cv2.imencode(".jpg", portrait()[0][60:260, 120:320, ::-1])[1].tobytes()
    peaks = {}
    for count in (10, 60):
        folder = tmp_path / f"in{count}"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:04d}.jpg").write_bytes(photo)
        options = {"predictor": twice, "write": ("json", "csv", "dlib"), "pictures": False}
        tracemalloc.start()
        predict_photos([folder], tmp_path / f"out{count}", **options)
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # 50 lines of two faces are 0.4 MB, and several times that as Python's objects.
    assert peaks[60] < peaks[10] + 150_000


def test_summary_names_a_bounded_number(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "MOST_NAMED", 2)
    nobody = Predictor(detector=lambda photo: (np.zeros((0, 4)), np.zeros(0)))
    summary = predict_photos([photos], tmp_path / "out", predictor=nobody)
    assert summary["without_face_count"] == 3 and len(summary["without_face"]) == 2
