"""What is found in folders: photos of every type, videos, linked folders once; and addresses."""

import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, features

from senet_landmark.errors import InputError
from senet_landmark.io import images
from senet_landmark.io.folders import Walk, counted, find_photos, kind_of, require_file
from senet_landmark.io.images import read_photo

PIXELS = np.random.default_rng(0).integers(0, 256, (72, 96, 3), np.uint8)

TYPES = {
    ".JPG": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".png": ".png", ".bmp": ".bmp",
    ".dib": ".bmp", ".webp": ".webp", ".tiff": ".tif", ".jp2": ".jp2", ".ppm": ".ppm",
    ".pgm": ".pgm", ".pnm": ".pnm", ".avif": ".avif", ".gif": ".gif", "": ".jpg",
}  # fmt: skip
"""Suffix -> how such a photo is encoded."""


def write_encoded(path, suffix):
    if suffix == ".gif":
        Image.fromarray(PIXELS).save(path, "GIF")
        return
    pixels = PIXELS[..., 0] if suffix == ".pgm" else PIXELS
    encoded, data = cv2.imencode(suffix, pixels)
    assert encoded
    path.write_bytes(data.tobytes())


@pytest.mark.parametrize("suffix, encoding", TYPES.items())
def test_photos_of_every_type_are_read_from_a_folder(tmp_path, suffix, encoding):
    if encoding == ".avif" and not cv2.haveImageWriter("a.avif"):
        pytest.skip("this OpenCV writes no AVIF")
    write_encoded(tmp_path / f"photo{suffix}", encoding)
    (tmp_path / "notes.txt").write_text("P5 is no photo")
    (tmp_path / "P6").write_text("P6 nor is this")
    (path,) = find_photos([tmp_path])
    assert path.name == f"photo{suffix}" and read_photo(path).shape == PIXELS.shape


def test_what_a_file_is_by_its_bytes(tmp_path):
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "code.ts").write_text("export const answer = 42;\n")
    packets = b"".join(b"G" + bytes(187) for _ in range(3))
    (tmp_path / "film.ts").write_bytes(packets)
    (tmp_path / "film").write_bytes(packets)
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")  # is not read: it would wait for ever
    kinds = {path.name: kind_of(path) for path in tmp_path.iterdir()}
    assert kinds == {
        "moving.gif": "video", "code.ts": "other", "film.ts": "video", "film": "video",
        "empty": "other", "pipe": "other",
    }  # fmt: skip


def test_a_photo_that_needs_a_plugin_is_told(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(300))
    assert find_photos([tmp_path]) == [tmp_path / "a.heic"]
    with pytest.raises(InputError, match=r"a\.heic: is HEIC .* pillow-heif"):
        read_photo(tmp_path / "a.heic")


@pytest.mark.parametrize("kind", ["AVIF", "GIF"])
def test_what_opencv_lacks_is_read_by_pillow(tmp_path, monkeypatch, kind):
    """As with wheels of OpenCV that have no AVIF or GIF; the orientation is applied."""
    if not features.check("avif") and kind == "AVIF":
        pytest.skip("this Pillow has no AVIF")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(tmp_path / "a", kind, **({"exif": exif} if kind == "AVIF" else {}))
    monkeypatch.setattr(images.cv2, "imdecode", lambda *_: None)
    shape = (96, 72, 3) if kind == "AVIF" else (72, 96, 3)
    assert read_photo(tmp_path / "a").shape == shape


def test_linked_folders_are_followed_once(tmp_path):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "x.jpg").touch()
    (tmp_path / "in" / "z").mkdir(parents=True)
    (tmp_path / "in" / "z" / "y.jpg").touch()
    for link, target in {"more": "../real", "again": "../in", "a": "z", "gone": "nowhere"}.items():
        (tmp_path / "in" / link).symlink_to(target)
    (tmp_path / "real" / "deep" / "up").symlink_to("..")
    names = [path.relative_to(tmp_path).as_posix() for path in Walk().files(tmp_path / "in")]
    # A folder's own path comes before links to it.
    assert names == ["in/gone", "in/z/y.jpg", "in/more/deep/x.jpg"]
    assert len(find_photos([tmp_path / "in", tmp_path / "real"])) == 2


def test_a_folder_without_photos_tells_what_it_has(tmp_path):
    for name in ("a.txt", "b.txt", "c.cr2"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"no photo in this folder .*, but 2 \.txt, 1 \.cr2"):
        find_photos([tmp_path])
    assert counted(Counter({f".{n}": n for n in range(1, 11)}), 2) == "10 .10, 9 .9 and 36 others"


@pytest.mark.parametrize(
    "source, words",
    [
        ("rtsp://host/s", "rtsp://host/s: is an address"),
        (Path("http://host/a.jpg"), "http://host/a.jpg: is an address"),
        ("seq/frame_%03d.jpg", "pattern of an image sequence"),
        ("gone.jpg", "does not exist"),
        ("x" * 300 + ".jpg", "cannot be read .File name too long"),
        ("a\0b.jpg", "cannot be read .embedded null byte"),
    ],
)
def test_what_is_no_file_is_told(source, words):
    with pytest.raises(InputError, match=words):
        require_file(source)
