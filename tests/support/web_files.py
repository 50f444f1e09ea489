"""A server of photos and clips on this machine, with the faults that servers have."""

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path
from shifted_clips import frame_at

PHOTO = portrait_path().read_bytes()
LOGIN = "Basic " + base64.b64encode(b"me:secret word").decode()


class Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the path; `server.asked` has the paths that were asked for."""

    server: "Server"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.logins.append(self.headers.get("Authorization"))
        path = self.path.partition("?")[0]
        with contextlib.suppress(ConnectionError):
            if path in self.server.files:
                kind, data = self.server.files[path]
                self.send(data, kind)
            else:
                ANSWERS.get(path.split("/")[1], lambda handler: handler.send_error(404))(self)

    def send(self, data: bytes, kind: str = "image/jpeg", length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if length != -1:
            self.send_header("Content-Length", str(length or len(data)))
        self.end_headers()
        self.wfile.write(data)

    def lead(self, target: str, code: int = 302) -> None:
        self.send_response(code)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _slow(handler: Handler) -> None:
    time.sleep(1.5)
    handler.send(PHOTO)


def _drip(handler: Handler) -> None:
    handler.send(b"", length=100_000)
    for _ in range(60):
        handler.wfile.write(b"\xff")
        time.sleep(0.05)


def _locked(handler: Handler) -> None:
    if handler.headers.get("Authorization") == LOGIN:
        handler.send(PHOTO)
    else:
        handler.send_error(401)


def _mjpeg(handler: Handler) -> None:
    """What a camera with an HTTP server sends."""
    handler.send(b"", "multipart/x-mixed-replace; boundary=b", -1)
    for number in range(8):
        jpeg = cv2.imencode(".jpg", frame_at(number)[0][..., ::-1])[1].tobytes()
        head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        handler.wfile.write(head.encode() + jpeg + b"\r\n")
        time.sleep(0.04)


ANSWERS: dict[str, Callable[[Handler], None]] = {
    "photo.jpg": lambda h: h.send(PHOTO),
    "get": lambda h: h.send(PHOTO),
    "moved": lambda h: h.lead("/photo.jpg"),
    "moved308": lambda h: h.lead("/photo.jpg", 308),
    "loop": lambda h: h.lead("/loop"),
    "file": lambda h: h.lead("file:///etc/passwd"),
    "ftp": lambda h: h.lead("ftp://127.0.0.1/photo.jpg"),
    "moved-locked": lambda h: h.lead("/locked"),
    "locked": _locked,
    "broken": lambda h: h.send_error(500),
    "slow.jpg": _slow,
    "drip.jpg": _drip,
    "huge.jpg": lambda h: h.send(PHOTO, length=10**12),
    "endless.jpg": lambda h: h.send(PHOTO * 40, length=-1),
    "cut.jpg": lambda h: h.send(PHOTO[:5000], length=len(PHOTO)),
    "page": lambda h: h.send(b"<!DOCTYPE html><html>hello</html>", "text/html; charset=utf-8"),
    "page.jpg": lambda h: h.send(b"\n<!DOCTYPE html><html>hello</html>"),
    "error.mp4": lambda h: h.send(b'{"error": "gone"}', "application/json"),
    "wrong-type": lambda h: h.send(PHOTO, "text/html"),
    "junk.jpg": lambda h: h.send(bytes(range(256)) * 10),
    "stream": _mjpeg,
}  # fmt: skip


class Server(ThreadingHTTPServer):
    """`files`: path -> (type, content), beside those of `ANSWERS`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.logins: list[str | None] = []
        self.files: dict[str, tuple[str, bytes]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def count(self, path: str) -> int:
        return self.asked.count(path)


@contextlib.contextmanager
def web_files() -> Iterator[Server]:
    """The server, until the end of the block."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
