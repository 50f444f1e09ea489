"""Train a facial-landmark detector, and run it anywhere as one frozen graph.

This package is the core. The two packages beside it, `data_tools` and `export`, build on it; it
imports neither of them, except in `cli` and `compat`. Importing it loads neither TensorFlow nor
OpenCV: a public name is looked up when it is first used (docs/python.md). The names that need
TensorFlow start it in graph mode.
"""

import os
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

# Once installed, `data_tools` and `export` are inside this folder (setup.py, package_dir). In a
# checkout they are beside it: the parent folder is then searched too.
_folder = os.path.dirname(__file__)
if not os.path.isdir(os.path.join(_folder, "export")):
    __path__.append(os.path.dirname(_folder))

_INFERENCE = {
    "Config": ("senet_landmark.config", "Config"),
    "Face": ("senet_landmark.export.inference.face", "Face"),
    "InputError": ("senet_landmark.errors", "InputError"),
    "Predictor": ("senet_landmark.export.inference.predictor", "Predictor"),
    "get_preset": ("senet_landmark.presets", "get_preset"),
}
_TENSORFLOW = {
    "build_records": ("senet_landmark.data_tools.records.build_records", "build_records"),
    "convert": ("senet_landmark.export.conversion.convert", "convert"),
    "evaluate": ("senet_landmark.export.evaluation.evaluate", "evaluate_models"),
    "freeze": ("senet_landmark.export.freezing.freeze", "freeze"),
    "train": ("senet_landmark.training.train", "train"),
}
"""Public name -> (module, name in that module), as above; using one of these starts TensorFlow."""

__all__ = [
    "Config", "Face", "InputError", "Predictor", "build_records", "convert", "evaluate", "freeze",
    "get_preset", "train",
]  # fmt: skip

if TYPE_CHECKING:
    from senet_landmark.config import Config
    from senet_landmark.data_tools.records.build_records import build_records
    from senet_landmark.errors import InputError
    from senet_landmark.export.conversion.convert import convert
    from senet_landmark.export.evaluation.evaluate import evaluate_models as evaluate
    from senet_landmark.export.freezing.freeze import freeze
    from senet_landmark.export.inference.face import Face
    from senet_landmark.export.inference.predictor import Predictor
    from senet_landmark.presets import get_preset
    from senet_landmark.training.train import train


def __getattr__(name: str) -> Any:
    """Looks up a public name (PEP 562) and stores it in the module."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    if name in _TENSORFLOW:
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
    module, attribute = (_INFERENCE | _TENSORFLOW)[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
