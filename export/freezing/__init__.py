"""A run's checkpoint -> `.pb` and contract, proven equal."""
