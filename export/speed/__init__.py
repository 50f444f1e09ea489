"""The speed of a model in every engine."""
