"""The page of an evaluation: complete in itself, true to the metrics, whatever is missing."""

import html
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.evaluation.measuring import AnnotatedFace, Measured, metrics_of
from senet_landmark.export.evaluation import page as evaluation_page
from senet_landmark.export.evaluation.page import write_page
from senet_landmark.export.evaluation.paired import beside_first
from senet_landmark.face.schemes import get_scheme

SCHEME = get_scheme("300w_68")
ALL, INNER = tuple(range(68)), tuple(range(17, 68))
ODD = "<b>.jpg"
GONE = "photo_03.jpg"
SQUARES = (("mse_photo_pixels", 2), ("squared_distance_sum", 4))


def faces_of(count: int, **options) -> list[AnnotatedFace]:
    """Portraits; the first has an odd name."""
    _, truth = portrait()
    box = np.r_[truth.min(0), truth.max(0)].astype(np.float64)
    return [
        AnnotatedFace(
            np.empty(0, np.uint8),
            truth,
            # The detector misses every fourth.
            {"landmarks": box, "dlib": box - 4 if number % 4 != 2 else None},
            ODD if number == 0 else f"photo_{number:02d}.jpg",
            **{key: value(number) for key, value in options.items()},
        )
        for number in range(count)
    ]


def measured(
    name: str, boxes: str, points: tuple[int, ...], faces, noise: float, further=None
) -> Measured:
    """What a model would make of the faces that sees `noise` pixels more on each next one.

    `further` are its outputs beside the landmarks: the same of each face.
    """
    result = Measured(name, boxes, points, ("smile",) if further else ())
    _, truth = portrait()
    generator = np.random.default_rng(len(name))
    for number, face in enumerate(faces):
        predicted = np.full((68, 2), np.nan, np.float32)
        own = list(points)
        predicted[own] = truth[own] + generator.normal(0, noise * (number + 1), (len(own), 2))
        # The second model finds nothing in one box.
        blind = points == INNER and number == 5
        outputs = {"landmarks": predicted, **(further or {})}
        result.add(face, {} if face.boxes[boxes] is None or blind else outputs)
    return result


class Photos:
    """Hands out the portrait; counts how often, and has lost one."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def source(self) -> SimpleNamespace:
        return SimpleNamespace(name="made up", scheme=SCHEME, count=0, photos=None, photo=self.get)

    def get(self, name: str) -> np.ndarray:
        self.read.append(name)
        if name == GONE:
            raise InputError(f"{name}: cannot be read (gone & lost).")
        return portrait()[0]


def metrics_for(results: list[Measured], **more) -> dict:
    models = [
        {"model": r.name, "boxes": r.boxes, **metrics_of(r, SCHEME), "beside_first": beside}
        for r, beside in zip(results, beside_first(results, SCHEME), strict=True)
    ]
    return {
        "models": models, "dataset": "made up", "corrected": True, "notes": {}, "skipped": [],
        **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> SimpleNamespace:
    """Two models with two sources of boxes, on 30 faces that have all there is."""
    faces = faces_of(
        30,
        subset=lambda n: ("indoor", "out & about")[n % 2],
        pose=lambda n: (3.0 * n - 45, 0.0, 0.0),
        attributes=lambda n: {"smile": ("yes", "no", None)[n % 3]},
    )
    results = [
        measured(name, boxes, points, faces, noise)
        for name, points, noise in (("a_model", ALL, 0.2), ("inner $x$ <i>", INNER, 0.3))
        for boxes in ("landmarks", "dlib")
    ]
    metrics = metrics_for(
        results,
        notes={"inner $x$ <i>": "Seen <before>."},
        skipped=[{"photo": "bad<.jpg", "reason": "is empty & void"}],
    )
    path, photos = tmp_path_factory.mktemp("page") / "evaluation.html", Photos()
    write_page(path, results, metrics, photos.source())
    return SimpleNamespace(
        path=path, page=path.read_text(), results=results, metrics=metrics, photos=photos
    )


def section(page: str, anchor: str) -> str:
    """From a heading to the next of its rank."""
    return re.split(r"<h2 ", page.split(f'<h2 id="{anchor}"')[1])[0]


def cells(part: str, number: int = 0) -> list[list[str]]:
    """The texts of each row of one of a section's tables, the first by default."""
    table = part.split("<table")[1 + number].split("</table>")[0]
    rows = [re.findall(r"<td.*?</td>", row, re.S) for row in table.split("<tr>")]
    plain = [[re.sub(r"<[^>]+>", " ", cell).split() for cell in row] for row in rows if row]
    return [[html.unescape(" ".join(cell)) for cell in row] for row in plain]


def test_page_needs_nothing_else(written):
    assert "<script" not in written.page
    assert "<link" not in written.page and "url(" not in written.page
    sources = re.findall(r'(?:src|href)="([^"]*)"', written.page)
    assert sources and all(s.startswith(("data:image/", "#")) for s in sources)
    anchors = {s[1:] for s in sources if s.startswith("#")}
    assert anchors <= set(re.findall(r'id="([^"]*)"', written.page))


