"""What the readers of data sets share: files, photos as they were annotated, names of points."""
