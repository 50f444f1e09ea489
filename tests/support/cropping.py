"""The model that ships, with another crop."""

import json
import shutil
from pathlib import Path

from senet_landmark.frozen.models import find_model


def write_cropping(path: Path, **crop) -> Path:
    """The weights that ship as `path`, with a contract whose crop has these fields."""
    shutil.copy(find_model(), path)
    values = json.loads(find_model().with_suffix(".json").read_text())
    values["crop"] |= crop
    values["conversions"] = {}
    path.with_suffix(".json").write_text(json.dumps(values))
    return path
