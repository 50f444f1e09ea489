"""Records and batches: record schema, TFRecord files, record store, augmentation, batches.

Imports `face`, `io` and the configuration; never `training`.
"""
