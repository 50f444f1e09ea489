"""The commands, one file a group of them; `senet_landmark/cli/app.py` has their table."""
