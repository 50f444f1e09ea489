"""Frozen models: contract, graph, the shipped models, and the weights in a `.pb` for training.

Imports `networks`, `face` and `io`; the contract never imports TensorFlow.
"""
