"""`.pb` -> ONNX, TFLite or SavedModel, each with a parity check."""
