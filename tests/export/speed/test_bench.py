"""`bench`: real runs of the real engines; no figure of time is asserted but that there is one."""

import json
import shutil

import pytest

from senet_landmark.cli.app import main
from senet_landmark.errors import InputError
from senet_landmark.export.engines.registry import ENGINES
from senet_landmark.export.evaluation.peers import find_dlib_model
from senet_landmark.export.speed.bench import BATCH, _measure, bench, table
from senet_landmark.export.speed.whole_photo import photo_table
from senet_landmark.frozen.models import find_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A copy of the shipped model of which nothing but the `.pb` is there."""
    folder = tmp_path_factory.mktemp("bench")
    for suffix in (".pb", ".json"):
        shutil.copy(find_model().with_suffix(suffix), folder / f"lonely{suffix}")
    result = bench([folder / "lonely.pb"], folder / "out", rounds=2, cold_starts=1)
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["lonely.json", "lonely.pb", "out"]  # the conversions were for the time of it
    return folder / "out", result


def test_every_engine_is_measured(measured):
    pytest.importorskip("tf2onnx", reason="needs the extra [onnx]")
    out, result = measured
    assert json.loads((out / "bench.json").read_text()) == result
    assert [of["model"] for of in result["models"]] == ["lonely"]
    for of in result["models"]:
        assert set(of["engines"]) == set(ENGINES)
        for engine, figures in of["engines"].items():
            assert "error" not in figures, figures
            threads = {"one thread", "all threads"} - (
                {"one thread"} if engine == "tensorflow2" else set()
            )
            assert set(figures["stage"]) == threads
            values = [*figures["stage"].values(), figures["load"], figures["cold_start"]]
            values += [v for kind in figures["faces_per_second"].values() for v in kind.values()]
            assert min(values) > 0
    assert result["environment"]["cores"] >= 1 and result["batch"] == BATCH


def test_an_engine_that_fails_leaves_the_others(monkeypatch):
    """In this process, with one round; the one that fails is named with its reason."""

    def broken(model, contract, threads=0):
        raise InputError("It is broken.")

    monkeypatch.setitem(ENGINES, "opencv", ENGINES["opencv"]._replace(load=broken))
    monkeypatch.setattr(
        "senet_landmark.export.speed.bench.ENGINES",
        {k: ENGINES[k] for k in ("opencv", "onnxruntime")},
    )
    (of,) = _measure([find_model()], 1, None)["models"]
    assert of["engines"]["opencv"] == {"error": "It is broken."}
    assert of["engines"]["onnxruntime"]["stage"]["one thread"] > 0
    monkeypatch.undo()
    result = {"dlib": {"error": "absent"}, "batch": BATCH, "models": [of]}
    assert cells(table(result))[2][1:3] == ["OpenCV", "does not run here"]


def cells(text):
    """The cells of a Markdown table."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]


def test_ratios_are_of_the_figures_beside_them(measured):
    _, result = measured
    try:
        find_dlib_model()
    except InputError as error:
        pytest.skip(str(error))
    for figures in result["models"][0]["engines"].values():
        if "stage" in figures:
            ratio = min(figures["stage"].values()) / result["dlib"]["ms"]
            assert figures["over_dlib"] == pytest.approx(ratio, abs=1e-3)


def test_table_has_a_line_for_each(measured):
    out, result = measured
    lines = table(result).splitlines()
    tables = (out / "bench.md").read_text().splitlines()
    assert tables == [*lines, "", *photo_table(result["whole_photo"]).splitlines()]
    assert len({line.count("|") for line in lines}) == 1
    assert sum(line[0] == "lonely" for line in cells(table(result))) == len(ENGINES)


def test_bad_input_is_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="at least one round"):
        bench([None], tmp_path, rounds=0)
    assert main(["bench", "--model", "nothing", "--out", str(tmp_path)]) == 2
    assert "no such model" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
