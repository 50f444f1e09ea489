"""Training run -> frozen model, and everything that uses one. Imports the core and `data_tools`."""
