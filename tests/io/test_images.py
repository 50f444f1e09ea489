"""Photos of unusual kinds: huge, animated, in ink colours, of one pixel."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.errors import InputError
from senet_landmark.io.images import (
    MAX_PIXELS,
    decode_photo,
    read_header,
    read_photo,
    stored_form,
    stored_points,
)

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


OPENCV = tuple(int(part) for part in cv2.__version__.split(".")[:2])


READ = tuple(kind for kind in FORMATS if kind != "GIF" or OPENCV >= (4, 11))
"""Older releases of OpenCV know no GIF."""


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


def without_marker(jpeg: bytes, marker: bytes) -> bytes:
    """The JPEG without the segment that the marker opens."""
    start = jpeg.index(marker)
    return jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big") :]


@pytest.mark.parametrize("kind", FORMATS)
def test_header_has_the_size(kind):
    image = Image.fromarray(portrait()[0][:300])
    assert read_header(encoded(image, kind)) == (kind, 512, 300, 1)


def test_no_header_is_read_of_what_is_no_photo():
    assert read_header(b"") is None
    assert read_header(b"a text, and no photo") is None
    assert read_header(portrait_path().read_bytes()[:20]) is None


@pytest.fixture
def no_decoding(monkeypatch):
    def decode(*_):
        raise AssertionError("the pixels were decoded")

    monkeypatch.setattr(cv2, "imdecode", decode)


def test_bomb_is_refused_before_it_is_decoded(tmp_path, no_decoding):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_claiming(30_000, 30_000))
    with pytest.raises(InputError, match=r"bomb\.png: is 30000x30000, 900 megapixels; at most 200"):
        read_photo(path)


@pytest.mark.parametrize(
    ("kind", "start"), [("BMP", 18), ("GIF", 6), ("JPEG", None)]
)  # where the size is
def test_bombs_of_other_formats_are_refused_too(kind, start, no_decoding):
    data = bytearray(encoded(Image.fromarray(portrait()[0]), kind))
    if kind == "JPEG":
        start = data.index(b"\xff\xc0") + 5
    form = {"BMP": "<ii", "GIF": "<HH", "JPEG": ">HH"}[kind]
    data[start : start + struct.calcsize(form)] = struct.pack(form, 40_000, 50_000)
    size = "50000x40000" if kind == "JPEG" else "40000x50000"
    with pytest.raises(InputError, match=f"{size}, 2000 megapixels"):
        decode_photo(bytes(data))


def test_photo_of_100_megapixels_is_read(recwarn):
    """Pillow itself would warn of it as a bomb."""
    grey = np.full((10_000, 10_000), 200, np.uint8)
    data = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    photo = decode_photo(data)
    assert photo.shape == (10_000, 10_000, 3) and photo[9_999, 9_999].tolist() == [200] * 3
    assert not recwarn


def test_the_limit_itself_is_not_refused():
    """One pixel more is; without the limit, both would fail to decode."""
    with pytest.raises(InputError, match="does not decode"):
        decode_photo(png_claiming(20_000, MAX_PIXELS // 20_000))
    with pytest.raises(InputError, match="megapixels"):
        decode_photo(png_claiming(20_000, MAX_PIXELS // 20_000 + 1))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animation_is_refused_with_its_number_of_frames(kind, no_decoding):
    rgb = portrait()[0][:200, :200]
    frames = [Image.fromarray(np.roll(rgb, 20 * shift, axis=1)) for shift in range(5)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=f"clip: is an animated {kind} of 5 frames.*one frame"):
        decode_photo(data, "clip")


def test_large_animation_whose_frames_cannot_be_counted_is_refused_too(no_decoding):
    """A GIF that breaks off in its second frame."""
    head = b"GIF89a" + struct.pack("<HHBBB", 40_000, 50_000, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\x00"
    for length in range(len(frame)):
        with pytest.raises(InputError, match="40000x50000"):
            decode_photo(head + frame + frame[:length])


def test_several_pages_or_pictures_are_no_animation():
    """A TIFF's first page is read; a camera's JPEG may hold a second, smaller picture."""
    rgb = portrait()[0]
    pages = [Image.fromarray(rgb), Image.fromarray(rgb[:100, :100])]
    tiff = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(decode_photo(tiff), rgb)
    several = encoded(pages[0], "MPO", save_all=True, append_images=pages[1:], quality=95)
    assert Image.open(io.BytesIO(several)).n_frames == 2
    assert np.abs(decode_photo(several).astype(int) - rgb).mean() < 2


def test_one_frame_of_an_animated_format_is_a_photo():
    rgb = portrait()[0]
    for kind in {"GIF", "WEBP", "PNG"} & set(READ):
        photo = decode_photo(encoded(Image.fromarray(rgb), kind))
        assert np.abs(photo.astype(int) - rgb).mean() < 4


def ycck(rgb: np.ndarray) -> bytes:
    """A JPEG in YCCK, as Photoshop writes ink colours: Pillow writes its bands, not its marker."""
    cyan, magenta, yellow, black = Image.fromarray(rgb).convert("CMYK").split()
    ycc = Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr")
    stored = np.dstack([np.asarray(ycc), 255 - np.asarray(black)])
    # Pillow inverts what it is given, as Photoshop does.
    bands = Image.frombytes("CMYK", ycc.size, (255 - stored).tobytes())
    data = bytearray(encoded(bands, "JPEG", quality=95, subsampling=0))
    data[data.index(b"Adobe") + 11] = 2  # the transform: YCCK
    return bytes(data)


def test_ink_colours_are_read_as_other_programs_show_them():
    """CMYK with Adobe's marker, and without: browsers and Pillow take both for inverted; YCCK."""
    rgb = portrait()[0]
    cmyk = encoded(Image.fromarray(rgb).convert("CMYK"), "JPEG", quality=95)
    for data in (cmyk, without_marker(cmyk, b"\xff\xee"), ycck(rgb)):
        assert Image.open(io.BytesIO(data)).mode == "CMYK"
        assert np.abs(decode_photo(data).astype(int) - rgb).mean() < 2.5
    tiff = encoded(Image.fromarray(rgb).convert("CMYK"), "TIFF")
    assert np.abs(decode_photo(tiff).astype(int) - rgb).mean() < 2.5


