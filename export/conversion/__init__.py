"""`.pb` -> ONNX, TFLite, SavedModel, the parity of each checked."""
