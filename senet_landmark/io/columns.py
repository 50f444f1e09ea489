"""Column names of a table of faces, as `predict` writes it and the data set `csv` reads it."""

BOX = ("left", "top", "right", "bottom")
"""Edges of the face box, in pixels."""

POSE = ("yaw", "pitch", "roll")
"""Head pose in degrees, signs as in `senet_landmark.face.pose`."""