@pytest.mark.parametrize("kind", READ)
def test_photo_of_one_pixel_is_read(kind):
    photo = decode_photo(encoded(Image.new("RGB", (1, 1), (200, 10, 30)), kind))
    assert photo.shape == (1, 1, 3)
    np.testing.assert_allclose(photo[0, 0], (200, 10, 30), atol=3)


@pytest.mark.parametrize("kind", [*FORMATS, "JPEG2000", "PPM"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_cut_off_photo_is_refused(kind, share):
    data = encoded(Image.fromarray(portrait()[0]), kind)
    with pytest.raises(InputError, match=r"cut off|does not decode"):
        decode_photo(data[: int(len(data) * share)])


def test_photo_whose_header_pillow_cannot_read_goes_to_opencv():
    """Radiance's format, which Pillow does not know."""
    rgb = np.full((20, 30, 3), 100, np.uint8)
    data = cv2.imencode(".hdr", rgb.astype(np.float32))[1].tobytes()
    assert read_header(data) is None
    assert decode_photo(data).shape == (20, 30, 3)


def test_photos_of_every_kind_are_read(tmp_path):
    colour = np.zeros((40, 60, 3), np.uint8)
    colour[:, :30] = (10, 60, 200)
    kinds = {
        "grey.png": colour[..., 2],
        "rgba.png": np.dstack([colour, np.full((40, 60), 128, np.uint8)]),
        "deep.png": colour.astype(np.uint16) * 257,
        "ümlaut und leer.jpg": colour,
    }
    for name, pixels in kinds.items():
        (tmp_path / name).write_bytes(cv2.imencode(name[-4:], pixels)[1].tobytes())
        photo = read_photo(tmp_path / name)
        assert photo.shape == (40, 60, 3) and photo.dtype == np.uint8
        expected = (200, 200, 200) if name == "grey.png" else (200, 60, 10)
        np.testing.assert_allclose(photo[20, 10], expected, atol=6)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_truncated_jpeg_is_refused_rather_than_filled_with_grey(tmp_path, share):
    from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path

    data = portrait_path().read_bytes()
    path = tmp_path / "half.jpg"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"half\.jpg.*cut off"):
        read_photo(path)
    path.write_bytes(data + b"what some cameras append")
    assert read_photo(path).shape == (512, 512, 3)


def test_exif_turned_photo_is_read_upright(tmp_path):
    """Orientation 6: the camera was turned; the stored picture must be turned clockwise."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = 255
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    tiff = (
        b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
        + bytes(4)
    )
    exif = b"Exif\x00\x00" + tiff
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    path = tmp_path / "turned.jpg"
    path.write_bytes(data[:2] + segment + data[2:])
    photo = read_photo(path)
    assert photo.shape == (60, 40, 3)
    assert photo[10].mean() > 200 and photo[50].mean() < 50


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm"])
def test_photos_of_fewer_bits_in_files_of_16_are_not_black(bits, suffix):
    grey = np.random.default_rng(0).integers(0, 1 << bits, (20, 30)).astype(np.uint16)
    photo = decode_photo(cv2.imencode(suffix, grey)[1].tobytes())
    np.testing.assert_array_equal(photo, np.repeat((grey >> (bits - 8))[..., None], 3, axis=2))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_of_the_upright_photo_in_the_stored_one(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.kron(np.arange(24).reshape(4, 6) * 10, np.ones((8, 8))).astype(np.uint8)
    data = encoded(Image.fromarray(pixels).convert("RGB"), kind, exif=exif)
    upright, stored = decode_photo(data), decode_photo(data, upright=False)
    assert stored.shape[:2] == (32, 48)
    points = np.array([[3, 4], [20, 12], [28, 28], [0, 31]])
    for (x, y), point in zip(points, stored_points(points, stored_form(data)), strict=True):
        column, row = point.astype(int)
        np.testing.assert_array_equal(upright[y, x], stored[row, column])