def test_names_and_texts_are_escaped(written):
    assert "<b>.jpg" not in written.page and "&lt;b&gt;.jpg" in written.page
    assert "inner $x$ <i>" not in written.page and "inner $x$ &lt;i&gt;" in written.page
    for text in ("Seen &lt;before&gt;.", "bad&lt;.jpg", "is empty &amp; void", "out &amp; about"):
        assert text in written.page


def test_summary_has_the_figures_of_the_metrics(written):
    rows, shares = (cells(section(written.page, "summary"), number) for number in (0, 1))
    assert len(rows) == len(shares) == 4
    rows = [row + more[2:] for row, more in zip(rows, shares, strict=True)]
    for row, own in zip(rows, written.metrics["models"], strict=True):
        assert row[0].startswith(own["model"]) and row[1] == own["boxes"]
        assert row[2:4] == [str(own["n"]), str(own["missed_faces"])]
        keys = [f"nme_{k}" for k in ("inter_ocular", "inter_pupil", "bbox_diagonal", "bbox_size")]
        keys += ["auc_0.08", "auc_0.10", "failure_rate_0.08", "failure_rate_0.10"]
        for cell, key in zip(row[4:], keys, strict=True):
            low, high = own["interval_95"][key]
            assert cell == f"{own[key]:.2f} {low:.2f}–{high:.2f}"
    squares = cells(section(written.page, "summary"), 2)
    for row, own in zip(squares, written.metrics["models"], strict=True):
        for cell, (key, digits) in zip(row[2:], SQUARES, strict=True):
            low, high = own["interval_95"][key]
            assert cell == f"{own[key]:.{digits}f} {low:.{digits}f}–{high:.{digits}f}"
    assert rows[0][0].endswith("68 of 68 landmarks") and rows[3][0].endswith("51 of 68 landmarks")
    assert "does not predict landmarks 0–16 (jaw)" in written.page


def test_differences_are_those_of_the_metrics(written):
    rows = cells(section(written.page, "differences"))
    second = written.metrics["models"][2:]
    assert len(rows) == len(second) == 2
    for row, own in zip(rows, second, strict=True):
        beside = own["beside_first"]
        assert row[:4] == [own["model"], own["boxes"], str(beside["n"]), str(beside["landmarks"])]
        (low, high), value = (
            beside["interval_95"]["nme_inter_ocular"],
            beside["difference"]["nme_inter_ocular"],
        )
        assert row[4] == f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
    assert beside["landmarks"] == 51


def test_best_is_bold_among_equals(tmp_path):
    faces = faces_of(4)
    results = [measured(n, "landmarks", ALL, faces, x) for n, x in (("good", 0.2), ("poor", 2.0))]
    results.append(measured("inner", "landmarks", INNER, faces, 0.01))
    write_page(tmp_path / "page.html", results, metrics_for(results), Photos().source())
    tables = section((tmp_path / "page.html").read_text(), "summary").split("</table>")[:2]
    for table in tables:
        bold = [len(re.findall(r"<b>\d", row)) for row in table.split("<tr>")[3:]]
        assert bold[0] == 4
        assert bold[2] == 0  # the errors of 51 points do not compare with those of 68


def test_many_subsets_are_rows(tmp_path):
    faces = faces_of(16, subset=lambda n: f"subset {n % 8}")
    results = [measured("only", "landmarks", ALL, faces, 0.2)]
    metrics = metrics_for(results)
    write_page(tmp_path / "page.html", results, metrics, Photos().source())
    rows = cells(section((tmp_path / "page.html").read_text(), "subset"))
    figures = metrics["models"][0]["by_subset"]
    assert [row[0] for row in rows] == list(figures)
    for (_, cell), part in zip(rows, figures.values(), strict=True):
        assert cell.startswith(f"{part['nme_inter_ocular']:.2f} ") and cell.endswith("n 2")


def test_tables_by_part_subset_yaw_and_attribute(written):
    own = written.metrics["models"]
    parts = cells(section(written.page, "groups"))
    for row, figures in zip(parts, own, strict=True):
        known = ["–" if v is None else f"{v:.2f}" for v in figures["by_group"].values()]
        assert row[2:] == known
    assert parts[2][2] == "–"  # the jaw that the second model does not have
    for anchor, key in (("subset", "by_subset"), ("yaw", "by_yaw")):
        for row, figures in zip(cells(section(written.page, anchor)), own, strict=True):
            for cell, part in zip(row[2:], figures[key].values(), strict=True):
                assert cell.startswith(f"{part['nme_inter_ocular']:.2f} ")
                assert cell.endswith(f"box {part['nme_bbox_size']:.2f}, n {part['n']}")
    assert len(cells(section(written.page, "attribute-0"))) == 4


