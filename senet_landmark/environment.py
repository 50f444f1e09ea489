"""The environment of a run, so that it can be repeated: versions, machine, digest of the data."""

import os
import platform
import shlex
import sys
from importlib import metadata
from typing import Any

PACKAGES = ("senet_landmark", "tensorflow", "tf-slim", "numpy", "opencv-python-headless", "scipy")
"""Packages whose version may change a run's result."""


def environment(records_digest: str) -> dict[str, Any]:
    """Python, packages, machine, command and data, as plain JSON values.

    Args:
      records_digest: digest of the records, made from the `RecordStore.digest` of both splits.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "packages": {name: release(name) for name in PACKAGES},
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "command": shlex.join(sys.argv),
        "records_digest": records_digest,
    }


def release(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's model name, or its architecture where the name is unknown."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [line.partition(":")[2].strip() for line in stream if "model name" in line]
    except OSError:  # not Linux
        names = []
    return next(iter(names), "") or platform.processor() or platform.machine()
