"""Faces a second of a training step: single settings compared with the default, and PyTorch.

python benchmarks/speed/train_step.py [--preset senet] [--rounds 3] [--torch PYTHON]

Each measurement runs in its own process, on a constant batch; every round measures each setting
once. The program prints medians, and their ratio to the default setting. `--torch` names a Python
with PyTorch, which runs the same step of the same network (`pytorch_step.py`).
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from senet_landmark.visualisation.tables import markdown_table

HERE = Path(__file__).parent
STEPS = 8

SETTINGS: dict[str, tuple[dict[str, str], dict[str, int]]] = {
    "default: 2 replicas, oneDNN": ({}, {}),
    "1 replica": ({}, {"replicas": 1}),
    "4 replicas": ({}, {"replicas": 4}),
    "oneDNN off": ({"TF_ENABLE_ONEDNN_OPTS": "0"}, {}),
    "1 thread": ({}, {"threads": 1}),
    "4 threads": ({}, {"threads": 4}),
    "XLA, 1 replica": (
        {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"},
        {"replicas": 1},
    ),
    "bfloat16 products": ({"TF_SET_ONEDNN_FPMATH_MODE": "BF16"}, {}),
    "operations not fused": ({"BENCHMARK_NO_REMAPPER": "1"}, {}),
    "graph not rewritten": ({"BENCHMARK_NO_REWRITES": "1"}, {}),
    "batch 16": ({}, {"batch_size": 16}),
    "batch 32": ({}, {"batch_size": 32}),
    "batch 128": ({}, {"batch_size": 128}),
    "no averages, no clipping": ({}, {"ema_decay": 0, "gradient_clip": 0}),
}
"""Name -> (environment variables of the process, options of the training loop)."""


def measure(preset: str, options: dict[str, int]) -> float:
    """Faces a second of a preset's training graph on a constant batch."""
    from dataclasses import replace
    from types import SimpleNamespace
    from typing import Any, cast

    import numpy as np

    from senet_landmark.runtime import session_config, start_tensorflow

    start_tensorflow()
    import tensorflow.compat.v1 as tf

    from senet_landmark.face.schemes import get_scheme
    from senet_landmark.networks.registry import get_network
    from senet_landmark.presets import get_preset
    from senet_landmark.training.graph import build_training_graph

    config = get_preset(preset)
    config = replace(config, train=replace(config.train, replicas=2, batch_size=64))
    config = replace(config, train=replace(config.train, **cast(Any, options)))
    loop, (width, height) = config.train, get_network(config.network.name).input_size
    generator = np.random.default_rng(0)
    # The attributes of a batch maker that the graph reads; no batches are made here.
    maker = SimpleNamespace(
        store=SimpleNamespace(scheme=get_scheme("300w_68")), size=(width, height),
        attributes=config.network.attributes, batch_size=loop.batch_size,
    )  # fmt: skip
    count = loop.batch_size
    settings = session_config(loop.threads, loop.replicas)
    if os.environ.get("BENCHMARK_NO_REMAPPER"):
        settings.graph_options.rewrite_options.remapping = 2
    if os.environ.get("BENCHMARK_NO_REWRITES"):
        settings.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default(), tf.Session(config=settings) as session:
        batch = {
            "image": tf.constant(
                generator.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
            ),
            "landmarks": tf.constant(generator.uniform(0, 1, (count, 68, 2)), tf.float32),
            "asm_landmarks": tf.constant(generator.uniform(0, 1, (count, 68, 2)), tf.float32),
            "depth": tf.constant(generator.normal(0, 0.1, (count, 68)), tf.float32),
            "attributes": tf.zeros([count, len(config.network.attributes)]),
            "pose": tf.constant(generator.normal(0, 20, (count, 3)), tf.float32),
            "classes": tf.ones([count, 1]),
        }
        graph = build_training_graph(config, cast(Any, maker), 1, batch=batch)
        session.run(tf.global_variables_initializer())
        times = []
        for _ in range(STEPS):
            began = time.perf_counter()
            session.run(graph.update)
            times.append(time.perf_counter() - began)
    return count / statistics.median(times[2:])


def output_of(command: list[str], environment: dict[str, str]) -> float:
    """Runs a command, and returns the last number that it prints."""
    result = subprocess.run(
        command, env=os.environ | environment, check=True, capture_output=True, text=True
    )
    return float(result.stdout.split()[-1])


def main() -> None:
    """Measures all settings in turn, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="senet")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch", default="", help="path of a Python that has PyTorch")
    parser.add_argument("--only", nargs="*", help="only settings whose names begin so")
    parser.add_argument("--measure", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(measure(arguments.preset, dict(SETTINGS[arguments.measure][1])))
        return
    names = list(SETTINGS)
    if arguments.only:
        names = [n for n in names if n == names[0] or n.startswith(tuple(arguments.only))]
    commands = {
        name: ([sys.executable, __file__, "--preset", arguments.preset, "--measure", name],
               SETTINGS[name][0])
        for name in names
    }  # fmt: skip
    if arguments.torch:
        for layout in ("contiguous", "channels_last"):
            for environment in ("default", "best"):
                command = [arguments.torch, str(HERE / "pytorch_step.py")]
                command += ["--preset", arguments.preset, "--batch", "64", "--steps", str(STEPS)]
                command += ["--format", layout, "--environment", environment]
                commands[f"PyTorch, {layout}, {environment} environment"] = (command, {})
    rates: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(arguments.rounds):
        for name in list(commands)[:: 1 if number % 2 == 0 else -1]:
            rates[name].append(output_of(*commands[name]))
            print(f"round {number + 1}: {name}: {rates[name][-1]:.0f}", file=sys.stderr, flush=True)
    default = statistics.median(rates[names[0]])
    medians = {name: statistics.median(values) for name, values in rates.items()}
    rows = [(name, f"{rate:.0f}", f"{default / rate:.2f}") for name, rate in medians.items()]
    print(markdown_table(["setting", "faces/s", "default over it"], rows, texts=1), end="")


if __name__ == "__main__":
    main()
