"""A folder with which a browser runs a model by itself. Imports no TensorFlow."""
