"""How long one crop takes through a frozen model, in each runtime, in a fresh process."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from senet_landmark.environment import processor, release
from senet_landmark.export.comparison.graph_costs import load_graph
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.frozen.contract import Contract, load_contract

ENGINES = {
    "opencv": "OpenCV",
    "onnxruntime": "ONNX Runtime",
    "tflite": "LiteRT",
    "tensorflow": "TensorFlow",
}
"""Name of an engine -> as it is written."""

CONVERTED = {"onnxruntime": ".onnx", "tflite": ".tflite"}
"""Engine -> suffix of the file beside the `.pb` that it runs; the others run the `.pb`."""

THREADS = ("one_thread", "all_threads")

Run = Callable[[], object]


def measure_latency(models: Sequence[Path], rounds: int) -> list[dict[str, Any]]:
    """Time of one crop through each model, in ms, measured in a fresh process.

    In each round every model runs twice on every engine and number of threads, and the second run
    is timed; the models take turns, so that what else the machine does hits all alike. A graph for
    a fixed batch takes that batch.

    Args:
      models: `.pb` files with their contracts; ONNX Runtime and LiteRT run the `.onnx` and the
        `.tflite` beside each.
      rounds: timed runs of each; at least 1.

    Returns:
      Of each model: engine -> `one_thread`, `all_threads` -> `median`, `quartiles` (low, high),
      `cpu` (median of the processor's time, which other programs change less); or engine ->
      `error`, why it does not run there, or why the process ended.
    """
    job = {"models": [str(model.resolve()) for model in models], "rounds": rounds}
    try:
        found: list[dict[str, Any]] = in_fresh_process("senet_landmark.export.speed.latency", job)
    except RuntimeError as error:
        # A graph may take the whole process with it; the other figures must not be lost.
        return [{engine: {"error": str(error)} for engine in ENGINES} for _ in models]
    return found


def in_fresh_process(module: str, job: dict[str, Any]) -> Any:
    """Runs a module of this project with [`job`, path of the result] as JSON on its input.

    Returns:
      The result, from JSON.

    Raises:
      RuntimeError: the process failed; with the end of what it said.
    """
    # Within one process TensorFlow gives all sessions the threads of its first one, unless it is
    # told otherwise before that: hence a process of its own.
    environment = project_environment() | {"TF_OVERRIDE_GLOBAL_THREADPOOL": "1"}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps([job, str(result)]), env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(
                f"The process ended with {done.returncode}: {done.stderr.strip()[-300:]}"
            )
        return json.loads(result.read_text())


def project_environment() -> dict[str, str]:
    """The environment of a process that imports this project, installed or not."""
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": paths}


def environment() -> dict[str, Any]:
    """What latency depends on: processor, cores, releases of the engines; None: not installed."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "opencv": cv2.__version__,
        "onnxruntime": release("onnxruntime"),
        "tflite": release("ai-edge-litert"),
        "tensorflow": release("tensorflow"),
    }


def _main() -> None:
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    job, result = json.loads(sys.stdin.read())
    found = _measure([Path(model) for model in job["models"]], job["rounds"])
    Path(result).write_text(json.dumps(found))


def _measure(models: Sequence[Path], rounds: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{} for _ in models]
    own_threads = cv2.getNumThreads()
    for engine in ENGINES:
        runs: list[dict[str, Run]] = []
        for model, of in zip(models, found, strict=True):
            try:
                runs.append(_runs(model, engine))
            # Each engine fails with exceptions of its own, and the other figures must not be lost.
            except Exception as error:
                runs.append({})
                problem = str(error).replace(str(model.parent) + os.sep, "")
                of[engine] = {"error": problem or type(error).__name__}
        keyed = {
            (index, threads): with_opencv_threads(run, 1 if threads == THREADS[0] else own_threads)
            for threads in THREADS
            for index, of in enumerate(runs)
            if (run := of.get(threads))
        }
        times = alternated(keyed, rounds)
        for index, (of, run_of) in enumerate(zip(found, runs, strict=True)):
            if run_of:
                of[engine] = {threads: times[index, threads] for threads in THREADS}
    return found


