"""Photos and clips from http and https addresses, within bounds of size and time.

Only http and https are fetched, also after redirects: an address never leads to a file of this
machine. What is fetched are the bytes; whether they are a photo is told by who decodes them.
"""

import base64
import contextlib
import ipaddress
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from senet_landmark import __version__
from senet_landmark.errors import InputError
from senet_landmark.io.folders import MOST_SNIFFED, VIDEO_SUFFIXES, kind_of_bytes
from senet_landmark.io.images import PHOTO_SUFFIXES, read_header

WEB = ("http", "https")
"""Schemes of addresses that are fetched."""

LIVE = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp")
"""Schemes of streams, which FFmpeg opens, and which run on as a camera does."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")

_LIVE_SUFFIXES = (".m3u8", ".mpd", ".sdp")
_LIVE_TYPES = ("multipart/x-mixed-replace", "application/vnd.apple.mpegurl",
               "application/x-mpegurl", "application/dash+xml")  # fmt: skip
"""Playlists of streams, and the MJPEG of cameras with an HTTP server."""

PHOTO_MEGABYTES = 100.0
"""A photo is fetched into memory: so many megabytes at most."""

LEAST_SPEED = 20_000
"""Bytes a second, on average from the end of `Limits.seconds` on: a server that sends a byte now
and then must not hold up a batch for ever."""

_CHUNK = 1 << 16
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Limits:
    """What may be fetched.

    Attributes:
      megabytes: size of a clip, in 10^6 bytes; of a photo, too, up to `PHOTO_MEGABYTES`.
      seconds: longest wait for an answer, and for the next bytes of it.
    """

    megabytes: float = 1000.0
    seconds: float = 30.0


def scheme_of(source: Path | str) -> str:
    """The scheme of an address, in lower case; empty for what is none."""
    match = _ADDRESS.match(source) if isinstance(source, str) else None
    return match[1].lower() if match else ""


def is_web(source: Path | str) -> bool:
    """Whether it is an address that is fetched."""
    return scheme_of(source) in WEB


def is_live(source: Path | str) -> bool:
    """Whether it is the address of a stream, by its scheme or its suffix."""
    if is_web(source):
        return _suffix(str(source)) in _LIVE_SUFFIXES
    return scheme_of(source) in LIVE


def check_address(source: str) -> None:
    """Raises InputError where an address is of another kind than those that are read."""
    scheme = scheme_of(source)
    if scheme == "file":
        raise InputError(f"{source}: is the address of a file; give the file's path.")
    if scheme not in (*WEB, *LIVE):
        raise InputError(
            f"{shown(source)}: addresses of {scheme} are not read; those of {', '.join(WEB)} and "
            f"{', '.join(LIVE)} are. Save it as a file first."
        )
    try:
        parts = urlsplit(source)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{shown(source)}: is no address ({error}).") from error
    if not host:
        raise InputError(f"{shown(source)}: is an address without a host.")


def shown(source: Path | str) -> str:
    """How a source is written in messages and results: without the password of an address."""
    text = str(source)
    return re.sub(r"(://)[^/?#@]*@", r"\1", text) if scheme_of(text) else text


def file_name_of(address: str) -> str:
    """A name for the results of an address: the last part of its path, or its host."""
    parts = urlsplit(address)
    name = unquote(parts.path.rstrip("/").rpartition("/")[2])
    stem, suffix = os.path.splitext(re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", name))
    if not stem.strip(". "):
        stem, suffix = host_of(address).replace(".", "_"), ""
    return stem[:_LONGEST_NAME] + suffix[:10]


def host_of(address: str) -> str:
    """The host of an address, as a name of a folder."""
    host = urlsplit(address).hostname or "host"
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host)).replace(":", "_")
    return re.sub(r"[^\w.-]", "_", host)


def kind_at(address: str, limits: Limits = Limits()) -> Literal["photo", "video", "live"]:
    """What an http address leads to: by its suffix, or by what the server sends.

    One that cannot be reached, and a page, count as a photo: who reads it tells what is wrong.
    """
    suffix = _suffix(address)
    if is_live(address):
        return "live"
    if suffix != ".gif" and suffix in PHOTO_SUFFIXES:
        return "photo"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    try:
        with _opened(address, limits) as response:
            if response.headers.get_content_type() in _LIVE_TYPES:
                return "live"
            data = b""
            for chunk in _chunks(response, address, limits, MOST_SNIFFED / 1e6, cut=True):
                data += chunk
                # Whether a GIF moves is not at its beginning.
                if len(data) >= _CHUNK and not data.startswith(b"GIF8"):
                    break
            kind = kind_of_bytes(data)
            if kind == "other" and response.headers.get_content_maintype() == "video":
                return "video"
            return "video" if kind == "video" else "photo"
    except InputError:
        return "photo"


def fetch_photo(address: str, limits: Limits = Limits()) -> bytes:
    """The bytes of a photo at an http address.

    Raises:
      InputError: it cannot be reached, the server refuses it, it is too large or too slow, it ends
        early, or it is a page.
    """
    with _opened(address, limits) as response:
        most = min(limits.megabytes, PHOTO_MEGABYTES)
        data = b"".join(_chunks(response, address, limits, most))
        _refuse_page(response, address, data, "a photo")
        return data


def fetch_clip(address: str, path: Path, limits: Limits = Limits()) -> None:
    """Writes the clip at an http address to a file. Raises InputError as `fetch_photo`.

    Raises:
      OSError: the file cannot be written.
    """
    with _opened(address, limits) as response, open(path, "wb") as stream:
        for number, chunk in enumerate(_chunks(response, address, limits, limits.megabytes)):
            if not number:
                _refuse_page(response, address, chunk, "a clip")
            try:
                stream.write(chunk)
            except OSError as error:
                error.filename = str(path)
                raise


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects to http and https alone; the base class refuses the others, but not FTP."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str):  # type: ignore[no-untyped-def]
        if scheme_of(newurl) not in WEB:
            raise urllib.error.HTTPError(
                req.full_url, code, f"{msg} - Redirection to url '{newurl}' is not allowed",
                headers, fp,
            )  # fmt: skip
        code = 307 if code == 308 else code  # Python 3.10 does not know 308
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302


def _opener() -> urllib.request.OpenerDirector:
    """What opens addresses; unlike that of `urlopen`, it knows neither file: nor ftp: nor data:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(), urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(), urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(), urllib.request.UnknownHandler(), _Redirects(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


def _request(address: str) -> urllib.request.Request:
    parts = urlsplit(address)
    place = parts.netloc.rpartition("@")[2]
    if not place.isascii():
        place = place.encode("idna").decode()
    path, query = (quote(part, "%/:=&?~#+!$,;'@()*[]") for part in (parts.path, parts.query))
    request = urllib.request.Request(
        urlunsplit((parts.scheme, place, path, query, "")),
        headers={"User-Agent": f"senet-landmark/{__version__}", "Accept": "image/*, video/*, */*"},
    )
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        # Not sent to where a redirect leads.
        request.add_unredirected_header(
            "Authorization", f"Basic {base64.b64encode(login.encode()).decode()}"
        )
    return request


@contextlib.contextmanager
def _opened(address: str, limits: Limits) -> Iterator[Any]:
    """The answer of the server; errors of the network in the block become InputError, too."""
    check_address(address)
    name = shown(address)
    try:
        with _opener().open(_request(address), timeout=limits.seconds) as response:
            yield response
    except urllib.error.HTTPError as error:
        error.close()
        raise InputError(f"{name}: the server answers {error.code}, {error.reason}.") from error
    except TimeoutError as error:
        raise InputError(_too_slow(name, limits)) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise InputError(_too_slow(name, limits)) from error
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise InputError(f"{name}: cannot be reached ({reason}).") from error
    except (HTTPException, UnicodeError, ConnectionError) as error:
        raise InputError(f"{name}: cannot be fetched ({error or type(error).__name__}).") from error


def _too_slow(name: str, limits: Limits) -> str:
    return f"{name}: sends nothing for {limits.seconds:g} s. --timeout gives it longer."


def _chunks(
    response: Any, address: str, limits: Limits, megabytes: float, cut: bool = False
) -> Iterator[bytes]:
    """The content of an answer, in parts; `cut`: the rest of a larger one is left out."""
    name, most = shown(address), int(megabytes * 1e6)
    length = int(response.headers.get("Content-Length") or 0)
    too_large = (
        f"{name}: is larger than {megabytes:g} MB, which is the most that is fetched of "
        f"{'a photo' if megabytes == PHOTO_MEGABYTES else 'it; --max-megabytes allows more'}."
    )
    if length > most and not cut:
        raise InputError(too_large)
    began, size = time.monotonic(), 0
    while chunk := response.read1(_CHUNK):
        size += len(chunk)
        if size > most and not cut:
            raise InputError(too_large)
        yield chunk
        if cut and size >= most:
            return
        passed = time.monotonic() - began
        if passed > limits.seconds and size < LEAST_SPEED * passed:
            raise InputError(
                f"{name}: comes too slowly, {size / 1e3:.0f} kB in {passed:.0f} s. --timeout gives "
                "it longer."
            )
    if size < length:
        raise InputError(f"{name}: ends after {size} of {length} bytes. Try it again.")


def _refuse_page(response: Any, address: str, data: bytes, what: str) -> None:
    """Raises InputError where a server sends a page or other text in place of a picture."""
    kind = response.headers.get_content_type()
    if kind == "text/html" or data[:MOST_SNIFFED].lstrip()[:15].lower().startswith(
        (b"<!doctype html", b"<html")
    ):
        if read_header(data) is None:
            raise InputError(
                f"{shown(address)}: is not {what}, the server sends a page (text/html). Give the "
                "address of the picture or clip itself, not that of the page that shows it."
            )
    elif kind in ("application/json", "text/plain") and read_header(data) is None:
        raise InputError(f"{shown(address)}: is not {what}, the server sends text ({kind}).")


def _suffix(address: str) -> str:
    try:
        return os.path.splitext(unquote(urlsplit(address).path))[1].lower()
    except ValueError:  # `check_address` tells it
        return ""
