"""Training steps a second with and without oneDNN: alternating processes in one run, medians.

python benchmarks/train_step.py [--rounds 3]
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

BATCH, STEPS = 64, 8


def measure() -> float:
    """Faces a second of the default preset's update on a constant batch."""
    import numpy as np

    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    import tensorflow.compat.v1 as tf

    from senet_landmark.losses import total_loss
    from senet_landmark.model import build_model
    from senet_landmark.optimisation import update_operation
    from senet_landmark.presets import get_preset
    from senet_landmark.runtime import session_config

    config, generator = get_preset("senet"), np.random.default_rng(0)
    with tf.Graph().as_default(), tf.Session(config=session_config()) as session:
        step = tf.train.get_or_create_global_step()
        image = tf.constant(generator.integers(0, 256, (BATCH, 128, 128, 3), dtype=np.uint8))
        batch = {"landmarks": tf.constant(generator.uniform(0, 1, (BATCH, 68, 2)), tf.float32)}
        model = build_model(config.network, 68, is_training=True, image=image)
        loss = total_loss(config, model.end_points, batch, (128, 128))
        update, _ = update_operation(loss, tf.constant(1e-3), step, config.train)
        session.run(tf.global_variables_initializer())
        times = []
        for _ in range(STEPS):
            began = time.perf_counter()
            session.run(update)
            times.append(time.perf_counter() - began)
    return BATCH / statistics.median(times[2:])


def main(rounds: int = 3) -> None:
    """Alternates the two settings and prints the ratio of their medians."""
    found: dict[str, list[float]] = {"0": [], "1": []}
    for number in range(rounds):
        for setting in ("0", "1") if number % 2 else ("1", "0"):
            environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": setting}
            command = [sys.executable, str(Path(__file__)), "--measure"]
            output = subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            )
            found[setting].append(float(output.stdout.split()[-1]))
            print(f"oneDNN {setting}: {found[setting][-1]:.0f} faces/s", flush=True)
    off, on = statistics.median(found["0"]), statistics.median(found["1"])
    print(f"median: off {off:.0f}, on {on:.0f} faces/s; ratio {on / off:.2f}")


if __name__ == "__main__":
    if "--measure" in sys.argv:
        print(measure())
    else:
        main(int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 3)
