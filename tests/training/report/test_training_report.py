"""What event files hold, as one curve, and the page of a run: true to the run, whole, alone."""

import html
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from senet_landmark.cli import app
from senet_landmark.config import load_config
from senet_landmark.data.records import load_records_info
from senet_landmark.errors import InputError
from senet_landmark.training.pictures import predictions_picture
from senet_landmark.training.report import report
from senet_landmark.training.report.charts import NME, charts_of
from senet_landmark.training.report.report import write_training_report
from senet_landmark.training.run_log import RunLog, curves, logged_picture, read_log, session_start
from senet_landmark.training.tracking.event_file import summary

pytestmark = pytest.mark.slow


def session(run, number: int, restored: int, steps, every: int = 2, value: float = 0.0):
    """Event file `number` of a session that goes on from step `restored`."""
    writer = tf.summary.FileWriter(str(run), filename_suffix=f".{number}")
    writer.add_event(session_start(restored))
    for step in steps:
        writer.add_summary(summary({"train/loss": value + step}), step)
        if step % every == 0:
            writer.add_summary(summary({NME: 100 * value + step}), step)
    writer.close()
    return sorted(run.glob(f"*.{number}"))[-1]


def killed_run(run):
    """Checkpoint at step 4, killed after step 7, gone on from 4 to 10, from 10 to 11."""
    session(run, 1, 0, range(1, 8))
    session(run, 2, 4, range(5, 11, 5), every=5, value=0.5)  # logs at fewer steps than before
    session(run, 3, 10, [11])
    return run


def test_sessions_make_one_curve(tmp_path):
    log = read_log(killed_run(tmp_path))
    # 5.5 is the second session's; 6 and 7 were never saved; 4, the checkpoint's own, stays.
    assert log.curves["train/loss"] == {1: 1, 2: 2, 3: 3, 4: 4, 5: 5.5, 10: 10.5, 11: 11}
    assert log.curves[NME] == {2: 2, 4: 4, 5: 55, 10: 60}
    assert log.resumed == [4, 10]
    assert curves(tmp_path) == log.curves
    assert curves(tmp_path / "absent") == {}


def test_a_run_that_begins_anew_keeps_nothing(tmp_path):
    session(tmp_path, 1, 0, range(1, 6))
    session(tmp_path, 2, 0, [2], value=0.5)
    assert read_log(tmp_path).curves == {"train/loss": {2: 2.5}, NME: {2: 52}}
    assert read_log(tmp_path).resumed == []


def test_tensorboard_shows_the_same_curves(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs TensorBoard"
    )
    shown = accumulator.EventAccumulator(str(killed_run(tmp_path)))
    shown.Reload()
    for tag, curve in curves(tmp_path).items():
        assert {event.step: event.value for event in shown.Scalars(tag)} == curve


@pytest.mark.parametrize("lost", [1, 7, 15, 40, 70])
def test_a_torn_event_file_keeps_what_is_whole(tmp_path, lost):
    path = session(tmp_path, 1, 0, range(1, 8, 2))
    path.write_bytes(path.read_bytes()[:-lost])
    curve = curves(tmp_path)["train/loss"]
    whole = [1, 3, 5, 7]
    assert list(curve) == whole[: len(curve)]
    assert 2 <= len(curve) <= 3
    session(tmp_path, 2, 3, [5, 7], value=0.25)
    assert curves(tmp_path)["train/loss"] == {1: 1, 3: 3, 5: 5.25, 7: 7.25}


def test_logged_pictures_come_back(tmp_path):
    writer = tf.summary.FileWriter(str(tmp_path))
    faces = np.full((2, 32, 32, 3), 90, np.uint8)
    truth = np.full((2, 1, 2), 0.25, np.float32)
    shown = predictions_picture({"image": faces, "landmarks": truth}, truth + 0.5)
    writer.add_summary(summary({"train/loss": 1.0}, {"p": shown}), 3)
    writer.close()
    places = read_log(tmp_path).pictures["p"]
    assert list(places) == [3]
    picture = logged_picture(places[3], "p")
    # Cells of 160 pixels: the truth, blue, at a quarter; the prediction, orange, at three quarters.
    assert picture.shape == (160, 320, 3)
    for left in (0, 160):
        assert picture[39, left + 39].argmax() == 2
        assert picture[119, left + 119].argmax() == 0


def test_each_tag_is_in_one_chart():
    curve = {1: 2.0, 2: 1.0}
    tags = (
        "train/loss", "train/loss_landmarks", "train/loss_pose", "validation/auc_0.08",
        "validation/auc_0.10", "validation/accuracy_smile", NME, "validation/nme_inter_pupil",
        "train/gradient_norm",
    )  # fmt: skip
    charts = dict(charts_of(dict.fromkeys(tags, curve)))
    titles = list(charts)
    assert len(charts) == 7
    assert titles[0] == "Training loss"
    assert titles[-1] == "train/gradient_norm"
    assert b"lowest" not in charts["Training loss"]
    assert all(svg.startswith(b"<?xml") for svg in charts.values())
    # The landmarks' loss alone is the loss over again.
    assert list(dict(charts_of({"train/loss_landmarks": curve, "train/loss": curve}))) == titles[:1]


