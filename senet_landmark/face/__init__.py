"""What is known of a face: landmark schemes, boxes, the one crop, head pose, shape.

Imports `io` and `errors`; never TensorFlow.
"""
