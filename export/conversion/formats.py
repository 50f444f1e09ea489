"""The formats that `convert` writes: their names, and the names of their files."""

Format = str
"""Name of a format, a key of `NAMES`."""

NAMES: dict[Format, str] = {
    "onnx": ".onnx",
    "tflite": ".tflite",
    "tflite-int8": "-int8.tflite",
    "savedmodel": "_savedmodel",
    "triton": "_triton",
}
"""Format -> what follows the model's name in the default name of the file or folder."""

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "tflite": ".tflite", "tflite-int8": ".tflite"}
"""Format -> suffix of its file; the others are folders."""
