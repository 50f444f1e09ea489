"""Synthetic faces: data sets made from one portrait, and turned views of photos."""
