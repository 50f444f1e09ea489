"""A run's folder -> its report page: curves, faces, configuration."""
