"""Frozen models: their contract, their graph, those that ship, and a `.pb` as weights again.

Imports `networks`, `face` and `io`; the contract never imports TensorFlow.
"""
