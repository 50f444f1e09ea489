"""Predicted and true landmarks -> errors, statistics and metrics of a model.

Imports `face` and `io`; the metrics never import TensorFlow.
"""
