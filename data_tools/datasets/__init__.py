"""Published data sets -> samples: one file for each data set, and a registry."""
