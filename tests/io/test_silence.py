"""Libraries do not speak between our messages."""

import os
import struct
import threading
import zlib

import cv2
import numpy as np

from senet_landmark.io.images import decode_photo
from senet_landmark.io.silence import silenced


def damaged_png():
    """A PNG whose colour profile makes libpng warn."""
    data = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    chunk = b"iCCPx\0\0" + zlib.compress(b"junk" * 50)
    length, check = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
    return data[:33] + length + chunk + check + data[33:]


def test_libpng_is_not_heard(capfd):
    data = damaged_png()
    cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert "libpng warning" in capfd.readouterr().err
    assert decode_photo(data).shape == (8, 8, 3)
    assert not capfd.readouterr().err


def test_our_own_words_are_heard_again(capfd):
    with silenced(), silenced():
        os.write(2, b"a library\n")
    os.write(2, b"ours\n")
    assert capfd.readouterr().err == "ours\n"


def test_a_thread_does_not_silence_the_others(capfd):
    def work():
        with silenced():
            os.write(2, b"to the log\n")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert capfd.readouterr().err == "to the log\n"
