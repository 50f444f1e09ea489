"""Where the curves and pictures of a run go: event files, Weights & Biases, MLflow, a user's own.

Imports the run's log, the configuration and `io`; the loop calls it, it calls nothing of the loop.
"""
