"""Photos and annotations -> records. May import the core, never `export`."""
