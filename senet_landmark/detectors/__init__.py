"""Photo -> face boxes and scores: one file a detector, and a registry of them.

Imports `face` and `io`; never TensorFlow.
"""
