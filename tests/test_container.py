"""The container: its Dockerfile by what it says, and its installation by running it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from subprocess import DEVNULL

import numpy as np
import pytest

from runs import REPOSITORY
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.export.inference.predictor import Predictor

SCRIPT = REPOSITORY / "container" / "install.sh"
TARGETS = ("serve", "train")

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")


def instructions():
    """(instruction, arguments) of each line of the Dockerfile, continued lines joined."""
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def stages():
    """Name -> (the stage or image below it, its own instructions), in their order."""
    found: dict = {}
    for name, arguments in instructions():
        if name == "FROM":
            below, word, stage = arguments.split()
            assert word == "AS"
            found[stage] = (below, [])
        elif found:
            found[stage][1].append((name, arguments))
    return found


def layers(stage):
    """The instructions of an image: those of the stages below it first."""
    below, own = stages()[stage]
    return [*(layers(below) if below in stages() else []), *own]


def last(stage, name):
    return [arguments for word, arguments in layers(stage) if word == name][-1]


# --- what the Dockerfile says ---------------------------------------------------------------------


def test_stages_are_the_targets_and_what_they_need():
    assert instructions()[0][0] == "ARG"  # the version of Python, for all stages
    known = stages()
    assert list(known)[-1] == "serve"  # which is what is built without --target
    for below, _ in known.values():
        assert below in known or re.fullmatch(r"python:\$\{PYTHON\}-slim", below)
    for target in TARGETS:
        (copied,) = [arguments for name, arguments in layers(target) if name == "COPY"]
        source, *paths = re.fullmatch(r"--from=(\S+) (\S+) (\S+)", copied).groups()
        assert source == f"install-{target}" and paths[0] == paths[1]
        (command,) = [json.loads(words) for name, words in known[source][1] if name == "RUN"]
        assert command == ["bash", "container/install.sh", target, paths[0]]
        assert (REPOSITORY / command[1]).is_file()
        assert f"PATH={paths[0]}/bin:$PATH" in last(target, "ENV")


@pytest.mark.parametrize("target", TARGETS)
def test_images_run_as_a_user_without_rights(target):
    user = last(target, "USER")
    made = [words for name, words in layers(target) if name == "RUN" and "useradd" in words]
    assert user not in ("root", "0") and f" {user} " in made[0]
    words = layers(target)
    assert ("USER", user) in words
    after = words[words.index(("USER", user)) :]
    assert not [name for name, _ in after if name in ("RUN", "ADD")]  # nothing changes as that user


def test_instructions_are_of_the_good_kind():
    """No shell around the process, no file from the network, no package manager's leftovers."""
    names = [name for name, _ in instructions()]
    assert set(names) <= {
        "ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD", "EXPOSE",
        "HEALTHCHECK",
    }  # fmt: skip
    for name, arguments in instructions():
        if name in ("CMD", "ENTRYPOINT"):
            assert isinstance(json.loads(arguments), list)
        if name == "WORKDIR":
            assert arguments.startswith("/")
        assert "apt-get" not in arguments and "curl" not in arguments
    for target in TARGETS:
        assert json.loads(last(target, "ENTRYPOINT")) == ["senet-landmark"]


def test_service_listens_where_its_health_is_asked():
    assert last("serve", "EXPOSE") == "8000"
    assert json.loads(last("serve", "CMD")) == ["serve", "--host", "0.0.0.0"]
    command = health_command()
    assert command[0] == "python" and "http://127.0.0.1:8000/healthz" in command[-1]
    assert not [name for name, _ in layers("train") if name == "HEALTHCHECK"]


def health_command():
    return json.loads(last("serve", "HEALTHCHECK").partition("CMD ")[2])


def test_only_what_is_installed_is_sent_to_the_builder():
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    sent = {rule[1:] for rule in rules if rule.startswith("!")}
    assert all((REPOSITORY / name).exists() for name in sent)
    (parts,) = re.findall(r"^for part in (.*); do$", SCRIPT.read_text(), re.MULTILINE)
    assert sent == {*parts.split(), "container"}


