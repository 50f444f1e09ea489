"""Data sets -> face boxes -> crops -> sharded TFRecords."""
