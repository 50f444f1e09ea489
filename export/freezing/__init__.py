"""A run's checkpoint -> `.pb` and contract, with a parity check."""
