"""A run's folder -> its page: curves, faces, configuration."""
