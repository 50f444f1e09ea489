"""The model that ships, with another contract."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from senet_landmark.frozen.models import find_model


def write_changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The weights that ship as `path`, and their contract after `change`, without conversions."""
    shutil.copy(find_model(), path)
    values = json.loads(find_model().with_suffix(".json").read_text())
    values["conversions"] = {}
    change(values)
    path.with_suffix(".json").write_text(json.dumps(values))
    return path


def write_cropping(path: Path, **crop) -> Path:
    """The weights that ship as `path`, with a contract whose crop has these fields."""
    return write_changed(path, lambda values: values["crop"].update(crop))
