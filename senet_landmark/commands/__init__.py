"""The commands of `senet-landmark`: functions with docstrings, from which tyro derives options.

Imports are inside each command, so that `--help` and `predict` start without TensorFlow.
"""