def test_faces_worst_median_best(written):
    part = section(written.page, "faces-1")
    names = [html.unescape(name) for name in re.findall(r"<figcaption><b>(.*?)</b>", part)]
    values = [float(value) for value in re.findall(r'class="value">([\d.]+)%', part)]
    result = written.results[0]
    errors = 100 * result.errors(SCHEME)["nme_inter_ocular"]
    order = [result.faces[i].source for i in np.argsort(-errors)]
    assert names == [*order[:12], *order[12:18], *order[-6:]]
    assert values == sorted(values, reverse=True)
    assert f"{errors.max():.2f}%" in part
    assert part.count("data:image/jpeg") == 24 - (GONE in names)
    assert "yaw 42°, out &amp; about" in part


def test_each_photo_is_read_once_and_a_lost_one_is_named(written):
    assert len(written.photos.read) == len(set(written.photos.read))
    assert GONE in written.photos.read
    assert "cannot be read any more: photo_03.jpg: cannot be read (gone &amp; lost)" in written.page


def test_missed_faces_are_shown(written):
    detector = section(written.page, "missed-2")
    assert detector.count("no box") == 7
    assert "box, but inner $x$ &lt;i&gt; found nothing" in detector
    assert "photo_05.jpg" in section(written.page, "missed-1")
    assert "missed-3" not in written.page


def test_many_missed_faces_are_sampled():
    faces = faces_of(120)
    result = measured("a", "dlib", ALL, faces[:1], 1.0)
    result.missed = faces[1:]
    part = evaluation_page._missed("dlib", [result], ["a"])
    assert part["count"] == 119
    assert len({card.face.source for card in part["cards"]}) == evaluation_page.MISSED


def test_same_input_same_bytes(written, tmp_path):
    path = tmp_path / "again.html"
    write_page(path, written.results, written.metrics, Photos().source())
    assert path.read_bytes() == written.path.read_bytes()


def test_one_face_without_anything(tmp_path: Path):
    (face,) = faces_of(1)
    results = [measured("one", "landmarks", ALL, [face], 1.0)]
    metrics = metrics_for(results, corrected=False)
    assert metrics["models"][0]["interval_95"]["nme_inter_ocular"] is None
    write_page(tmp_path / "page.html", results, metrics, Photos().source())
    page = (tmp_path / "page.html").read_text()
    (row,) = cells(section(page, "summary"))
    assert row[4] == f"{metrics['models'][0]['nme_inter_ocular']:.2f}"
    assert "<h3>All, the worst first</h3>" in page and page.count("data:image/jpeg") == 1
    assert "They were used as they are" in page
    anchors = set(re.findall(r'<h2 id="([^"]*)"', page))
    assert anchors == {"summary", "curves", "groups", "yaw", "landmarks", "faces-1"}


def test_pose_and_attributes_of_the_models_that_predict_them(tmp_path: Path):
    faces = faces_of(
        4,
        pose=lambda n: (10.0, -10.0 * n, 0.0),
        attributes=lambda n: {"smile": ("smiling", "not smiling", None, "smiling")[n]},
    )
    outputs = {"pose": np.array([12.0, 0, 1]), "attributes": np.array([0.1, 0.9])}
    results = [
        measured("plain", "landmarks", ALL, faces, 1.0),
        measured("full", "landmarks", ALL, faces, 1.0, outputs),
    ]
    write_page(tmp_path / "page.html", results, metrics_for(results), Photos().source())
    page = (tmp_path / "page.html").read_text()
    names = re.findall(r'<th class="n">(\w+)</th>', section(page, "pose_mae"))
    assert names == ["yaw", "pitch", "roll", "mean"]
    (row,) = cells(section(page, "pose_mae"))
    assert row == ["full", "landmarks", "2.00", "15.00", "1.00", "6.00"]
    (row,) = cells(section(page, "attribute_accuracy"))
    assert row == ["full", "landmarks", "66.67"]
    assert '<a href="#pose_mae">Pose</a>' in page


def test_models_of_one_name_are_told_apart(tmp_path: Path):
    faces = faces_of(3)
    results = [measured("model", "landmarks", ALL, faces, noise) for noise in (1.0, 2.0)]
    write_page(tmp_path / "page.html", results, metrics_for(results), Photos().source())
    rows = cells(section((tmp_path / "page.html").read_text(), "summary"))
    assert [row[0] for row in rows] == ["model", "model (2)"]


def test_a_face_of_one_known_landmark_shows_the_whole_photo():
    photo, truth = portrait()
    lone = np.full_like(truth, np.nan)
    lone[0] = truth[0]
    picture = evaluation_page.charts.face_picture(photo, lone, None, None)
    assert picture.shape == (240, 240, 3)
    # Of the photo's size: its corner is the picture's.
    assert np.abs(picture[2, 2].astype(int) - photo[4, 4]).max() < 20
