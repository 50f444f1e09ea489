"""Standard input: one photo, several, a clip, and what is neither; lists of paths."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from senet_landmark.errors import InputError
from senet_landmark.export.inference.batch.inputs import STDIN, Names
from senet_landmark.export.inference.batch.piped import read_list, read_piped, split_photos
from senet_landmark.export.video.clip import is_video
from senet_landmark.io.addresses import Limits
from shifted_clips import write_clip

PHOTO = portrait_path().read_bytes()


def encoded(suffix, shade=0, **options):
    rng = np.random.default_rng(shade)
    picture = rng.integers(0, 255, (24, 31, 3), np.uint8)
    return cv2.imencode(suffix, picture, *options.values())[1].tobytes()


def piped(data, folder, **limits):
    return read_piped(io.BytesIO(data), folder, is_video, Limits(**limits))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm"])
def test_one_photo_is_one(tmp_path, suffix):
    data = encoded(suffix)
    result = piped(data, tmp_path)
    assert result.photos == [result.whole] and result.whole.path.read_bytes() == data
    assert result.whole.address.startswith(STDIN)


def test_several_photos_are_taken_apart(tmp_path):
    progressive = io.BytesIO()
    with Image.open(portrait_path()) as image:
        image.save(progressive, "JPEG", progressive=True, restart_marker_blocks=1)
    parts = [PHOTO, encoded(".png"), progressive.getvalue(), encoded(".jpg", 1), encoded(".png", 2)]
    assert split_photos(b"".join(parts)) == parts
    result = piped(b"".join(parts), tmp_path)
    assert [photo.path.read_bytes() for photo in result.photos] == parts
    assert len({photo.address for photo in result.photos}) == len(parts)


def test_what_belongs_to_a_photo_stays_with_it():
    """Trailers, previews in EXIF and the gain maps of telephones are no further photos."""
    exif = Image.Exif()
    exif[0x010E] = "preview: " + encoded(".jpg").decode("latin-1")
    stream = io.BytesIO()
    with Image.open(portrait_path()) as image:
        image.save(stream, "JPEG", exif=exif)
    with_preview = stream.getvalue()
    mpf = PHOTO[:2] + b"\xff\xe2\x00\x0aMPF\0AAAA" + PHOTO[2:]
    for alone in (with_preview, PHOTO + b"trailer", mpf + encoded(".jpg"), PHOTO[:-700]):
        assert split_photos(alone) == [alone]
    assert split_photos(with_preview + PHOTO) == [with_preview, PHOTO]


@pytest.mark.parametrize("suffix, code", [(".avi", "MJPG"), (".mkv", "mp4v"), (".webm", "VP80")])
def test_a_clip_is_a_clip(tmp_path, suffix, code):
    clip = write_clip(tmp_path / f"clip{suffix}", code, 4)
    (tmp_path / "kept").mkdir()
    result = piped(clip.read_bytes(), tmp_path / "kept")
    assert not result.photos and result.whole.path.read_bytes() == clip.read_bytes()


def test_what_is_neither_is_told(tmp_path):
    with pytest.raises(InputError, match="standard input is empty"):
        piped(b"", tmp_path)
    for text in ("a.jpg\nb/ö.jpg\n", "a.jpg\0b.jpg\0"):
        with pytest.raises(InputError, match="--files-from -"):
            piped(text.encode(), tmp_path)
    with pytest.raises(InputError, match=r"larger than 0\.001 MB; --max-megabytes"):
        piped(PHOTO, tmp_path, megabytes=0.001)
    assert len(piped(bytes(range(256)), tmp_path).photos) == 1  # told when it is decoded


def test_the_same_bytes_have_the_same_name_and_others_a_further_one(tmp_path):
    first, again, other = (piped(data, tmp_path).whole for data in (PHOTO, PHOTO, encoded(".png")))
    assert first.address == again.address != other.address
    names = Names()
    assert [names.give(photo) for photo in (first, again, other)] == ["stdin", "stdin", "stdin-2"]


def test_lists_have_lines_or_zero_bytes():
    assert read_list(b"a b.jpg\r\n\n  \nc.jpg") == ["a b.jpg", "c.jpg"]
    assert read_list(b"a\nb.jpg\0c.jpg\0") == ["a\nb.jpg", "c.jpg"]
    assert read_list("\udcd5.jpg\nä".encode("utf-8", "surrogateescape")) == ["\udcd5.jpg", "ä"]
