"""A run's checkpoint -> `.pb` and contract, their parity checked."""
