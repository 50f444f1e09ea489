"""What the engines share: their type, a function; and batches split over threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np

from senet_landmark.frozen.contract import FrozenTensors

Outputs = dict[str, np.ndarray]
"""Name of an output in the contract -> its values: landmarks, float32 [N, K, 2]; if the model has
them also variance and depth [N, K], pose [N, 3] and attributes [N, C]."""

Engine = Callable[[np.ndarray], Outputs]
"""Crops, uint8 or float32 [N, H, W, 3], RGB 0 to 255 -> the model's outputs. Several
threads may call it at once."""

Loader = Callable[[Path, FrozenTensors, int], Engine]
"""(file, its contract, threads; 0: the engine's own choice) -> the engine, ready to run. Raises
InputError if the runtime is not installed, or cannot run the file."""

EngineName = Literal["opencv", "onnxruntime", "tflite", "tensorflow", "tensorflow2"]


def cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def over_threads(start: Callable[[int], Engine], threads: int) -> Engine:
    """Splits a batch over threads; each thread runs a part of the crops.

    This gains more than several threads on one face, which takes only about a millisecond. A single
    face gets one thread, so that its time is steady on a busy machine; if the caller gives a number
    of threads, all of them share the face.

    Args:
      start: number of threads for one crop -> an engine that several threads may call, and that
        releases Python's global lock while it works.
      threads: threads for a batch; 0: one for each core.
    """
    part_engine = start(1)
    single_engine = start(threads) if threads > 1 else part_engine
    count = threads or cores()
    if count < 2:
        return part_engine
    pool = ThreadPoolExecutor(count, thread_name_prefix="engine")

    def shared(crops: np.ndarray) -> Outputs:
        if len(crops) < 2:
            return single_engine(crops)
        parts = list(pool.map(part_engine, np.array_split(crops, min(count, len(crops)))))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return shared


def in_batches(run: Engine, size: int) -> Engine:
    """An engine for any number of crops, from one whose graph takes exactly `size` crops."""

    def batched(crops: np.ndarray) -> Outputs:
        missing = -len(crops) % size
        padded = np.concatenate([crops, np.zeros((missing, *crops.shape[1:]), crops.dtype)])
        parts = [run(padded[start : start + size]) for start in range(0, len(padded), size)]
        return {
            name: np.concatenate([part[name] for part in parts])[: len(crops)] for name in parts[0]
        }

    return batched
