"""The formats that `convert` writes: their names, and the names of their files."""

from pathlib import Path

Format = str
"""Name of a format, a key of `NAMES`."""

NAMES: dict[Format, str] = {
    "onnx": ".onnx",
    "tflite": ".tflite",
    "tflite-int8": "-int8.tflite",
    "savedmodel": "_savedmodel",
    "triton": "_triton",
    "web": "_web",
}
"""Format -> what follows the model's name in the default name of the file or folder."""

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "tflite": ".tflite", "tflite-int8": ".tflite"}
"""Format -> suffix of its file; the others are folders."""


def default_path(model: Path | str, pb: Path, to: Format) -> Path:
    """The file or folder that a conversion writes without `out`.

    Args:
      model: the model as it was given, a path or a name.
      pb: its `.pb`.
      to: the format.
    """
    by_name = not Path(model).is_file()  # nothing is added to an installed package
    return (Path() if by_name else pb.parent) / f"{pb.stem}{NAMES[to]}"
