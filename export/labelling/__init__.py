"""Models annotate the photos of a data set."""
