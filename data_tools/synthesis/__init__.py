"""Faces that are made: synthetic trees from one portrait, and turned views of photos."""
