"""What `convert` makes of a `.pb`: the formats by their names, and how their files are called."""

Format = str
"""Name of a format, a key of `NAMES`."""

NAMES: dict[Format, str] = {
    "onnx": ".onnx",
    "tflite": ".tflite",
    "tflite-int8": "-int8.tflite",
    "savedmodel": "_savedmodel",
}
"""Format -> what is put behind the model's name where the user gives none."""

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "tflite": ".tflite", "tflite-int8": ".tflite"}
"""Format -> how its files end; a SavedModel is a folder."""
