"""What a frozen model costs: constants, FLOPs, and how long one crop takes."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from export.contract import Contract, load_contract
from export.engines import load_engine
from senet_landmark.errors import InputError

ENGINES = {"opencv": "OpenCV", "tensorflow": "TensorFlow"}
"""Name of an engine -> as it is written."""

THREADS = ("one_thread", "all_threads")

Run = Callable[[], object]


def load_graph(model: Path, contract: Contract) -> tuple[Any, int]:
    """A `.pb` as a TensorFlow graph for one face, and the faces that it takes at once.

    A graph for any number of faces gets batch 1, so that the profiler knows every shape.

    Raises:
      InputError: the file is no graph.
    """
    import tensorflow.compat.v1 as tf

    graph_def = tf.GraphDef()
    try:
        graph_def.ParseFromString(model.read_bytes())
        for node in graph_def.node:
            if node.op == "Placeholder" and node.attr["shape"].shape.dim[0].size < 1:
                node.attr["shape"].shape.dim[0].size = 1
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(graph_def, name="")
    except Exception as error:  # protobuf's DecodeError has no stable public name
        raise InputError(f"{model}: is not a frozen graph of this project ({error}).") from error
    return graph, max(contract.input.shape[0], 1)


def count_constants(graph: Any) -> int:
    """Numbers in the graph's float constants: weights, biases, and what is fixed, such as grids."""
    import tensorflow.compat.v1 as tf

    constants = [op for op in graph.get_operations() if op.type == "Const"]
    return sum(
        int(np.prod(op.outputs[0].shape.as_list()))
        for op in constants
        if op.outputs[0].dtype == tf.float32
    )


def count_flops(graph: Any) -> int | None:
    """FLOPs of the graph by TensorFlow's profiler: a multiplication and an addition are two.

    Returns:
      None where a convolution or product has an unknown shape, which the profiler would leave out.
    """
    import tensorflow.compat.v1 as tf

    heavy = ("Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMul", "BatchMatMulV2")
    for op in graph.get_operations():
        if op.type in heavy and not op.outputs[0].shape.is_fully_defined():
            return None
    options = tf.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return int(tf.profiler.profile(graph, options=options).total_float_ops)


def measure_latency(models: Sequence[Path], rounds: int) -> list[dict[str, Any]]:
    """Time of one crop through each model, in ms, measured in a fresh process.

    In each round every model runs twice on every engine and number of threads, and the second run
    is timed; the models take turns, so that what else the machine does hits all alike. A graph for
    a fixed batch takes that batch.

    Args:
      models: `.pb` files with their contracts.
      rounds: timed runs of each; at least 1.

    Returns:
      Of each model: engine -> `one_thread`, `all_threads` -> `median`, `quartiles` (low, high),
      `cpu` (median of the processor's time, which other programs change less); or engine ->
      `error`, why it does not run there, or why the process ended.
    """
    # Within one process TensorFlow gives all sessions the threads of its first one, unless it is
    # told otherwise before that: hence a process of its own.
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"TF_OVERRIDE_GLOBAL_THREADPOOL": "1", "PYTHONPATH": paths}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        job = json.dumps([[str(model.resolve()) for model in models], rounds, str(result)])
        done = subprocess.run(
            [sys.executable, "-m", "export.latency"],
            input=job, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            # A graph may take the whole process with it; the other figures must not be lost.
            problem = f"The process ended with {done.returncode}: {done.stderr.strip()[-300:]}"
            return [{engine: {"error": problem} for engine in ENGINES} for _ in models]
        found: list[dict[str, Any]] = json.loads(result.read_text())
    return found


def environment() -> dict[str, Any]:
    """What latency depends on: processor, cores, releases of the engines."""
    import tensorflow.compat.v1 as tf

    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(x.partition(":")[2].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux, or a processor that does not say its name there
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "opencv": cv2.__version__,
        "tensorflow": tf.__version__,
    }


def _main() -> None:
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    models, rounds, result = json.loads(sys.stdin.read())
    Path(result).write_text(json.dumps(_measure([Path(model) for model in models], rounds)))


def _measure(models: Sequence[Path], rounds: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{} for _ in models]
    own_threads = cv2.getNumThreads()
    for engine in ENGINES:
        runs: list[dict[str, Run]] = []
        for model, of in zip(models, found, strict=True):
            try:
                runs.append(_runs(model, engine))
            except InputError as error:
                runs.append({})
                of[engine] = {"error": str(error).replace(str(model), model.name)}
        times: list[dict[str, list[tuple[float, float]]]] = [{t: [] for t in THREADS} for _ in runs]
        for number in range(rounds):
            for threads in THREADS:
                cv2.setNumThreads(1 if threads == "one_thread" else own_threads)
                for place in range(len(runs)):
                    # Another one begins each round: who comes first may have the cold start.
                    index = (place + number) % len(runs)
                    if run := runs[index].get(threads):
                        run()
                        times[index][threads].append(_time(run))
        for of, own, run_of in zip(found, times, runs, strict=True):
            if run_of:
                of[engine] = {threads: _summary(own[threads]) for threads in THREADS}
    return found


def _runs(model: Path, engine: str) -> dict[str, Run]:
    """Number of threads -> one run of the model. Raises InputError where the engine cannot."""
    contract = load_contract(model)
    width, height = contract.size
    shape = (max(contract.input.shape[0], 1), height, width, 3)
    crops = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    if engine == "opencv":
        run = load_engine(model, contract, "opencv")
        return {threads: lambda: run(crops) for threads in THREADS}  # the caller sets the threads
    import tensorflow.compat.v1 as tf

    def start(threads: int) -> Run:
        config = tf.ConfigProto(
            intra_op_parallelism_threads=threads,
            inter_op_parallelism_threads=threads,
            use_per_session_threads=True,
        )
        session = tf.Session(graph=graph, config=config)
        return lambda: session.run(contract.landmarks.name, {contract.input.name: crops})

    graph, _ = load_graph(model, contract)
    runs = {"one_thread": start(1), "all_threads": start(0)}
    try:
        for run_once in runs.values():
            run_once()
    except (KeyError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{model}: TensorFlow cannot run this graph ({error}).") from error
    return runs


def _time(run: Run) -> tuple[float, float]:
    """Milliseconds of the clock, and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor)


def _summary(times: list[tuple[float, float]]) -> dict[str, Any]:
    wall, processor = zip(*times, strict=True)
    low, high = np.percentile(wall, (25, 75))
    return {
        "median": round(statistics.median(wall), 3),
        "quartiles": [round(float(low), 3), round(float(high), 3)],
        "cpu": round(statistics.median(processor), 3),
    }


if __name__ == "__main__":
    _main()
