"""Options whose values are names in a registry; the names are looked up when a parser is made.

No name is repeated here: a new entry in a registry is a choice on the command line at once.
"""

import importlib
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class Choices:
    """For `Annotated`: the values that an option takes.

    Attributes:
      names: () -> the values, in the order in which the help shows them.
    """

    names: Callable[[], Iterable[str]]


def _entries(module: str, name: str) -> Choices:
    """The keys of a registry, or the names that a function returns, in a module of this package."""

    def names() -> Iterable[str]:
        registry = getattr(importlib.import_module(f"senet_landmark.{module}"), name)
        return registry() if callable(registry) else registry

    return Choices(names)


def _literal(module: str, name: str) -> Choices:
    """The values of a `Literal` in a module of this package."""
    return Choices(
        lambda: typing.get_args(getattr(importlib.import_module(f"senet_landmark.{module}"), name))
    )


# Any, because the functions that take these values have their own Literal types.
BoxSource = Annotated[Any, _entries("detectors.registry", "box_sources")]
ConversionName = Annotated[Any, _entries("export.conversion.formats", "NAMES")]
DatasetName = Annotated[Any, _entries("data_tools.datasets.registry", "DATASETS")]
DetectorName = Annotated[Any, _entries("detectors.registry", "DETECTORS")]
EngineName = Annotated[Any, _entries("export.engines.registry", "ENGINES")]
PeerName = Annotated[Any, _entries("export.evaluation.peers", "PEERS")]
PresetName = Annotated[Any, _entries("presets", "PRESETS")]
WriterName = Annotated[Any, _literal("export.inference.batch.made_files", "Format")]

SETTINGS = {
    "network.name": _entries("networks.registry", "NETWORKS"),
    "loss.name": _entries("losses", "LOSSES"),
    "train.trackers": _entries("training.tracking.tracker", "TRACKERS"),
}
"""Setting of `config.json` -> its choices. Only the help shows them: training itself refuses an
unknown name, whether it comes from the command line or from a `config.json`."""
