"""Geometry of faces: landmark schemes, face boxes, the crop, depth, head pose, shape models.

Imports `io` and `errors`; never TensorFlow.
"""
