"""Pseudo-labels: trained models annotate the photos of a data set."""
