"""README.md and docs/: commands, programs, links and names in them are those of the code."""

import importlib
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml

import senet_landmark as sl
from runs import REPOSITORY, short
from senet_landmark.cli.app import main
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.face.geometry import box_from_landmarks
from senet_landmark.frozen.models import PRETRAINED, find_model, shipped_models
from senet_landmark.io.images import read_photo

README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "docs"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
BENCHMARKS = REPOSITORY / "benchmarks"
OTHERS = [
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "CHANGELOG.md",
    REPOSITORY / "export" / "pretrained" / "README.md",
    BENCHMARKS / "README.md",
    DOCS / "tour.ipynb",
]


def name_of(page):
    return page.relative_to(REPOSITORY).as_posix()


all_pages = pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name_of)


def text_of(page):
    """A page's Markdown; a notebook's cells of code are blocks of it."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(s if kind == "markdown" else f"```python\n{s}\n```" for kind, s in cells)


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


def prose(page):
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def spans(page):
    """What stands in code font, on one line each."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


# --- commands ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def options_of():
    """command -> its options, by its --help; raises KeyError where there is no such command."""
    known: dict[str, set[str]] = {}

    def find(command, capsys):
        if command not in known:
            capsys.readouterr()
            with pytest.raises(SystemExit) as end:
                main([command, "--help"])
            if end.value.code:
                raise KeyError(command)
            known[command] = set(re.findall(r"--[a-z0-9.-]+", capsys.readouterr().out))
        return known[command]

    return find


def command_lines(page):
    """`senet-landmark …` in the blocks and in code font, continued lines joined."""
    text = "\n".join(blocks(page, "bash")).replace("\\\n", " ")
    lines = re.findall(r"senet-landmark [a-z][a-z-]* .*", text)
    return [*lines, *(span for span in spans(page) if re.match(r"senet-landmark [a-z]", span))]


def commands_of_the_table():
    return set(re.findall(r"^\| \[`([a-z-]+)`\]", text_of(README), re.MULTILINE))


def unknown_options(line, options):
    words = line.split("#")[0].split("&")[0].split()
    return {word.partition("=")[0] for word in words if word.startswith("--")} - options


@all_pages
def test_commands_and_their_options_exist(page, capsys, options_of):
    for line in command_lines(page):
        words = line.split()[1:]
        assert not unknown_options(line, options_of(words[0], capsys)), line


@all_pages
def test_commands_in_code_font_exist_with_their_options(page, capsys, options_of):
    """Such as `train --preset cnn`, and lone options such as `--train.patience`."""
    commands = sorted(commands_of_the_table())
    every = set().union(*(options_of(command, capsys) for command in commands))
    every |= {"--tyro-print-completion", "--tyro-write-completion"}
    for span in spans(page):
        first = span.split()[0] if span.split() else ""
        if first in commands:
            assert not unknown_options(span, options_of(first, capsys)), span
        elif first.startswith("--"):
            assert not unknown_options(span, every), span


def test_steps_of_the_readme_are_the_commands():
    """The table has every command but the quickstart, which the first block has."""
    from senet_landmark.cli.app import COMMANDS

    table = commands_of_the_table()
    assert "senet-landmark quickstart" in blocks(README, "bash")[0]
    assert {*table, "quickstart"} == set(COMMANDS)
    assert {line.split()[1] for page in PAGES for line in command_lines(page)} == set(COMMANDS)


# --- programs ------------------------------------------------------------------------------------

PROGRAMS = [
    pytest.param(page, number, id=f"{name_of(page)}-{number}")
    for page in PAGES
    for number in range(len(blocks(page, "python")))
]
WITH_DATA = ("sl.build_records", "sl.evaluate", "sl.train(")
"""What the programs have in them that need records and a run: they are run in turn."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder of a program: a photo, and a model of the user's own."""
    for suffix in (".pb", ".onnx", ".json"):
        shutil.copy(find_model().with_suffix(suffix), tmp_path / f"model{suffix}")
    shutil.copy(portrait_path(), tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(("page", "number"), PROGRAMS)
def test_programs_run(page, number, folder, capsys):
    """Those that work on a photo; the others are compiled here, and run by the next test."""
    program = blocks(page, "python")[number]
    compiled = compile(program, f"{name_of(page)}, program {number}", "exec")
    if any(words in program for words in WITH_DATA):
        return
    exec(compiled, {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert bool(printed) == ("print(" in program)
    if "print(face.landmarks)" in program:
        assert printed.count("[") > 68


@pytest.mark.slow
def test_programs_that_need_data_run_in_turn(folder, monkeypatch, synthetic_tree, capsys):
    """Records, training, freezing, conversion, evaluation; two steps of the smallest graph."""
    monkeypatch.setattr(sl, "get_preset", lambda name: short("senet_original", steps=2))
    (folder / "300W_LP").symlink_to(synthetic_tree)
    for path in folder.glob("model.*"):
        path.unlink()
    programs = [program for page in PAGES for program in blocks(page, "python")]
    programs = [program for program in programs if any(words in program for words in WITH_DATA)]
    for program in programs:
        exec(compile(program, "docs", "exec"), {"__name__": "__main__"})
    assert '"train/loss"' in (folder / "run-tracked" / "log.jsonl").read_text()
    assert (folder / "model.onnx").is_file() and (folder / "evaluation" / "metrics.json").is_file()
    assert "dlib" in capsys.readouterr().out


@pytest.mark.slow
def test_program_without_this_package_gives_the_portraits_landmarks(folder):
    (program,) = blocks(DOCS / "without_this_package.md", "python")
    assert "senet_landmark" not in program
    photo, truth = portrait()
    box = box_from_landmarks(truth)
    names: dict = {}
    exec(program, names)
    crop, corner, side = names["crop_face"](photo, box.tolist())
    expected = sl.Predictor().landmarks(photo, box[None], "landmarks")[0]
    for model in ("model.pb", "model.onnx"):
        predicted = names["with_opencv"](model, crop[None].astype(np.float32))
        np.testing.assert_allclose(predicted.reshape(68, 2) * side + corner, expected, atol=0.5)


def test_program_without_this_package_is_the_examples():
    (program,) = blocks(DOCS / "without_this_package.md", "python")
    example = text_of(REPOSITORY / "export" / "examples" / "landmarks.py")
    parts = re.split(r"^(?=def |SIZE)", program, flags=re.MULTILINE)[1:]
    assert len(parts) == 3 and all(part.strip() in example for part in parts)


# --- names and links -----------------------------------------------------------------------------


def anchor(title):
    """The anchor of a heading, as GitHub and mkdocs make it."""
    title = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).strip().lower())
    return title.replace(" ", "-")


def anchors(page):
    return {anchor(title) for title in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)}


