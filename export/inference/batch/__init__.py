"""Many photos -> a folder of results: what the inputs are, the work on one photo, the lines.

`predict.py` above it joins them, `predict_beam.py` on Beam.
"""
