"""`senet-landmark COMMAND`: one file per group of commands; tyro derives options from functions.

It is the only package of the core that imports `data_tools` and `export`. Each command imports them
when it runs, so that `--help` and `predict` start without TensorFlow.
"""
