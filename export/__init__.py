"""Runs -> frozen models, and all that is done with them. Imports the core and `data_tools`."""
