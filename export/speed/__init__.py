"""How long a model takes, in every engine."""