# --- the installation -----------------------------------------------------------------------------


def install(*arguments):
    command = ["bash", str(SCRIPT), *map(str, arguments)]
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_wrong_arguments_are_told(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    (tmp_path / "file").write_text("")
    for arguments, message in (
        ((), "give TARGET and PREFIX"),
        (("serve",), "give TARGET and PREFIX"),
        (("predict", tmp_path / "new"), "unknown target 'predict'; serve and train are known"),
        (("serve", tmp_path / "full"), "full: exists and is not empty"),
        (("serve", tmp_path / "file"), "file: exists and is not empty"),
    ):
        done = install(*arguments)
        assert done.returncode == 2 and message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of the target `serve`, and what the script said at its end."""
    prefix = tmp_path_factory.mktemp("container") / "serve"
    done = install("serve", prefix)
    assert done.returncode == 0, done.stderr[-2000:]
    return prefix, done.stdout.splitlines()[-1]


def clean(prefix, folder):
    """An environment without this repository, as in the container."""
    return {"PATH": f"{prefix}/bin:/usr/bin:/bin", "HOME": str(folder), "PYTHONUNBUFFERED": "1"}


def run(prefix, folder, *command):
    arguments = [str(prefix / "bin" / command[0]), *map(str, command[1:])]
    return subprocess.run(
        arguments, cwd=folder, env=clean(prefix, folder), capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_what_is_installed_is_small_and_predicts(installed, tmp_path):
    """By the command and of the size that the documents have."""
    prefix, told = installed
    size = int(re.fullmatch(rf"serve: (\d+) MB in {re.escape(str(prefix))}", told)[1])
    page = (REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert "\ncontainer/install.sh serve " in page
    told_there = int(re.search(r"(\d+) MB for `serve`", page)[1])
    assert 0.75 * told_there < size < 1.25 * told_there  # releases differ
    for absent in ("tensorflow", "pip", "matplotlib"):
        assert run(prefix, tmp_path, "python", "-c", f"import {absent}").returncode == 1
    (tmp_path / "photo.jpg").write_bytes(portrait_path().read_bytes())
    done = run(prefix, tmp_path, "senet-landmark", "predict", "photo.jpg", "--out", "out")
    assert done.returncode == 0, done.stderr[-2000:]
    (photo,) = json.loads((tmp_path / "out" / "landmarks.json").read_text())
    (expected,) = Predictor().predict(portrait_path())
    np.testing.assert_allclose(photo["faces"][0]["landmarks"], expected.landmarks, atol=0.5)


@pytest.mark.slow
def test_service_is_healthy_while_it_runs(installed, tmp_path):
    prefix, _ = installed
    command = [*json.loads(last("serve", "CMD")), "--port", "0"]
    process = subprocess.Popen(
        [str(prefix / "bin" / "senet-landmark"), *command],
        cwd=tmp_path, env=clean(prefix, tmp_path),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        port = re.search(r":(\d+)/ ", process.stdout.readline())[1]
        python, *arguments = (word.replace(":8000", f":{port}") for word in health_command())
        health = run(prefix, tmp_path, python, *arguments)
        assert health.returncode == 0, health.stderr
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert run(prefix, tmp_path, python, *arguments).returncode != 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_image_builds_and_predicts(tmp_path):
    """With an engine; without one, the tests above run the same installation."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], stdout=DEVNULL).returncode:
        pytest.skip("needs a running container engine (docker)")
    build = ["docker", "build", "--quiet", str(REPOSITORY)]
    image = subprocess.run(build, capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "photo.jpg").write_bytes(portrait_path().read_bytes())
    tmp_path.chmod(0o777)
    mount = ["docker", "run", "--rm", "-v", f"{tmp_path}:/work", image]
    subprocess.run([*mount, "predict", "photo.jpg", "--out", "out"], check=True)
    (photo,) = json.loads((tmp_path / "out" / "landmarks.json").read_text())
    assert len(photo["faces"]) == 1
