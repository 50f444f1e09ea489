"""Small records, and what a finished folder of them holds."""

import json

from senet_landmark.config import RecordsConfig

CONFIG = RecordsConfig(shard_size=3, size=64)


def contents(folder):
    paths = [*folder.glob("*.tfrecords"), *folder.glob("identities.json")]
    return {path.name: path.read_bytes() for path in sorted(paths)}


def report_of(folder):
    report = json.loads((folder / "report.json").read_text())
    return {k: v for k, v in report.items() if k not in ("seconds", "faces_per_second")}
