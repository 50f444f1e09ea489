"""Predicted and true landmarks -> errors, statistics, the figures of a model. NumPy alone.

Imports `face` and `io`; the metrics never import TensorFlow.
"""
