"""Crop -> landmarks: layers, heads, one file per network, a registry, and the complete model.

Imports `face` and the configuration; never `training`.
"""
