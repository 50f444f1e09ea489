"""Records and batches: the record's schema, TFRecord files, the record store, augmentation.

Imports `face`, `io` and the configuration; never `training`.
"""
