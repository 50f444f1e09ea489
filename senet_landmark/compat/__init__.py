"""Interfaces of other packages over this project's models, so that programs change one line.

`senet_landmark.compat.dlib` has dlib's `shape_predictor`, `senet_landmark.compat.face_alignment`
the `FaceAlignment` of that package. It imports the core and `export`, and nothing imports it.
"""