def test_training_faces_stand_beside_validation_faces():
    curve = {1: 2.0, 2: 1.0}
    tags = [f"validation/{of}" for of in ("loss", "nme_inter_ocular", "accuracy_smile")]
    tags += [tag.replace("/", "/training_") for tag in tags]
    charts = dict(charts_of(dict.fromkeys(tags[::-1], curve)))
    assert len(charts) == 3
    log = RunLog({tag: {1: number, 2: number + 0.5} for number, tag in enumerate(tags)})
    table = report._figures(log, 1)
    assert table["titles"] == [f"step {n}{x}" for n in (1, 2) for x in ("", ", training faces")]
    assert table["rows"][1] == ("nme_inter_ocular", ["1.000", "4.000", "1.500", "4.500"])
    assert report._figures(RunLog({tags[0]: {1: 0.01234}}), 1) == {
        "titles": ["step 1"], "rows": [("loss", ["0.0123"])],
    }  # fmt: skip


# --- the page ----------------------------------------------------------------------------------


class Page(HTMLParser):
    """What tests ask of a page."""

    def __init__(self, path):
        super().__init__()
        self.whole = path.read_text(encoding="utf-8")
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.feed(self.whole)
        body = self.whole.partition("<main>")[2]
        self.text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [v for k, v in attributes if k in ("src", "href") and v]


@pytest.fixture
def run(small_run, tmp_path):
    """A copy of a finished run of six steps."""
    return shutil.copytree(small_run.run, tmp_path / "run")


def test_the_page_is_whole_and_true(run):
    state = json.loads((run / "state.json").read_text())
    about = {"python": "3.11", "packages": {"numpy": "2.<1>"}, "records_digest": "ab12"}
    (run / "environment.json").write_text(json.dumps(about))
    skips = [
        {"path": "train-0.tfrecords", "number": n, "source": "a.jpg", "reason": f"bad <b>{n}"}
        for n in range(60)
    ]
    (run / "skipped.json").write_text(json.dumps(skips))
    path = write_training_report(run)
    assert path == run / "report.html"
    page = Page(path)
    assert "script" not in page.tags
    assert all(source.startswith(("data:", "#")) for source in page.sources)
    assert "http" not in re.sub(r'"data:[^"]+"', "", page.whole)
    assert f"best validation NME {state['best_nme']:.2f}%" in page.text
    assert "steps 6 4 faces each" in page.text
    assert "Done." in page.text
    info = load_records_info(json.loads((run / "records.json").read_text())["folder"])
    assert f"records {info.dataset} train " in page.text
    for title, _ in charts_of(curves(run)):
        assert title in page.text
    assert "Step 3" in page.text
    assert "Step 6, the last" in page.text
    # The validation split is small enough for all of its faces to be among the worst.
    cards = re.findall(r"<figcaption><b>([\d.]+)%</b>", page.whole)
    values = [float(value) for value in cards]
    assert values == sorted(values, reverse=True)
    assert np.mean(values) == pytest.approx(state["best_nme"], abs=0.006)
    # Configuration: what `short` changed, and no more.
    changed = re.findall(r"<td><code>([\w.]+)</code></td><td>[^<]*</td><td", page.whole)
    assert sorted(changed) == [
        "train.batch_size", "train.replicas", "train.report", "train.steps",
        "train.summary_every", "train.validate_every",
    ]  # fmt: skip
    assert "packages.numpy 2.<1>" in page.text
    assert "Skipped records: 60" in page.text
    assert "bad <b>49" in page.text
    assert "bad <b>50" not in page.text


def test_a_run_in_progress_whose_records_are_gone(run, capsys):
    for name in ("result.json", "state.json"):
        (run / name).unlink()
    described = json.loads((run / "records.json").read_text())
    described["folder"] = str(run / "gone")
    (run / "records.json").write_text(json.dumps(described))
    assert app.main(["report", "--run", str(run)]) == 0
    assert str(run / "report.html") in capsys.readouterr().out
    page = Page(run / "report.html")
    assert "No result yet" in page.text
    assert "steps 6" in page.text
    assert page.text.count(f"Not shown: {run / 'gone'}: no report.json here") == 2
    assert "validation NME – none yet" in page.text


def test_a_run_before_its_first_event(run):
    for path in run.iterdir():
        if path.name not in ("config.json", "records.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = Page(write_training_report(run))
    assert "The first validation is still to come." in page.text
    assert "has no checkpoint yet" in page.text
    assert "Curves" not in page.text


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"steps": 6, "ended": "interrupted"}, "Interrupted"),
        ({"steps": 6, "interrupted": True}, "Interrupted"),  # as earlier versions wrote it
        ({"steps": 6, "ended": "early_stopped"}, "Stopped early"),
        ({"steps": 5, "ended": "done"}, "No result yet"),  # of a session before the last
    ],
)
def test_how_a_run_ended(run, result, expected):
    (run / "result.json").write_text(json.dumps(result))
    assert expected in Page(write_training_report(run, most=0)).text


def test_what_cannot_be_reported_is_told(run, tmp_path, capsys):
    assert app.main(["report", "--run", str(tmp_path / "absent")]) == 2
    assert "does not exist" in capsys.readouterr().err
    (run / "skipped.json").write_text("{}")
    with pytest.raises(InputError, match=r"skipped.json: holds no list"):
        write_training_report(run, most=0)


def test_a_preset_that_is_not_known(run):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"preset": "of_old"}))
    assert load_config(run / "config.json").preset == "of_old"
    assert "knows no preset of_old" in Page(write_training_report(run, most=0)).text
