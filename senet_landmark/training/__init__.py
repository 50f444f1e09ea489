"""Records -> a run: setup, graph, loop, validation, checkpoints, fine-tuning.

Names no network, data set or loss. Imports all of the core but `cli`.
"""
