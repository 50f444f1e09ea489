"""docs/sources.md: every command of it is run, on a photo, a clip and frames of this machine."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from runs import REPOSITORY
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from shifted_clips import frame_at, write_clip
from web_files import web_files

pytestmark = pytest.mark.slow

PAGE = (REPOSITORY / "docs" / "sources.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
ABSENT = ("rtsp://", "predict 0 ", "/dev/video0")
"""What no machine of the tests has: the error names it."""
HOST = "https://example.org"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with what the commands name, and `senet-landmark` on its path."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(portrait_path(), home / "photo.jpg")
    write_clip(home / "clip.avi", count=3)
    (home / "frames").mkdir()
    for number in (0, 1):
        cv2.imwrite(
            str(home / "frames" / f"frame_{number:04d}.png"), frame_at(number)[0][..., ::-1]
        )
    (home / "bin").mkdir()
    program = home / "bin" / "senet-landmark"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m senet_landmark "$@"\n')
    program.chmod(0o755)
    return home


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of a Unix shell")
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(home, monkeypatch, command):
    for name, value in (("HOME", str(home)), ("no_proxy", "127.0.0.1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(home / "bin"), prepend=":")
    absent = next((word.strip() for word in ABSENT if word in command), None)
    if absent and Path("/dev/video0").exists() and "rtsp" not in absent:
        pytest.skip("there is a camera, which nobody may be asked to sit before")
    with web_files() as server:
        server.files["/clip.avi"] = ("video/avi", (home / "clip.avi").read_bytes())
        run = subprocess.run(
            command.replace(HOST, server.url).replace("user:password@camera", "127.0.0.1:9"),
            shell=True, cwd=home, capture_output=True, text=True,
        )  # fmt: skip
    assert run.returncode == (2 if absent else 0), run.stderr
    if absent:
        named = "rtsp://127.0.0.1:9/stream: " if "rtsp" in absent else "Camera "
        assert f"error: {named}" in run.stderr and "cannot be opened" in run.stderr
    elif "--out" in command:
        out = home / command.split("--out ")[1].split()[0]
        assert list(out.glob("*_landmarks.jpg")) or list(out.glob("*_landmarks.csv"))
        assert "--quiet" not in command or (run.stdout, run.stderr) == ("", "")
    else:
        assert Path(home, command.split("~/")[1]).stat().st_size > 10_000


def test_the_page_has_a_command_for_each_kind():
    kinds = ("https://", "rtsp://", "predict 0", "/dev/video0", "predict - ", "--files-from -",
             "%04d", "*.png", "--max-faces", "--min-confidence", "--quiet", "--log-file",
             "bash ~", "zsh ~", "fish ~")  # fmt: skip
    assert all(any(kind in command for command in COMMANDS) for kind in kinds)
