"""Photo -> face boxes and scores: one file per detector, and a registry of them.

Imports `face` and `io`; never TensorFlow.
"""
