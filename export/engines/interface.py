"""What the engines share: the function that each of them is, and batches over threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np

from senet_landmark.frozen.contract import Contract

Outputs = dict[str, np.ndarray]
"""The contract's outputs by their names: landmarks, float32 [N, K, 2], and where the model has them
variance [N, K], pose [N, 3] and attributes [N, C]."""

Engine = Callable[[np.ndarray], Outputs]
"""Crops, uint8 or float32 [N, H, W, 3], RGB 0 to 255 -> the model's outputs. May be called from
several threads at once."""

Loader = Callable[[Path, Contract, int], Engine]
"""(file, its contract, threads; 0: the engine's own choice) -> the engine, ready to run. Raises
InputError where the runtime is not installed, or cannot run the file."""

EngineName = Literal["opencv", "onnxruntime", "tflite", "tensorflow", "tensorflow2"]


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def over_threads(start: Callable[[int], Engine], threads: int) -> Engine:
    """Shares a batch among threads, each with a part of the crops.

    Faces side by side gain more than threads that share one face, which takes about a millisecond.
    A lone face is one thread's, which is steady on a busy machine; where the caller gives a number
    of threads, they share it.

    Args:
      start: threads that share a crop -> an engine that may be called from several threads, and
        lets others run while it works (releases Python's lock).
      threads: for a batch; 0: one a core.
    """
    one = start(1)
    lone = start(threads) if threads > 1 else one
    count = threads or cores()
    if count < 2:
        return one
    pool = ThreadPoolExecutor(count, thread_name_prefix="engine")

    def shared(crops: np.ndarray) -> Outputs:
        if len(crops) < 2:
            return lone(crops)
        parts = list(pool.map(one, np.array_split(crops, min(count, len(crops)))))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return shared


def in_batches(run: Engine, size: int) -> Engine:
    """Feeds a graph that takes exactly `size` crops with any number of them."""

    def batched(crops: np.ndarray) -> Outputs:
        missing = -len(crops) % size
        padded = np.concatenate([crops, np.zeros((missing, *crops.shape[1:]), crops.dtype)])
        parts = [run(padded[start : start + size]) for start in range(0, len(padded), size)]
        return {
            name: np.concatenate([part[name] for part in parts])[: len(crops)] for name in parts[0]
        }

    return batched
