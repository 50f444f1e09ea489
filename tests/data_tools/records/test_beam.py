"""Records built by Apache Beam are the same files."""

import errno
from pathlib import Path

import pytest

from built_records import CONFIG, contents, report_of
from made_records import copy_tree
from senet_landmark.config import RecordsConfig
from senet_landmark.data_tools.records.build_records import build_records
from senet_landmark.errors import InputError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_beam_writes_the_same_files(synthetic_tree, tmp_path, mode):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    from senet_landmark.data_tools.records.beam import build_records_beam

    options = [f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    boxes = "dlib" if mode == "in_memory" else "landmarks"
    build_records("300w_lp", synthetic_tree, tmp_path / "local", CONFIG, boxes=boxes, workers=1)
    build_records_beam(
        "300w_lp", synthetic_tree, tmp_path / "beam", CONFIG, boxes=boxes, options=options
    )
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
    assert report_of(tmp_path / "beam") == report_of(tmp_path / "local")


def test_beam_refuses_a_runner_that_is_none(synthetic_tree, tmp_path):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    from senet_landmark.data_tools.records.beam import build_records_beam

    with pytest.raises(InputError, match="no runner 'LocalRunner'"):
        build_records_beam("300w_lp", synthetic_tree, tmp_path / "out", runner="LocalRunner")


def test_a_photo_that_fails_is_skipped_by_beam_too(synthetic_tree, tmp_path, monkeypatch):
    """Cut off, empty, a damaged annotation, and two over which a library fails."""
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    from senet_landmark.data_tools.records import photos
    from senet_landmark.data_tools.records.beam import build_records_beam

    tree = copy_tree(synthetic_tree, tmp_path / "tree", 12)
    files = sorted((tree / "SYNTH").glob("*.jpg"))
    files[0].write_bytes(files[0].read_bytes()[:500])
    files[1].write_bytes(b"")
    files[2].with_suffix(".mat").write_bytes(b"junk")

    def failing(function, name):
        def run(*args, **kwargs):
            if name in (photo_at_work, getattr(args[0], "source", "")):
                raise MemoryError("of a library")
            return function(*args, **kwargs)

        return run

    photo_at_work = ""
    load_photo = photos.load_photo

    def load(dataset, entry):
        nonlocal photo_at_work
        photo_at_work = entry.source
        return load_photo(dataset, entry)

    monkeypatch.setattr(photos, "load_photo", load)
    finding = failing(photos.find_annotated_faces, f"SYNTH/{files[3].name}")
    monkeypatch.setattr(photos, "find_annotated_faces", finding)
    recording = failing(photos.make_record, f"SYNTH/{files[4].name}")
    monkeypatch.setattr(photos, "make_record", recording)
    options = ["--direct_running_mode=in_memory", "--direct_num_workers=1"]
    config = RecordsConfig(held_out=0)
    report = build_records_beam(
        "300w_lp", tree, tmp_path / "beam", config, boxes="dlib", options=options
    )
    assert report["faces"] == 7 and report["skipped_count"] == 5
    skipped = sorted(report["skipped"], key=lambda skip: skip["face"])
    assert [skip["face"] for skip in skipped] == [f"SYNTH/{file.name}" for file in files[:5]]
    assert all(Path(skip["photo"]).stem in skip["reason"] for skip in skipped)
    assert all("fails (MemoryError: of a library)" in skip["reason"] for skip in skipped[3:])
    build_records("300w_lp", tree, tmp_path / "local", config, boxes="dlib", workers=1)
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")


@pytest.mark.parametrize("mode", ["in_memory", "multi_threading"])
def test_a_folder_that_cannot_be_written_is_a_sentence(
    synthetic_tree, tmp_path, monkeypatch, caplog, mode
):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    from senet_landmark.data_tools.records import beam

    def full(shard, results):
        raise OSError(errno.ENOSPC, "No space left on device", str(shard.path))

    monkeypatch.setattr(beam, "write_faces", full)
    options = [f"--direct_running_mode={mode}"]
    with pytest.raises(InputError, match=r"^/.*\.tfrecords: No space left on device$"):
        beam.build_records_beam("300w_lp", synthetic_tree, tmp_path / "out", options=options)
    assert "Traceback" not in caplog.text
