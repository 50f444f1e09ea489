"""`senet-landmark COMMAND`: one file a group of commands; tyro derives the options from functions.

The one package of the core that imports `data_tools` and `export`, inside each command, so that
`--help` and `predict` start without TensorFlow.
"""
