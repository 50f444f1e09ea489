"""Annotated faces, models, peers and sources of face boxes -> figures and a page."""
