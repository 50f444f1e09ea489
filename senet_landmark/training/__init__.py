"""Records -> a training run: setup, graph, loop, validation, checkpoints, fine-tuning.

Names no network, data set or loss. May import all of the core except `cli`.
"""
