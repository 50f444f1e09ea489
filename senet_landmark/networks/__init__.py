"""Crop -> landmarks: layers, heads, one file a network, a registry, and the model around them.

Imports `face` and the configuration; never `training`.
"""