def alternated(runs: Mapping[Any, Run], rounds: int) -> dict[Any, dict[str, Any]]:
    """Times runs that take turns: in each round each is run twice, and the second run is timed.

    Returns:
      Of each: `median`, `quartiles` (low, high) and `cpu` in ms, see `measure_latency`.
    """
    times: dict[Any, list[tuple[float, float]]] = {key: [] for key in runs}
    keys = list(runs)
    for number in range(rounds):
        for place in range(len(keys)):
            # Another one begins each round: who comes first may have the cold start.
            key = keys[(place + number) % len(keys)]
            runs[key]()
            times[key].append(_time(runs[key]))
    return {key: _summary(of) for key, of in times.items()}


def with_opencv_threads(run: Run, threads: int) -> Run:
    """OpenCV's number of threads is the whole process's: it is set before each run."""

    def start() -> object:
        if cv2.getNumThreads() != threads:
            cv2.setNumThreads(threads)
        return run()

    return start


def _runs(model: Path, engine: str) -> dict[str, Run]:
    """Number of threads -> one run of the model, which has been tried once."""
    contract = load_contract(model)
    width, height = contract.size
    shape = (max(contract.input.shape[0], 1), height, width, 3)
    crops = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
    runs = _STARTERS[engine](model, contract, crops)
    for run in runs.values():
        run()
    return runs


# The engines of export/engines/ have the threads that their makers think best; these are told.


def _opencv_runs(model: Path, contract: Contract, crops: np.ndarray) -> dict[str, Run]:
    engine = load_engine(model, contract, "opencv")
    return {threads: lambda: engine(crops) for threads in THREADS}  # the caller sets the threads


def _onnxruntime_runs(model: Path, contract: Contract, crops: np.ndarray) -> dict[str, Run]:
    import onnxruntime

    def start(threads: int) -> Run:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that spin while they wait would take the processor from the next model's run.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {contract.input.name: crops})

    path = str(model.with_suffix(CONVERTED["onnxruntime"]))
    return {"one_thread": start(1), "all_threads": start(os.cpu_count() or 1)}


def _tflite_runs(model: Path, contract: Contract, crops: np.ndarray) -> dict[str, Run]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tensorflow.lite import Interpreter

    def start(threads: int) -> Run:
        interpreter = Interpreter(path, num_threads=threads)
        interpreter.allocate_tensors()
        (given,), found = interpreter.get_input_details(), interpreter.get_output_details()

        def run() -> None:
            for crop in crops:  # the file's batch is 1
                interpreter.set_tensor(given["index"], crop[None])
                interpreter.invoke()
                for output in found:
                    interpreter.get_tensor(output["index"])

        return run

    path = str(model.with_suffix(CONVERTED["tflite"]))
    return {"one_thread": start(1), "all_threads": start(os.cpu_count() or 1)}


def _tensorflow_runs(model: Path, contract: Contract, crops: np.ndarray) -> dict[str, Run]:
    import tensorflow.compat.v1 as tf

    def start(threads: int) -> Run:
        config = tf.ConfigProto(
            intra_op_parallelism_threads=threads,
            inter_op_parallelism_threads=threads,
            use_per_session_threads=True,
        )
        session = tf.Session(graph=graph, config=config)
        return lambda: session.run(outputs, {contract.input.name: crops})

    outputs = [tensor.name for tensor in contract.outputs.values()]
    graph, _ = load_graph(model, contract)
    return {"one_thread": start(1), "all_threads": start(0)}


_STARTERS: dict[str, Callable[[Path, Contract, np.ndarray], dict[str, Run]]] = {
    "opencv": _opencv_runs,
    "onnxruntime": _onnxruntime_runs,
    "tflite": _tflite_runs,
    "tensorflow": _tensorflow_runs,
}


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
