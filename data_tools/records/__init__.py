"""Samples -> sharded TFRecords: plan, boxes, split, worker processes, Apache Beam, report."""
