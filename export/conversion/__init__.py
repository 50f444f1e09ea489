"""`.pb` -> ONNX, TFLite, SavedModel, each proven equal."""
