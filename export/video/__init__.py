"""Videos and cameras -> faces that keep their identity from frame to frame."""
