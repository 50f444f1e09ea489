"""Finds models by path, or by the name of a model that ships in `export/pretrained/`."""

from importlib.util import find_spec
from pathlib import Path

from senet_landmark.errors import InputError


def _pretrained() -> Path:
    # The folder is beside the core in a checkout, and inside it once installed.
    spec = find_spec("senet_landmark.export")
    assert spec and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pretrained"


PRETRAINED = _pretrained()
"""Folder of the models that ship."""

DEFAULT_MODEL = "senet-68"


def shipped_models() -> list[str]:
    """Names of the models that ship: the default one first, the others by name."""
    names = sorted(path.stem for path in PRETRAINED.glob("*.pb"))
    return sorted(names, key=lambda name: name != DEFAULT_MODEL)


def find_model(model: Path | str | None = None) -> Path:
    """The path of a model, given as a path, as a name of `shipped_models`, or None for the default.

    Raises:
      InputError: no file and no shipped model has this name.
    """
    name = str(model or DEFAULT_MODEL)
    shipped = PRETRAINED / f"{name}.pb"
    if shipped.is_file():
        return shipped
    if not Path(name).is_file():
        names = ", ".join(shipped_models()) or "none"
        raise InputError(
            f"{name}: no such model. Give the path of a .pb that `senet-landmark freeze` wrote, "
            f"or the name of one that ships with the package ({names})."
        )
    return Path(name)


def frozen_start(start: Path | str) -> Path | None:
    """The `.pb` that a run starts from (`TrainConfig.start_from`); None: it starts from a run.

    The name of a shipped model has priority over a folder of the same name, as in `find_model`.

    Raises:
      InputError: `start` ends in .pb, and there is no such file.
    """
    is_model = Path(start).suffix == ".pb" or str(start) in shipped_models()
    return find_model(start) if is_model else None
