"""senet_landmark: train a facial-landmark detector and run it anywhere as one frozen graph.

Importing this package, `geometry`, `schemes`, `pose` or `metrics` never loads TensorFlow.
"""

__version__ = "0.1.0"
