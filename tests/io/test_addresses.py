"""Photos and clips from http addresses: what is fetched, within which bounds, and what is said."""

import time

import pytest

from senet_landmark.errors import InputError
from senet_landmark.io.addresses import (
    LIVE,
    Limits,
    check_address,
    fetch_clip,
    fetch_photo,
    file_name_of,
    is_live,
    is_web,
    kind_at,
    scheme_of,
    shown,
)
from web_files import LOGIN, PHOTO, web_files

QUICK = Limits(seconds=0.4)


@pytest.fixture(scope="module")
def server():
    with web_files() as server:
        yield server


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.parametrize(
    "path", ["photo.jpg", "get?id=3&name=ä b", "moved", "moved308", "wrong-type"]
)
def test_photos_are_fetched_also_after_redirects(server, path):
    assert fetch_photo(f"{server.url}/{path}") == PHOTO


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("gone.jpg", "answers 404, Not Found"),
        ("broken", "answers 500"),
        ("locked", "answers 401"),
        ("loop", "answers 302, .*redirect"),
        ("file", "Redirection to url 'file:///etc/passwd' is not allowed"),
        ("ftp", "Redirection to url 'ftp://.*' is not allowed"),
        ("slow.jpg", "sends nothing for 0.4 s. --timeout"),
        ("drip.jpg", "comes too slowly"),
        ("huge.jpg", "is larger than 100 MB"),
        ("cut.jpg", "ends after 5000 of"),
        ("page", r"sends a page \(text/html\)"),
        ("page.jpg", "sends a page"),
        ("error.mp4", r"sends text \(application/json\)"),
    ],
)
def test_what_is_wrong_is_told_with_the_address(server, path, words):
    began = time.monotonic()
    with pytest.raises(InputError, match=words) as told:
        fetch_photo(f"{server.url}/{path}", QUICK)
    assert f"{server.url}/{path}: " in str(told.value)
    assert time.monotonic() - began < 3


def test_size_is_bounded_also_where_the_server_does_not_tell_it(server):
    least = len(PHOTO) / 1e6
    with pytest.raises(InputError, match=r"larger than .* --max-megabytes"):
        fetch_photo(f"{server.url}/endless.jpg", Limits(megabytes=2 * least))
    assert fetch_photo(f"{server.url}/photo.jpg", Limits(megabytes=least + 1e-6)) == PHOTO


def test_clips_are_written_to_a_file(server, tmp_path):
    server.files["/clip.avi"] = ("video/avi", bytes(range(256)) * 2000)
    fetch_clip(f"{server.url}/clip.avi", tmp_path / "clip")
    assert (tmp_path / "clip").read_bytes() == bytes(range(256)) * 2000
    with pytest.raises(InputError, match="is not a clip, the server sends text"):
        fetch_clip(f"{server.url}/error.mp4", tmp_path / "clip")
    with pytest.raises(InputError, match=r"larger than 0.1 MB"):
        fetch_clip(f"{server.url}/clip.avi", tmp_path / "clip", Limits(megabytes=0.1))


def test_nobody_answers():
    with pytest.raises(
        InputError, match=r"http://127.0.0.1:9/a.jpg: cannot be reached \(.*refused"
    ):
        fetch_photo("http://127.0.0.1:9/a.jpg")
    with pytest.raises(InputError, match="cannot be reached"):
        fetch_photo("http://no-such-host.invalid/a.jpg")


def test_user_and_password_are_sent_to_their_host_alone_and_never_shown(server):
    address = server.url.replace("http://", "http://me:secret%20word@")
    assert fetch_photo(f"{address}/locked") == PHOTO
    with pytest.raises(InputError, match="401") as told:
        fetch_photo(f"{address}/moved-locked")
    assert server.logins[-2:] == [LOGIN, None]
    assert "secret" not in str(told.value) and "me:" not in str(told.value)
    assert shown("rtsp://me:pass@host/s?a=b@c") == "rtsp://host/s?a=b@c"
    assert shown("a/b@c.jpg") == "a/b@c.jpg"


def test_what_an_address_leads_to(server):
    server.files["/movie"] = ("application/octet-stream", b"\x1a\x45\xdf\xa3" + bytes(5000))
    server.files["/typed"] = ("video/mp4", b"something new")
    expected = {
        "get": "photo", "photo.jpg": "photo", "gone.jpg": "photo", "page": "photo", "gone": "photo",
        "movie": "video", "typed": "video", "gone.mp4": "video", "moved": "photo",
        "stream": "live", "list.m3u8": "live",
    }  # fmt: skip
    server.asked.clear()
    assert {path: kind_at(f"{server.url}/{path}", QUICK) for path in expected} == expected
    # A suffix that says it costs no request.
    assert not {"/gone.jpg", "/gone.mp4", "/list.m3u8"} & set(server.asked)
    assert server.count("/photo.jpg") == 1  # that of /moved


def test_animated_gif_is_a_clip_and_another_a_photo(server):
    import io

    from PIL import Image

    frames = [Image.new("L", (8, 8), shade) for shade in (0, 99, 200)]
    for name, rest in (("/still.gif", []), ("/moving.gif", frames[1:])):
        stream = io.BytesIO()
        frames[0].save(stream, "GIF", save_all=bool(rest), append_images=rest)
        server.files[name] = ("image/gif", stream.getvalue())
    assert kind_at(f"{server.url}/still.gif") == "photo"
    assert kind_at(f"{server.url}/moving.gif") == "video"


def test_addresses_by_their_form():
    assert is_web("HTTPS://host/a.jpg") and not is_web("rtsp://host") and not is_web("http:/a")
    assert all(is_live(f"{scheme}://host/s") for scheme in LIVE)
    assert not scheme_of("C:/photo.jpg") and not scheme_of("folder/a://b")
    for address, words in (
        ("file:///etc/passwd", "give the file's path"),
        ("ftp://host/a.jpg", "addresses of ftp are not read"),
        ("http:///a.jpg", "without a host"),
        ("http://host:99999/a.jpg", "is no address"),
        ("http://[bad/a.jpg", "is no address"),
    ):
        with pytest.raises(InputError, match=words):
            check_address(address)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://host/a/photo.jpg?size=3#x", "photo.jpg"),
        ("https://host/na%20me%2F..%2Fx.jpg", "na me_.._x.jpg"),
        ("https://example.org/", "example_org"),
        ("https://example.org/..", "example_org"),
        ("rtsp://u:p@10.0.0.3:554", "10_0_0_3"),
        ("https://host/%E5%90%8D.png", "名.png"),
        ("https://host/" + "x" * 300 + ".jpg", "x" * 80 + ".jpg"),
    ],
)
def test_names_of_results(address, name):
    assert file_name_of(address) == name
