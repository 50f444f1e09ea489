"""What `convert --to web` writes, from what, and what it refuses."""

import os
import shutil

import numpy as np
import pytest

from converted import SHIPPED, copy_of
from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait
from senet_landmark.errors import InputError
from senet_landmark.export.conversion.convert import convert
from senet_landmark.export.inference.predictor import Predictor
from senet_landmark.export.web import onnxruntime_web
from senet_landmark.export.web import site as site_module
from senet_landmark.export.web.onnxruntime_web import FILES, runtime_folder
from senet_landmark.export.web.site import write_site
from senet_landmark.frozen.contract import load_contract
from senet_landmark.io.files import read_json
from sites import runtime_files

ONNX = SHIPPED.with_suffix(".onnx")


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def written(folder, runtime):
    return write_site(ONNX, load_contract(ONNX), folder, runtime)


@pytest.fixture
def runtime():
    return runtime_files()


def test_folder_is_whole_and_its_model_is_the_model(runtime, tmp_path):
    site = written(tmp_path / "page", runtime)
    settings = read_json(site.folder / "page.json")
    assert files_of(site.folder) == set(settings["files"]) and site.onnxruntime_web.startswith("1.")
    assert settings["onnxruntime_web"] == site.onnxruntime_web
    photo = portrait()[0]
    copied = site.folder / "model" / "senet-68.onnx"
    assert site.contract == copied.with_suffix(".json")
    ours, theirs = (Predictor(path).predict(photo)[0].landmarks for path in (copied, SHIPPED))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    for name in FILES:
        assert (site.folder / "onnxruntime" / name).read_bytes() == (runtime / name).read_bytes()


def test_older_folder_is_replaced_and_others_are_left(runtime, tmp_path):
    page = tmp_path / "page"
    written(page, runtime)
    (page / "page.css").write_text("changed")
    written(page, runtime.parent if runtime.name == "dist" else runtime)
    assert (page / "page.css").read_text(encoding="utf-8") != "changed"
    (page / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match="did not write, such as holiday"):
        written(page, runtime)
    assert (page / "holiday.jpg").read_bytes() == b"mine"


def test_interrupted_folder_leaves_the_older_one(runtime, tmp_path, monkeypatch):
    page = tmp_path / "page"
    written(page, runtime)
    before = files_of(tmp_path)
    (page / "page.css").write_text("older")

    copy = shutil.copyfile

    def interrupted(source, target):
        if target.name == FILES[-1]:
            raise KeyboardInterrupt
        return copy(source, target)

    monkeypatch.setattr(site_module.shutil, "copyfile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        written(page, runtime)
    assert files_of(tmp_path) == before
    assert (page / "page.css").read_text(encoding="utf-8") == "older"


def test_command_tells_how_to_serve_it_and_starts_no_tensorflow(runtime, tmp_path):
    import subprocess
    import sys

    program = (
        "import sys; from senet_landmark.cli.app import main\n"
        f"status = main(['convert', '--model', 'senet-68', '--to', 'web', '--out', 'page', "
        f"'--onnxruntime-web', {str(runtime)!r}])\n"
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "page (" in done.stdout and "onnxruntime-web 1." in done.stdout
    assert "python3 -m http.server 8000 --bind 127.0.0.1 --directory page" in done.stdout


@pytest.mark.slow
def test_model_without_onnx_is_converted_and_compared(runtime, tmp_path):
    model = copy_of(SHIPPED, tmp_path, "my #1")
    model.with_suffix(".json").write_text(
        SHIPPED.with_suffix(".json").read_text(encoding="utf-8"), encoding="utf-8"
    )
    conversion = convert(model, "web", onnxruntime_web=runtime)
    assert conversion.path == tmp_path / "my #1_web" and conversion.crops == 32
    assert conversion.checked_in and max(conversion.differences.values()) < 1e-4
    assert conversion.contract == conversion.path / "model" / "my #1.json"
    load_contract(conversion.path / "model" / "my #1.onnx")
    assert not model.with_suffix(".onnx").exists()


# --- what is refused -----------------------------------------------------------------------------


def refused(capsys, *words):
    assert main(["convert", "--model", "senet-68", "--to", "web", *words]) == 2
    return capsys.readouterr().err


def test_other_files_and_names_of_files_are_refused(capsys, tmp_path):
    (tmp_path / "full" / "deep").mkdir(parents=True)
    (tmp_path / "full" / "deep" / "photo.jpg").write_bytes(b"mine")
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "page.json").write_text('["no settings"]')
    runtime = ["--onnxruntime-web", str(tmp_path)]
    for name, words in (
        ("full", "has files that this command did not write, such as deep/photo.jpg."),
        ("other", "such as page.json. Give another folder"),
        ("file", "--to web writes a folder"),
        ("page.html", "--to web writes a folder"),
    ):
        assert words in refused(capsys, "--out", str(tmp_path / name), *runtime)


def test_folder_that_is_not_onnxruntime_web_is_refused(capsys, tmp_path):
    out = ["--out", str(tmp_path / "page")]
    (tmp_path / "some").mkdir()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / FILES[0]).write_text("// ONNX Runtime Web v1.19.0")
    for name, words in (
        ("absent", "absent: is no folder. Give the folder dist of the npm package onnxruntime-web"),
        ("some", f"some: has no {FILES[0]}. Give the folder dist"),
        ("old", f"old: has no {FILES[1]}. Give the folder dist"),
    ):
        assert words in refused(capsys, *out, "--onnxruntime-web", str(tmp_path / name))
    assert not (tmp_path / "page").exists()


def test_option_of_pages_alone(tmp_path, capsys):
    command = ["convert", "--model", "senet-68", "--to", "onnx", "--onnxruntime-web", str(tmp_path)]
    assert main(command) == 2
    assert "--onnxruntime-web goes with --to web; onnx does not" in capsys.readouterr().err


def test_without_npm_or_when_it_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = tmp_path / "commands"
    commands.mkdir()
    monkeypatch.setenv("PATH", str(commands))
    with pytest.raises(InputError, match="npm is not installed"), runtime_folder(None):
        pass
    npm = commands / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network' >&2\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(InputError, match=r"failed \(npm error network\)"), runtime_folder(None):
        pass


@pytest.mark.slow
def test_npm_fetches_the_package(tmp_path, monkeypatch):
    if shutil.which("npm") is None:
        pytest.skip("needs npm")
    monkeypatch.chdir(tmp_path)
    try:
        with runtime_folder(None) as folder:
            assert all((folder / name).is_file() for name in FILES)
            assert onnxruntime_web.runtime_version(folder).startswith("1.")
    except InputError as error:
        pytest.skip(f"needs the npm registry: {error}")
    assert not folder.exists() and os.listdir(tmp_path) == []
