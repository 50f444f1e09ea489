"""Faces as files of annotation tools: COCO, Label Studio, CVAT. Imports writers and the core."""
