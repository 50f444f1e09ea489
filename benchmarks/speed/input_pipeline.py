"""The input pipeline, the model's step, and both together, in one run: faces a second.

python benchmarks/speed/input_pipeline.py [--records FOLDER] [--preset senet] [--rounds 5]

In every round each of the three is measured in turn, once with the decoded crops in memory and once
without (`cache_mb=0`). The program prints medians. The ratio of "together" to the slower one of
"pipeline" and "model" alone shows how much of the best possible speed is reached. Without --records
the program makes synthetic ones.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from senet_landmark.runtime import start_tensorflow

start_tensorflow()

import tensorflow.compat.v1 as tf  # noqa: E402

from senet_landmark.config import Config  # noqa: E402
from senet_landmark.data.input_pipeline import BatchMaker, batches  # noqa: E402
from senet_landmark.data.records import load_records_info  # noqa: E402
from senet_landmark.presets import get_preset  # noqa: E402
from senet_landmark.runtime import session_config  # noqa: E402
from senet_landmark.training.graph import build_training_graph  # noqa: E402
from senet_landmark.training.setup import training_maker  # noqa: E402

SECONDS = 4.0
"""Shortest duration of a measurement."""

READY = 6
"""Largest number of batches that may be prefetched before a measurement; they must not count."""


@contextlib.contextmanager
def records_folder(records: str, config: Config, faces: int) -> Iterator[Path]:
    """The folder `records`, or a folder of synthetic records that is deleted afterwards."""
    if records:
        yield Path(records)
        return
    from senet_landmark.data_tools.records.build_records import build_records
    from senet_landmark.data_tools.synthesis.synthetic_tree import write_synthetic

    with tempfile.TemporaryDirectory() as folder:
        print(f"making {faces} synthetic faces …", flush=True)
        tree, out = Path(folder) / "tree", Path(folder) / "records"
        write_synthetic(tree, count=faces, progress=False)
        build_records("300w_lp", tree, out, config.records)
        yield out


def maker_of(config: Config, folder: Path, cache_mb: int) -> BatchMaker:
    """The maker of a folder's training batches, as in `train`."""
    config = replace(config, train=replace(config.train, cache_mb=cache_mb))
    maker = training_maker(config, folder, load_records_info(folder))
    if cache_mb:
        for index in range(len(maker.store)):
            maker.store.image(index)
    return maker


def pipeline_step(maker: BatchMaker, threads: int) -> Callable[[], object]:
    """A function that fetches the next batch and does nothing with it."""
    with tf.Graph().as_default():
        tensors = batches(maker, 0, threads)
        # Fetch one number of each tensor, so that the batch is not copied out of TensorFlow.
        first_values = [tf.reshape(value, [-1])[:1] for value in tensors.values()]
        session = tf.Session(config=session_config(threads))
        session.run(tf.tables_initializer())
    return lambda: session.run(first_values)


def training_step(
    config: Config, maker: BatchMaker, threads: int, *, constant: bool
) -> Callable[[], object]:
    """A function that runs one training step: on new batches, or always on the first batch."""
    with tf.Graph().as_default():
        batch = None
        if constant:
            batch = {k: tf.constant(v) for k, v in maker.batch(0).items() if v.size}
        graph = build_training_graph(config, maker, threads, batch=batch)
        session = tf.Session(config=session_config(threads, config.train.replicas))
        session.run(tf.global_variables_initializer())
        session.run(graph.data)
    return lambda: session.run(graph.update)


def measured(step: Callable[[], object], faces: int, seconds: float) -> tuple[float, float]:
    """Repeats a step; returns (faces a second, milliseconds of processor time a face)."""
    began = time.perf_counter()
    for _ in range(READY):
        step()
        if time.perf_counter() - began > seconds:
            break
    count, began, processor = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds or count < 3:
        step()
        count += 1
    took, processor = time.perf_counter() - began, time.process_time() - processor
    return count * faces / took, 1000 * processor / (count * faces)


def direct_cost(maker: BatchMaker, step: int) -> float:
    """Milliseconds of thread time a face that `BatchMaker.batch` takes, without TensorFlow."""
    began = time.thread_time()
    maker.batch(step)
    return 1000 * (time.thread_time() - began) / maker.batch_size


def main() -> None:
    """Measures in alternating rounds and prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", default="", help="folder of records; default: synthetic ones")
    parser.add_argument("--preset", default="senet")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--faces", type=int, default=600, help="synthetic faces to make")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    config = get_preset(options.preset)
    config = replace(config, train=replace(config.train, threads=options.threads))
    with records_folder(options.records, config, options.faces) as folder:
        compare(config, folder, options.rounds)


def compare(config: Config, folder: Path, rounds: int) -> None:
    """Measures all steps in alternating rounds, and prints medians and ratios."""
    threads, size = config.train.threads, config.train.batch_size
    makers = {"cached": maker_of(config, folder, 100_000), "uncached": maker_of(config, folder, 0)}
    steps = {"model": training_step(config, makers["cached"], threads, constant=True)}
    for kind, maker in makers.items():
        steps[f"pipeline, {kind}"] = pipeline_step(maker, threads)
        steps[f"together, {kind}"] = training_step(config, maker, threads, constant=False)
    rates: dict[str, list[float]] = {name: [] for name in steps}
    costs: dict[str, list[float]] = {name: [] for name in steps}
    alone: dict[str, list[float]] = {name: [] for name in makers}
    for number in range(rounds):
        order = list(steps) if number % 2 else list(reversed(steps))
        for name in order:
            rate, cost = measured(steps[name], size, SECONDS)
            rates[name].append(rate)
            costs[name].append(cost)
        for kind, maker in makers.items():
            alone[kind] += [direct_cost(maker, 3 * number + step) for step in range(3)]
        print(f"round {number + 1}: {', '.join(f'{k} {v[-1]:.0f}' for k, v in rates.items())}")
    print(f"\n{config.preset}, batches of {size}, {threads} threads, medians of {rounds} rounds")
    for name in steps:
        rate, cost = statistics.median(rates[name]), statistics.median(costs[name])
        print(f"{name:20} {rate:8.0f} faces/s {cost:8.2f} ms of processor time a face")
    for kind in makers:
        pairs = zip(rates["model"], rates[f"pipeline, {kind}"], strict=True)
        both = zip(rates[f"together, {kind}"], (min(pair) for pair in pairs), strict=True)
        ratio = statistics.median(together / slower for together, slower in both)
        cost = statistics.median(alone[kind])
        print(f"{kind}: together / slower alone {ratio:.3f}; a face costs {cost:.3f} ms to make")


if __name__ == "__main__":
    main()