@all_pages
def test_relative_links_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, part = target.partition("#")
        place = page.parent / path if path else page
        assert place.exists(), target
        assert not part or part in anchors(place), target


@all_pages
def test_files_and_modules_that_are_named_exist(page):
    folders = r"(senet_landmark|data_tools|export|tests|docs|benchmarks|\.ci|\.github)/"
    words = [word for span in spans(page) for word in span.split()]
    for path in (word for word in words if re.fullmatch(rf"{folders}[\w./-]*", word)):
        assert (REPOSITORY / path).exists(), path
    for name in (word for word in words if re.fullmatch(r"senet_landmark(\.\w+)+", word)):
        assert resolves(name), name
    for name in (word for word in words if re.fullmatch(r"sl\.\w+", word)):
        assert name[3:] in sl.__all__, name


def resolves(name):
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for last in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:last]))
        except ModuleNotFoundError:
            continue
        for part in parts[last:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_python_page_has_the_public_names():
    assert {f"sl.{name}" for name in sl.__all__} <= set(spans(DOCS / "python.md"))


def test_architecture_names_every_package_and_contract():
    text = text_of(DOCS / "architecture.md")
    for top in ("senet_landmark", "data_tools", "export"):
        for path in (REPOSITORY / top).rglob("*/__init__.py"):
            assert f" {path.parent.name}/ " in text, path
    contracts = re.findall(r'^name = "(.+)"$', text_of(REPOSITORY / "pyproject.toml"), re.MULTILINE)
    assert contracts and all(f"| {name} |" in text for name in contracts)


# --- the README and the site ---------------------------------------------------------------------


def test_page_of_the_benchmarks_names_every_script():
    names = {path.name for path in BENCHMARKS.rglob("*") if path.suffix in (".py", ".sh")}
    assert names <= set(spans(BENCHMARKS / "README.md"))


def test_readme_is_of_one_sitting():
    lines = text_of(README).splitlines()
    assert len(lines) <= 250
    assert any(line.startswith("![") for line in lines[:10])
    picture = re.findall(r"!\[.*\]\((.*)\)", text_of(README))[0]
    assert (REPOSITORY / picture).stat().st_size < 200_000


@pytest.mark.slow
def test_readmes_picture_is_what_predict_draws(tmp_path):
    program = DOCS / "pictures" / "make.py"
    command = [sys.executable, str(program), "--out", str(tmp_path / "faces.png")]
    subprocess.run(command, check=True, capture_output=True)
    made, shipped = read_photo(tmp_path / "faces.png"), read_photo(program.with_name("faces.jpg"))
    assert made.shape == shipped.shape
    assert np.abs(made.astype(int) - shipped).mean() < 3  # JPEG's loss


def test_readmes_results_are_those_of_the_card():
    card = " ".join(text_of(PRETRAINED / "README.md").split())
    for name in shipped_models():
        (row,) = re.findall(rf"^\| `{name}`.*$", text_of(README), re.MULTILINE)
        cells = re.findall(r"\d+\.\d\d% \(.*?\)", row.replace("*", ""))
        assert len(cells) == 3 and all(cell in card for cell in cells), row


def test_results_stand_in_one_place():
    """No figure with its interval is both in the README and on a page."""
    intervals = {
        page: set(re.findall(r"\(\d+\.\d\d to \d+\.\d\d\)", text_of(page))) for page in PAGES
    }
    for page in PAGES[1:]:
        assert not intervals[README] & intervals[page], page


def nav_of(entries):
    for entry in entries:
        for value in entry.values():
            yield from nav_of(value) if isinstance(value, list) else [value]


def test_nav_lists_every_page():
    settings = yaml.safe_load(text_of(REPOSITORY / "mkdocs.yml"))
    pages = [path.relative_to(DOCS).as_posix() for path in PAGES[1:]]
    assert sorted(nav_of(settings["nav"])) == sorted(pages)


def test_site_builds(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tour.ipynb").is_file()  # that index.md links to
    assert (tmp_path / "index.html").is_file() and not list(tmp_path.rglob("*.py"))
