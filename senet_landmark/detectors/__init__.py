"""Photo -> face boxes and scores: one file per detector, and a registry of them.

Imports `face`, `io` and `frozen`; never TensorFlow.
"""
