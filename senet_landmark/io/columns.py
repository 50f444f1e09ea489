"""Names of the columns that a table of faces has: what `predict` writes, and `csv` reads."""

BOX = ("left", "top", "right", "bottom")
"""Edges of the face box, in pixels."""

POSE = ("yaw", "pitch", "roll")
"""Head pose in degrees, signs as in `senet_landmark.face.pose`."""
