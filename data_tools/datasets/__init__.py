"""Data sets as published -> samples: one file a data set, and a registry."""
