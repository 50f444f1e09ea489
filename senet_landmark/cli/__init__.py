"""`senet-landmark COMMAND`: one file per group of commands; tyro derives options from functions.

It imports `data_tools` and `export`, as `compat` and no other package of the core does. Each
command imports them when it runs, so that `--help` and `predict` start without TensorFlow.
"""
