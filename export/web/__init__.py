"""A folder with which a browser runs a model by itself. Imports detectors, inference and the page."""
