"""Trackers for tests, and what Weights & Biases has written offline."""

import json
import struct
import threading


class Recorder:
    """A tracker that keeps what it is told; `fails` names the methods that fail."""

    def __init__(self, name="recorder", fails=()):
        self.name, self._fails = name, fails
        self.calls, self.threads, self.curves, self.pictures = [], set(), {}, {}

    def begin(self, run, config, step, tracked):
        self._note("begin", step, tracked)
        return f"{self.name}-{run.name}-{config.preset}"

    def log(self, step, scalars, pictures):
        self._note("log", step, *scalars)
        for tag, value in scalars.items():
            self.curves.setdefault(tag, {})[step] = value
        for tag, picture in pictures.items():
            self.pictures.setdefault(tag, {})[step] = picture

    def end(self, ended):
        self._note("end", ended)

    def _note(self, *call):
        self.calls.append(call)
        self.threads.add(threading.current_thread())
        if call[0] in self._fails:
            raise ConnectionError(f"no answer to {call[0]}")


def offline_history(path):
    """Curves, tag -> step -> value, and configuration in a `.wandb` file."""
    from wandb.proto.wandb_internal_pb2 import Record

    curves, config = {}, {}
    for content in _records(path.read_bytes()):
        record = Record.FromString(content)
        items = {
            ".".join(item.nested_key) or item.key: json.loads(item.value_json)
            for item in record.history.item
            if len(item.nested_key) < 2  # longer keys are what is known of a picture
        }
        for tag, value in items.items():
            if isinstance(value, int | float) and not tag.startswith("_"):
                curves.setdefault(tag, {})[items["_step"]] = value
        update = record.run.config.update or record.config.update
        config |= {item.key: json.loads(item.value_json) for item in update if item.key}
    return curves, config


def _records(content, block=32768):
    """The records in a file of LevelDB's log format, which begins with 7 bytes of W&B's own."""
    place, parts = 7, b""
    while place + 7 <= len(content):
        left = block - place % block
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or its last part
            yield parts
            parts = b""
