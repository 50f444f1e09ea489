"""docs/tour.ipynb: it runs from top to bottom, and what it shows is what it says."""

import base64
import json
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest

from runs import REPOSITORY
from senet_landmark.io.images import decode_photo
from senet_landmark.visualisation.drawing import GREEN

NOTEBOOK = REPOSITORY / "docs" / "tour.ipynb"
CELL_SECONDS = 900
"""A cell takes half a minute; on a machine that does much else it may take longer."""


def test_it_is_stored_without_outputs():
    """They differ from run to run, and would have the paths of a machine."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)


def texts(cells, stream="stdout"):
    """What the cells print."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(o.text for o in outputs if o.output_type == "stream" and o.name == stream)


def pictures(cells):
    """The pictures that they show, RGB uint8."""
    data = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return [decode_photo(base64.b64decode(d["image/png"])) for d in data if "image/png" in d]


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(tmp_path, monkeypatch, request):
    """In a kernel of its own, in another folder; it leaves nothing behind."""
    reason = "needs nbclient and ipykernel (the extra [dev])"
    pytest.importorskip("ipykernel", reason=reason)
    nbclient = pytest.importorskip("nbclient", reason=reason)
    import nbformat

    # Sockets of processes lie in the temporary folder, and their paths have at most 107 bytes.
    short = tempfile.TemporaryDirectory(prefix="tour")
    request.addfinalizer(short.cleanup)
    places = {name: tmp_path / name for name in ("current", "jupyter")}
    for place in places.values():
        place.mkdir()
    places["temporary"] = Path(short.name)
    # Not a kernel or a profile of the user's.
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(places["jupyter"]))
    monkeypatch.setenv("TMPDIR", str(places["temporary"]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    options = {"resources": {"metadata": {"path": str(places["current"])}}}
    nbclient.NotebookClient(notebook, timeout=CELL_SECONDS, **options).execute()

    assert not list(places["current"].iterdir())
    assert not [path for path in places["temporary"].rglob("*") if path.suffix in (".pb", ".jpg")]
    shown = pictures(notebook.cells)
    assert len(shown) == 4  # faces, one face, contact sheet, faces of the new model
    for number in (0, 1, 3):
        green = np.abs(shown[number].astype(int) - GREEN).max(axis=2) < 60
        assert green.sum() > 68
    bars = texts(notebook.cells, "stderr")
    assert "writing records" in bars and not re.search("tensorflow|onednn|warning", bars, re.I)
    printed = texts(notebook.cells)
    assert "68 landmarks" in printed
    steps, held_out = re.search(r"(\d+) steps; .* NME of ([\d.]+)%", printed).groups()
    assert int(steps) > 0 and 0 < float(held_out) < 100
    figures = re.findall(r"(\S+): ([\d.]+)% \(([\d.]+) to ([\d.]+)\) on 20 faces", printed)
    assert [name for name, *_ in figures] == ["model", "senet-68"]
    for _, error, low, high in figures:
        assert 0 < float(low) <= float(error) <= float(high)
    assert float(figures[1][1]) < 10
