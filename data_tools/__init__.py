"""Photos and annotations -> records. Imports the core; never `export`."""
