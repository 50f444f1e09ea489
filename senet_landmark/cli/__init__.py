"""`senet-landmark COMMAND`: tyro derives the options from the functions in `commands`.

It imports `data_tools` and `export`, as `compat` and no other package of the core does. Each
command imports them when it runs, so that `--help` and `predict` start without TensorFlow.
"""
